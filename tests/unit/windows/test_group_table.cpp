// Keys that are looked for in a group table, and not made.

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "libdataflow/windows/group_table.hpp"
#include "tests/support/seeds.hpp"

namespace dataflow::windows {

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
