#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "serialization/key_hash.hpp"
#include "tests/support/batches.hpp"

using namespace dataflow;
using namespace dataflow::testing_support;

namespace {

std::vector<std::uint64_t> hashes_of(const BatchPtr& batch) {
  std::vector<const Column*> keys;
  for (const ColumnPtr& column : batch->columns()) keys.push_back(column.get());
  std::vector<std::uint64_t> out;
  hash_rows(keys, batch->rows(), out);
  return out;
}

/// A value as the only row of the only column.
std::uint64_t hash_of(DataType type, V value) {
  return hashes_of(make_batch(make_schema({{"k", std::move(type)}}), {{std::move(value)}})).front();
}

std::uint64_t double_hash_of(double value) {
  return hash_of(TypeKind::float64, value);
}

}  // namespace

TEST_CASE("hashes of keys are frozen: these values decide where state lies in savepoints") {
  CHECK(hash_of(TypeKind::int64, 0) == 0xbd0ed0d08a42a70cULL);
  CHECK(hash_of(TypeKind::int64, 1) == 0xc25abb1cbd5e0221ULL);
  CHECK(hash_of(TypeKind::int64, -1) == 0xf88ffc8b1d22ada5ULL);
  CHECK(hash_of(TypeKind::boolean, true) == 0xc25abb1cbd5e0221ULL);
  CHECK(hash_of(TypeKind::float64, 1.5) == 0x37b398aca66d468aULL);
  CHECK(hash_of(TypeKind::float64, std::nan("")) == 0x4012c0e355057094ULL);
  CHECK(hash_of(TypeKind::string, "") == 0x4c56038c5fb7e953ULL);
  CHECK(hash_of(TypeKind::string, "a") == 0xbb086b0b0f9b1cdfULL);
  CHECK(hash_of(TypeKind::string, "sensor-00001") == 0x88a55a50269e1db3ULL);
  CHECK(hash_of(TypeKind::string, std::string(100, 'x')) == 0xc78e0cf9bfe2806fULL);
  CHECK(hash_of(TypeKind::string, std::string(300, 'y')) == 0x95bf294012f2d58dULL);
  CHECK(hash_of(TypeKind::string, nullptr) == key_hash_null);
  const SchemaPtr both = make_schema({{"id", TypeKind::int64}, {"name", TypeKind::string}});
  CHECK(hashes_of(make_batch(both, {{1, "a"}, {nullptr, "a"}, {1, nullptr}})) ==
        std::vector<std::uint64_t>{0xee2d9b8023e24774ULL, 0xc3f13d9478a3b93aULL, 0x917331d304686855ULL});
  CHECK(hashes_of(make_batch(make_schema({}), {{}, {}})) == std::vector<std::uint64_t>(2, 0xbd0ed0d08a42a70cULL));
}

TEST_CASE("whole numbers of every width and meaning hash alike when they are equal") {
  CHECK(hash_of(TypeKind::int32, -7) == hash_of(TypeKind::int64, -7));
  CHECK(hash_of(TypeKind::timestamp, -7) == hash_of(TypeKind::int64, -7));
  CHECK(hash_of(DataType::decimal(10, 2), -7) == hash_of(TypeKind::int64, -7));
}

TEST_CASE("zero has one hash and so has not-a-number") {
  CHECK(double_hash_of(0.0) == double_hash_of(-0.0));
  CHECK(double_hash_of(std::numeric_limits<double>::quiet_NaN()) ==
        double_hash_of(-std::numeric_limits<double>::quiet_NaN()));
  CHECK(double_hash_of(1.0) != double_hash_of(-1.0));
}

TEST_CASE("string and bytes hash alike; NULL is not the empty text") {
  CHECK(hash_of(TypeKind::string, "abc") == hash_of(TypeKind::bytes, "abc"));
  CHECK(hash_of(TypeKind::string, nullptr) != hash_of(TypeKind::string, ""));
}

TEST_CASE("a row's hash does not depend on the rows and NULLs around it") {
  const SchemaPtr schema = make_schema({{"k", TypeKind::int64}});
  const auto with_null = hashes_of(make_batch(schema, {{1}, {nullptr}, {3}}));
  CHECK(with_null[0] == hash_of(TypeKind::int64, 1));
  CHECK(with_null[1] == key_hash_null);
  CHECK(with_null[2] == hash_of(TypeKind::int64, 3));
}

TEST_CASE("the order of key columns and the border between texts matter") {
  const SchemaPtr two = make_schema({{"a", TypeKind::string}, {"b", TypeKind::string}});
  const auto h = hashes_of(make_batch(two, {{"x", "y"}, {"y", "x"}, {"xy", ""}, {"", "xy"}}));
  CHECK(h[0] != h[1]);
  CHECK(h[0] != h[2]);
  CHECK(h[2] != h[3]);
}

TEST_CASE("consecutive keys spread evenly over key groups") {
  constexpr std::uint32_t groups = 128;
  constexpr int keys = 128'000;
  ColumnBuilder builder{TypeKind::int64};
  for (int i = 0; i < keys; ++i) builder.append_int64(i);
  const ColumnPtr column = builder.finish();
  const Column* key = column.get();
  std::vector<std::uint64_t> hashes;
  hash_rows({&key, 1}, column->rows, hashes);
  std::vector<int> count(groups);
  for (const std::uint64_t hash : hashes) ++count[key_group_of(hash, groups)];
  for (const int n : count) {  // 1000 expected, standard deviation 31.5
    CHECK(n > 800);
    CHECK(n < 1200);
  }
}

TEST_CASE("every key group belongs to exactly the subtask whose range contains it") {
  for (const std::uint32_t max_parallelism : {1U, 2U, 3U, 7U, 128U, 1000U, 32768U}) {
    for (std::uint32_t parallelism = 1; parallelism <= std::min(max_parallelism, 150U); ++parallelism) {
      std::uint32_t next = 0;
      bool good = true;
      for (std::uint32_t subtask = 0; subtask < parallelism; ++subtask) {
        const KeyGroupRange range = key_groups_of_subtask(subtask, max_parallelism, parallelism);
        good &= range.first == next && range.size() > 0;
        for (std::uint32_t group = range.first; group < range.end; ++group)
          good &= subtask_of_key_group(group, max_parallelism, parallelism) == subtask && range.contains(group);
        next = range.end;
      }
      CAPTURE(max_parallelism);
      CAPTURE(parallelism);
      CHECK(good);
      CHECK(next == max_parallelism);
    }
  }
}

TEST_CASE("a key group begins with its first hash") {
  for (const std::uint32_t max_parallelism : {1U, 2U, 3U, 7U, 128U, 1000U, 32768U}) {
    CAPTURE(max_parallelism);
    CHECK(first_hash_of(0, max_parallelism) == 0);
    for (std::uint32_t group = 1; group < max_parallelism; ++group) {
      const std::uint64_t first = first_hash_of(group, max_parallelism);
      REQUIRE(key_group_of(first, max_parallelism) == group);
      REQUIRE(key_group_of(first - 1, max_parallelism) == group - 1);
    }
  }
}

TEST_CASE("key groups of the extreme hashes lie inside of the range") {
  CHECK(key_group_of(0, 128) == 0);
  CHECK(key_group_of(~0ULL, 128) == 127);
  CHECK(key_group_of(~0ULL, 1) == 0);
}
