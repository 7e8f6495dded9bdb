// gather, select_rows, concatenate and key hashes against the same done value by value.

#include <doctest/doctest.h>

#include "serialization/key_hash.hpp"
#include "tests/support/random_batches.hpp"
#include "tests/support/seeds.hpp"

using namespace dataflow;
using namespace dataflow::testing_support;

namespace {

/// Any rows, or, as a filter gives them, most of them in order.
std::vector<std::uint32_t> random_indices(RandomBatches& random, std::size_t rows) {
  if (random.below(2) == 0) {
    std::vector<std::uint32_t> kept;
    for (std::uint32_t row = 0; row < rows; ++row) {
      if (random.below(16) != 0) kept.push_back(row);
    }
    return kept;
  }
  std::vector<std::uint32_t> indices(rows == 0 ? 0 : random.below(2 * rows + 1));
  for (std::uint32_t& index : indices) index = static_cast<std::uint32_t>(random.below(rows));
  return indices;
}

/// What the comments of Column promise about its blobs.
void check_layout(const Batch& batch) {
  for (const ColumnPtr& column : batch.columns()) {
    if (column->has_nulls()) {
      CHECK(column->validity.size() == bitmap_bytes(column->rows));
      CHECK_FALSE(all_bits_set(column->validity_bits(), column->rows));
    }
    if (column->type.is_variable_width()) {
      CHECK(column->offsets.size() == (column->rows + 1) * 4);
      CHECK(column->offset_data()[0] == 0);
      CHECK(column->offset_data()[column->rows] == column->values.size());
    } else {
      CHECK(column->values.size() == column->rows * column->type.width());
    }
  }
}

}  // namespace

TEST_CASE("selecting rows gives the same as picking them one by one") {
  for (const std::uint64_t seed : seeds(300)) {
    CAPTURE(seed);
    RandomBatches random{seed};
    const BatchPtr batch = random.batch(random.schema(), random.below(100));
    const auto indices = random_indices(random, batch->rows());
    const BatchPtr selected = batch->select_rows(indices);
    const auto all = rows_of(*batch);
    REQUIRE(selected->rows() == indices.size());
    for (std::size_t i = 0; i < indices.size(); ++i) {
      CHECK(rows_of(*selected)[i] == all[indices[i]]);
      CHECK(selected->timestamp(i) == batch->timestamp(indices[i]));
      CHECK(selected->kind(i) == batch->kind(indices[i]));
    }
    CHECK(selected->has_event_time() == batch->has_event_time());
    check_layout(*selected);
  }
}

TEST_CASE("concatenating batches gives their rows one after the other") {
  for (const std::uint64_t seed : seeds(300)) {
    CAPTURE(seed);
    RandomBatches random{seed};
    const SchemaPtr schema = random.schema();
    const bool timed = random.one_in(2);
    std::vector<BatchPtr> batches;
    std::vector<std::int64_t> times;
    std::vector<RowKind> kinds;
    for (std::uint64_t i = 0; i <= random.below(5); ++i) {
      // Selecting none keeps the event time column, which a builder without rows cannot know of.
      BatchPtr batch = random.batch(schema, 1 + random.below(40), timed);
      if (random.one_in(5)) batch = batch->select_rows({});
      for (const auto t : event_times_of(*batch)) times.push_back(t);
      for (const auto k : kinds_of(*batch)) kinds.push_back(k);
      batches.push_back(batch);
    }
    const BatchPtr whole = concatenate(batches);
    CHECK(rows_of(*whole) == rows_of(batches));
    CHECK(event_times_of(*whole) == times);
    CHECK(kinds_of(*whole) == kinds);
    check_layout(*whole);
  }
}

TEST_CASE("a constant column equals a column built of the same value") {
  for (const std::uint64_t seed : seeds(300)) {
    CAPTURE(seed);
    RandomBatches random{seed};
    const DataType type = random.type();
    const Value value = random.one_in(4) ? Value{} : random.value(type);
    const auto count = static_cast<std::uint32_t>(random.below(20));
    const ColumnPtr constant = constant_column(type, value, count);
    REQUIRE(constant->rows == count);
    CHECK(constant->has_nulls() == (is_null(value) && count != 0));
    for (std::size_t i = 0; i < count; ++i) CHECK(constant->value(i) == value);
  }
}

TEST_CASE("a row hashes the same wherever it lies and whatever is around it") {
  for (const std::uint64_t seed : seeds(200)) {
    CAPTURE(seed);
    RandomBatches random{seed};
    const BatchPtr batch = random.batch(random.schema(), random.below(50));
    const auto indices = random_indices(random, batch->rows());
    const BatchPtr selected = batch->select_rows(indices);
    const auto hashes_of = [](const Batch& of) {
      std::vector<const Column*> keys;
      for (const ColumnPtr& column : of.columns()) keys.push_back(column.get());
      std::vector<std::uint64_t> out;
      hash_rows(keys, of.rows(), out);
      return out;
    };
    const auto all = hashes_of(*batch);
    const auto some = hashes_of(*selected);
    REQUIRE(some.size() == indices.size());
    for (std::size_t i = 0; i < indices.size(); ++i) CHECK(some[i] == all[indices[i]]);
  }
}

TEST_CASE("a builder that abandons rows half way builds what it would have built without them") {
  for (const std::uint64_t seed : seeds(200)) {
    CAPTURE(seed);
    RandomBatches random{seed};
    const SchemaPtr schema = random.schema();
    BatchBuilder builder{schema};
    std::vector<Row> kept;
    for (const Row& row : random.rows_for(*schema, random.below(60))) {
      if (random.one_in(3)) {
        const std::size_t begun = random.below(schema->size() + 1);
        for (std::size_t c = 0; c < begun; ++c) builder.column(c).append(row[c]);
        builder.abandon_row();
      } else {
        builder.append_row(row, Timestamp{1});
        kept.push_back(row);
      }
    }
    const BatchPtr batch = builder.finish();
    CHECK(rows_of(*batch) == kept);
    check_layout(*batch);
    CHECK(builder.empty());
  }
}
