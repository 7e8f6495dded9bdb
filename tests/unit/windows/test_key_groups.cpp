// When the records of a batch are told apart by key before anything else, and what is known of them then.
#include "libdataflow/windows/key_groups.hpp"

#include <doctest/doctest.h>

#include <map>
#include <numeric>

#include "tests/support/batches.hpp"

using namespace dataflow;
using namespace dataflow::windows;
using testing_support::make_batch;
using testing_support::Row;

namespace {

SchemaPtr keys_schema() {
  static const SchemaPtr schema =
      make_schema({{"number", TypeKind::int64}, {"day", TypeKind::string}, {"half", TypeKind::float64}});
  return schema;
}

/// Of the numbers 10, 20, 30, 10, 20, ..., one day, and zeros of either sign.
std::vector<Row> records(std::size_t count, std::int64_t numbers = 3) {
  std::vector<Row> rows;
  for (std::size_t i = 0; i < count; ++i) {
    const auto number = static_cast<std::int64_t>(i) % numbers;
    rows.push_back({10 * (number + 1), std::string{"2024-01-01"}, i % 2 == 0 ? 0.0 : -0.0});
  }
  return rows;
}

template <class Numbers>
std::vector<std::uint32_t> as_vector(const Numbers& numbers) {
  return {numbers.begin(), numbers.end()};
}

}  // namespace

TEST_CASE("keys are numbered in the order of their first records") {
  KeyGroups groups{{0}};
  const std::vector<Row> rows = records(100);
  REQUIRE(groups.read(*make_batch(keys_schema(), rows)));
  CHECK(as_vector(groups.first_rows()) == std::vector<std::uint32_t>{0, 1, 2});
  CHECK(as_vector(groups.sizes()) == std::vector<std::uint32_t>{34, 33, 33});
  for (std::size_t row = 0; row < rows.size(); ++row) CHECK(groups.of_rows()[row] == row % 3);
}

TEST_CASE("a key's records in a row, at any place and of any length, are its own") {
  std::vector<Row> rows;
  std::vector<std::int64_t> keys;
  for (std::size_t run = 1; run < 40; ++run) {
    const auto key = static_cast<std::int64_t>(run % 3 == 0 ? 7 : run % 11);
    for (std::size_t i = 0; i < run; ++i) {
      keys.push_back(key);
      rows.push_back({key, std::string{"2024-01-01"}, 0.0});
    }
  }
  KeyGroups groups{{0}};
  REQUIRE(groups.read(*make_batch(keys_schema(), rows)));
  std::map<std::int64_t, std::vector<std::uint32_t>> rows_of_key;
  for (std::size_t row = 0; row < keys.size(); ++row) rows_of_key[keys[row]].push_back(static_cast<std::uint32_t>(row));
  REQUIRE(groups.size() == rows_of_key.size());
  std::vector<std::int64_t> times(keys.size());
  std::iota(times.begin(), times.end(), 0);
  const auto extents = groups.extents(times);
  for (const auto& [key, its_rows] : rows_of_key) {
    const std::uint16_t group = groups.of_rows()[its_rows.front()];
    for (const std::uint32_t row : its_rows) CHECK(groups.of_rows()[row] == group);
    CHECK(groups.first_rows()[group] == its_rows.front());
    CHECK(groups.sizes()[group] == its_rows.size());
    CHECK(extents[group].last == its_rows.back());
  }
}

TEST_CASE("key columns with one value in the whole batch tell no records apart") {
  KeyGroups by_day_and_number{{1, 0}};
  REQUIRE(by_day_and_number.read(*make_batch(keys_schema(), records(100))));
  CHECK(by_day_and_number.size() == 3);
  KeyGroups by_day{{1}};
  REQUIRE(by_day.read(*make_batch(keys_schema(), records(100))));
  CHECK(as_vector(by_day.sizes()) == std::vector<std::uint32_t>{100});
  KeyGroups without_key{{}};
  REQUIRE(without_key.read(*make_batch(keys_schema(), records(100))));
  CHECK(as_vector(without_key.sizes()) == std::vector<std::uint32_t>{100});
}

TEST_CASE("zero and minus zero are one group") {
  KeyGroups groups{{2}};
  REQUIRE(groups.read(*make_batch(keys_schema(), records(100))));
  CHECK(as_vector(groups.sizes()) == std::vector<std::uint32_t>{100});
}

TEST_CASE("records are taken one by one where a text tells them apart, also one of another length or the last") {
  KeyGroups groups{{0, 1}};
  for (const char* other : {"2024-01-02", "2024-01-1", ""}) {
    for (const std::size_t row : {std::size_t{0}, std::size_t{50}, std::size_t{99}}) {
      std::vector<Row> rows = records(100);
      rows[row][1] = std::string{other};
      CHECK(!groups.read(*make_batch(keys_schema(), rows)));
    }
  }
}

TEST_CASE("records are taken one by one where two columns tell them apart, a key is NULL, or records are few") {
  KeyGroups groups{{0, 2}};
  CHECK(!groups.read(*make_batch(keys_schema(), records(100))));
  KeyGroups by_number{{0}};
  std::vector<Row> rows = records(100);
  rows[7][0] = Value{};
  CHECK(!by_number.read(*make_batch(keys_schema(), rows)));
  CHECK(!by_number.read(*make_batch(keys_schema(), records(10))));
}

TEST_CASE("after two batches with nearly as many keys as records some more are taken one by one") {
  KeyGroups groups{{0}};
  const BatchPtr many = make_batch(keys_schema(), records(1000, 1000));
  const BatchPtr few = make_batch(keys_schema(), records(1000));
  CHECK(!groups.read(*many));
  CHECK(!groups.read(*many));
  CHECK(!groups.read(*few));
  std::size_t batches = 0;
  while (!groups.read(*few)) REQUIRE(++batches < 100);
  CHECK(groups.size() == 3);
}

TEST_CASE("batches of frequent keys that take turns with others are taken by key, each of them") {
  KeyGroups groups{{0}};
  const BatchPtr many = make_batch(keys_schema(), records(1000, 1000));
  const BatchPtr few = make_batch(keys_schema(), records(1000));
  for (int turn = 0; turn < 20; ++turn) {
    CHECK(!groups.read(*many));
    CHECK(groups.read(*few));
  }
}

TEST_CASE("a large batch is tried whatever small ones had before") {
  KeyGroups groups{{0}};
  for (int i = 0; i < 20; ++i) CHECK(!groups.read(*make_batch(keys_schema(), records(80, 80))));
  CHECK(groups.read(*make_batch(keys_schema(), records(1000))));
}

TEST_CASE("batches of any size with a key for every record are taken one by one") {
  for (std::size_t count = 64; count < 600; ++count) {
    KeyGroups groups{{0}};
    CHECK(!groups.read(*make_batch(keys_schema(), records(count, static_cast<std::int64_t>(count)))));
  }
}
