#include "libdataflow/runtime/two_sides.hpp"

#include <doctest/doctest.h>

#include "tests/support/batches.hpp"

using namespace dataflow;
using testing_support::make_batch;
using testing_support::Row;
using testing_support::rows_of;

namespace {

/// `n`, a text and a field that nobody reads.
BatchPtr numbered(std::size_t rows, const std::vector<std::int64_t>& times, const std::vector<RowKind>& kinds = {}) {
  static const SchemaPtr schema = make_schema({{"n", TypeKind::int64}, {"text", TypeKind::string}});
  std::vector<Row> values;
  for (std::size_t i = 0; i < rows; ++i) values.push_back({static_cast<std::int64_t>(i), std::to_string(i * 37)});
  const BatchPtr batch = make_batch(schema, values, times, kinds);
  static const SchemaPtr with_unread =
      make_schema({{"n", TypeKind::int64}, {"text", TypeKind::string}, {"unread", TypeKind::int64}});
  std::vector<ColumnPtr> columns = batch->columns();
  columns.push_back(unread_column(TypeKind::int64, batch->rows()));
  return batch->with_columns(with_unread, std::move(columns));
}

void check(const Batch& batch, const Batch& expected) {
  CHECK(rows_of(batch) == rows_of(expected));
  REQUIRE(batch.has_event_time() == expected.has_event_time());
  for (std::size_t row = 0; row < batch.rows(); ++row) {
    CHECK(batch.timestamp(row) == expected.timestamp(row));
    CHECK(batch.kind(row) == expected.kind(row));
  }
  CHECK(is_unread(batch.column(2)));
}

}  // namespace

TEST_CASE("each row is on its side, in order, with its time and kind") {
  TwoSides sides;  // one for all, as an exchange has it
  constexpr std::uint64_t spread = 0x9e3779b97f4a7c15;  // one row's hash is where the second side begins
  for (const std::size_t rows : {2, 7, 8, 9, 100, 24, 1001}) {
    std::vector<std::uint64_t> hashes;
    std::vector<std::int64_t> times;
    std::vector<RowKind> kinds;
    std::array<std::vector<std::uint32_t>, 2> lists;
    for (std::size_t i = 0; i < rows; ++i) {
      hashes.push_back(i * spread);
      times.push_back(static_cast<std::int64_t>(1000 - i));
      kinds.push_back(i % 3 == 0 ? RowKind::remove : RowKind::insert);
      lists[hashes.back() >= spread ? 1 : 0].push_back(static_cast<std::uint32_t>(i));
    }
    for (const BatchPtr& batch : {numbered(rows, {}), numbered(rows, times), numbered(rows, times, kinds)}) {
      CAPTURE(rows);
      sides.choose(hashes, spread);
      REQUIRE(sides.rows(0) == lists[0].size());
      REQUIRE(sides.rows(1) == lists[1].size());
      const auto [first, second] = sides.split(*batch);
      check(*first, *batch->select_rows(lists[0]));
      check(*second, *batch->select_rows(lists[1]));
    }
  }
}

TEST_CASE("an event time that is a field is copied once") {
  static const SchemaPtr schema = make_schema({{"at", TypeKind::timestamp}});
  const BatchPtr batch = make_batch(schema, {{1}, {2}, {3}});
  const auto timed = std::make_shared<const Batch>(schema, batch->rows(), batch->columns(), batch->columns()[0]);
  const std::vector<std::uint64_t> hashes{5, 1, 9};
  TwoSides sides;
  sides.choose(hashes, 5);
  const auto [first, second] = sides.split(*timed);
  CHECK(first->timestamps() == first->columns()[0]);
  CHECK(second->timestamps() == second->columns()[0]);
  CHECK(second->timestamp(1) == Timestamp{3});
}
