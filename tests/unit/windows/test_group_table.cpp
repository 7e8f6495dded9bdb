// Keys of a table of groups: found in batches, by another table's rows, and after others have been dropped.

#include "libdataflow/windows/group_table.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "tests/support/seeds.hpp"

namespace dataflow::windows {

namespace {

const std::string text_beyond_rows = "a key that is too long to lie in a row";

/// Keys of one form, NULL among them.
std::vector<KeyRef> some_keys(KeyForm form) {
  if (form == KeyForm::word) return {{false, {7, 0}}, {true, {}}, {false, {0, 0}}, {false, {9, 0}}};
  const auto key = [](const std::string& text) {
    return KeyRef{false, make_text_key(text.data(), static_cast<std::uint32_t>(text.size()))};
  };
  return {key("near"), {true, {}}, key(""), key(text_beyond_rows)};
}

bool same_key(const KeyRef& a, const KeyRef& b) {
  return a.null == b.null && text_of(a.key) == text_of(b.key) && (a.key.length() > 0 || a.key.head == b.key.head);
}

std::vector<std::byte*> rows_of(const GroupTable& table) {
  std::vector<std::byte*> rows(table.size());
  GroupTable::Cursor cursor;
  REQUIRE(table.next_rows(cursor, rows.size(), rows.data()) == rows.size());
  return rows;
}

}  // namespace

TEST_CASE("a table finds the keys of another table's rows, and makes rows for new ones") {
  for (const KeyForm form : {KeyForm::word, KeyForm::text}) {
    const RowLayout layout{form, std::vector<std::byte>(8)};
    const std::vector<KeyRef> keys = some_keys(form);
    GroupTable other{layout};
    for (const KeyRef& key : keys) other.find_or_insert(key);
    GroupTable table{layout};
    const std::array known{table.find_or_insert(keys[3]), table.find_or_insert(keys[1])};

    const std::vector<std::byte*> rows = rows_of(other);
    std::vector<std::byte*> found(rows.size());
    table.find_or_insert(other, rows.data(), rows.size(), found.data());
    CHECK(table.size() == keys.size());
    CHECK(found[3] == known[0]);
    CHECK(found[1] == known[1]);
    std::vector<KeyRef> read(found.size());
    table.keys_of(found.data(), found.size(), read.data());
    for (std::size_t i = 0; i < keys.size(); ++i) CHECK(same_key(read[i], keys[i]));
  }
}

TEST_CASE("a table that drops rows keeps the others' keys and values, and finds them") {
  for (const KeyForm form : {KeyForm::word, KeyForm::text}) {
    const RowLayout layout{form, std::vector<std::byte>(8)};
    const std::vector<KeyRef> keys = some_keys(form);
    GroupTable table{layout};
    for (std::size_t i = 0; i < keys.size(); ++i) {
      std::memcpy(table.find_or_insert(keys[i]) + layout.payload_offset(), &i, sizeof i);
    }
    const std::byte* dropped = table.find(keys[0]);
    table.retain([&](const std::byte* row) { return row != dropped; }, [](const std::byte*, std::byte*) {});
    CHECK(table.size() == keys.size() - 1);
    CHECK(table.find(keys[0]) == nullptr);
    for (std::size_t i = 1; i < keys.size(); ++i) {
      const std::byte* row = table.find(keys[i]);
      REQUIRE(row != nullptr);
      std::size_t value = 0;
      std::memcpy(&value, row + layout.payload_offset(), sizeof value);
      CHECK(value == i);
      CHECK(same_key(table.key_of(row), keys[i]));
    }
  }
}

TEST_CASE("a batch's keys are found as each is by itself, and none is made") {
  for (const std::uint64_t seed : testing_support::seeds(20)) {
    std::mt19937_64 random{seed};
    const bool words = random() % 2 == 0;
    const RowLayout layout{words ? KeyForm::word : KeyForm::text, std::vector<std::byte>(8)};
    GroupTable table{layout};
    const std::uint64_t keys = 1 + random() % 3000;
    std::vector<std::uint64_t> numbers(random() % 1000);
    for (std::uint64_t& number : numbers) number = random() % keys;
    std::vector<std::string> bytes;
    std::vector<TextKey> texts;
    std::vector<std::uint8_t> validity((numbers.size() + 7) / 8, 0xff);
    for (const std::uint64_t number : numbers) bytes.push_back("key number " + std::to_string(number * number));
    for (const std::string& text : bytes) {
      texts.push_back(make_text_key(text.data(), static_cast<std::uint32_t>(text.size())));
    }
    KeyBatch batch{words ? KeyForm::word : KeyForm::text, numbers.data(), texts.data(), nullptr};
    std::vector<std::uint32_t> rows;
    for (std::uint32_t row = 0; row < numbers.size(); ++row) {
      if (random() % 4 == 0) validity[row / 8] &= static_cast<std::uint8_t>(~(1U << (row % 8)));
    }
    if (random() % 3 == 0) batch.validity = validity.data();
    const auto key_of = [&](std::uint32_t row) {
      KeyRef key;
      key.null = batch.validity != nullptr && (validity[row / 8] >> (row % 8) & 1) == 0;
      if (!key.null) key.key = words ? TextKey{numbers[row], 0} : texts[row];
      return key;
    };
    for (std::uint32_t row = 0; row < numbers.size(); ++row) {
      if (random() % 2 == 0) table.find_or_insert(key_of(row));
      if (random() % 2 == 0) rows.push_back(row);
    }
    const std::size_t size = table.size();
    std::vector<std::byte*> found(numbers.size());
    table.find(batch, nullptr, numbers.size(), found.data());
    for (std::uint32_t row = 0; row < numbers.size(); ++row) CHECK(found[row] == table.find(key_of(row)));
    table.find(batch, rows.data(), rows.size(), found.data());
    for (std::size_t i = 0; i < rows.size(); ++i) CHECK(found[i] == table.find(key_of(rows[i])));
    CHECK(table.size() == size);
  }
}

}  // namespace dataflow::windows
