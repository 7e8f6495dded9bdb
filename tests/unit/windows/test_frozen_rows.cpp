// A group table's rows, frozen while the table goes on.

#include <map>
#include <optional>
#include <random>
#include <string>
#include <thread>

#include "libdataflow/windows/group_table.hpp"
#include "tests/support/seeds.hpp"

namespace dataflow::windows {

namespace {

using Sums = std::map<std::uint64_t, std::uint64_t>;

struct Table {
  RowLayout layout{KeyForm::word, std::vector<std::byte>(8)};
  GroupTable groups{layout};
  Sums expected;

  static std::uint64_t& sum(std::byte* row) { return *reinterpret_cast<std::uint64_t*>(row + 8); }
  void add(const std::vector<std::uint64_t>& keys, std::uint64_t value) {
    std::vector<std::byte*> rows(keys.size());
    KeyBatch batch;
    batch.form = KeyForm::word;
    batch.words = keys.data();
    groups.find_or_insert(batch, nullptr, keys.size(), rows.data());
    for (std::size_t i = 0; i < keys.size(); ++i) {
      sum(rows[i]) += value;
      expected[keys[i]] += value;
    }
  }
};

/// Reads up to `most` pieces.
void read_on(const RowLayout& layout, FrozenRows& frozen, Sums& sums, std::size_t most = SIZE_MAX) {
  FrozenRows::Rows rows;
  for (; most != 0 && frozen.next(rows); --most) {
    for (std::size_t i = 0; i < rows.count; ++i) {
      const std::byte* row = rows.first + i * layout.stride();
      const KeyRef key = GroupTable::key_of_copy(layout, row, row == rows.null_key);
      std::uint64_t value = 0;
      std::memcpy(&value, row + 8, sizeof value);
      CHECK(sums.emplace(key.key.head, value).second);
    }
  }
}

std::vector<std::uint64_t> up_to(std::uint64_t count, std::uint64_t step = 1) {
  std::vector<std::uint64_t> keys;
  for (std::uint64_t key = 0; key < count; key += step) keys.push_back(key);
  return keys;
}

}  // namespace

TEST_CASE("frozen rows are what they were, whatever the table does afterwards") {
  for (const std::uint64_t seed : testing_support::seeds(30)) {
    CAPTURE(seed);
    std::mt19937_64 random{seed};
    Table table;
    const std::uint64_t keys = std::uint64_t{1} << (random() % 15);
    for (int i = 0; i < 3; ++i) table.add(up_to(1 + random() % keys), random() % 100);
    std::shared_ptr<FrozenRows> frozen;
    Sums at_freeze;
    Sums read;
    for (int i = 0; i < 60; ++i) {
      switch (random() % 8) {
        case 0:
          frozen = table.groups.freeze();
          at_freeze = table.expected;
          read.clear();
          break;
        case 1:
          if (frozen && random() % 8 == 0) {
            table.groups.clear();
            table.expected.clear();
          }
          break;
        case 2:
          if (frozen) read_on(table.layout, *frozen, read, random() % 4);
          break;
        case 3:
          if (!frozen) break;
          read_on(table.layout, *frozen, read);
          CHECK(read == at_freeze);
          CHECK(frozen->copied_bytes() == 0);
          frozen.reset();
          break;
        case 4: {
          std::byte* row = table.groups.find_or_insert(KeyRef{false, {random() % keys, 0}});
          Table::sum(row) += 7;
          std::uint64_t key = 0;
          std::memcpy(&key, row, sizeof key);
          table.expected[key] += 7;
          break;
        }
        default: table.add(up_to(1 + random() % (2 * keys), 1 + random() % 9), random() % 100);
      }
    }
    Sums now;
    GroupTable::Cursor cursor;
    for (std::byte* row = nullptr; table.groups.next_rows(cursor, 1, &row) == 1;) {
      now[table.groups.key_of(row).key.head] = Table::sum(row);
    }
    CHECK(now == table.expected);
  }
}

TEST_CASE("frozen rows can be read on another thread while the table changes them") {
  Table table;
  table.add(up_to(200'000), 1);
  const Sums at_freeze = table.expected;
  Sums read;
  {
    auto frozen = table.groups.freeze();
    std::thread reader{[&, frozen = std::move(frozen)]() mutable {
      read_on(table.layout, *frozen, read);
      frozen.reset();
    }};
    for (std::uint64_t round = 0; round < 20; ++round) table.add(up_to(250'000, 1 + round * 37), round);
    reader.join();
  }
  CHECK(read == at_freeze);
}

TEST_CASE("a table that is gone leaves its rows and the texts of its keys to the reader") {
  const RowLayout layout{KeyForm::text, std::vector<std::byte>(8)};
  std::shared_ptr<FrozenRows> frozen;
  const std::string text = "a key that is too long to lie in a row";
  {
    GroupTable groups{layout};
    const KeyRef null{true, {}};
    groups.find_or_insert(null);
    groups.find_or_insert(KeyRef{false, make_text_key(text.data(), static_cast<std::uint32_t>(text.size()))});
    frozen = groups.freeze();
    GroupTable other{layout};
    groups = std::move(other);
  }
  FrozenRows::Rows rows;
  REQUIRE(frozen->next(rows));
  REQUIRE(rows.count == 2);
  CHECK(rows.null_key == rows.first);
  const KeyRef key = GroupTable::key_of_copy(layout, rows.first + layout.stride(), false);
  CHECK(std::string_view{key.key.far(), key.key.length()} == text);
  CHECK_FALSE(frozen->next(rows));
}

TEST_CASE("a frozen table copies what is written to, and nothing else") {
  Table table;
  table.add(up_to(100'000), 1);
  const auto frozen = table.groups.freeze();
  CHECK(frozen->copied_bytes() == 0);
  table.add({70'000}, 1);
  CHECK(frozen->copied_bytes() == 4096);
  table.add({70'000, 70'001, 17}, 1);
  CHECK(frozen->copied_bytes() <= 3 * 4096);
}

}  // namespace dataflow::windows
