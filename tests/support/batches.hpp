#pragma once
// Batches in one line for tests, and batches back as values that doctest can compare.
//
//   const SchemaPtr schema = make_schema({{"id", TypeKind::int64}, {"name", TypeKind::string}});
//   const BatchPtr in = make_batch(schema, {{1, "a"}, {2, nullptr}}, {1000, 2000});
//   CHECK(rows_of(*in) == rows({{1, "a"}, {2, nullptr}}));
//   CHECK(to_json_lines(*in) == "{\"id\":1,\"name\":\"a\"}\n{\"id\":2,\"name\":null}\n");

#include <cassert>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "serialization/batch.hpp"
#include "serialization/builder.hpp"

namespace dataflow::testing_support {

/// A Value as a test writes it: `1`, `2.5`, `"text"`, `true`, `nullptr` (NULL), `Timestamp{...}`, `6min`.
struct V {
  Value value;

  V(std::nullptr_t) {}                              // NOLINT(google-explicit-constructor)
  V(bool v) : value{v} {}                           // NOLINT(google-explicit-constructor)
  V(double v) : value{v} {}                         // NOLINT(google-explicit-constructor)
  V(const char* v) : value{std::string{v}} {}       // NOLINT(google-explicit-constructor)
  V(std::string v) : value{std::move(v)} {}         // NOLINT(google-explicit-constructor)
  V(std::string_view v) : value{std::string{v}} {}  // NOLINT(google-explicit-constructor)
  V(Timestamp t) : value{t.micros} {}               // NOLINT(google-explicit-constructor)
  V(Value v) : value{std::move(v)} {}               // NOLINT(google-explicit-constructor)
  template <std::integral T>
  V(T v) : value{static_cast<std::int64_t>(v)} {}  // NOLINT(google-explicit-constructor)
  template <class Rep, class Period>
  V(std::chrono::duration<Rep, Period> d) : V{Timestamp{d}} {}  // NOLINT(google-explicit-constructor)
};

using Row = std::vector<Value>;
using RowsInBraces = std::initializer_list<std::initializer_list<V>>;

/// What rows_of returns, written by hand.
inline std::vector<Row> rows(RowsInBraces in_braces) {
  std::vector<Row> result;
  for (const auto& cells : in_braces) {
    Row& row = result.emplace_back();
    for (const V& cell : cells) row.push_back(cell.value);
  }
  return result;
}

/// A batch of rows of values. `event_times_micros` and `kinds` have one entry a row or are empty.
inline BatchPtr make_batch(const SchemaPtr& schema, std::span<const Row> values,
                           const std::vector<std::int64_t>& event_times_micros = {},
                           const std::vector<RowKind>& kinds = {}) {
  assert(event_times_micros.empty() || event_times_micros.size() == values.size());
  assert(kinds.empty() || kinds.size() == values.size());
  BatchBuilder builder{schema, values.size()};
  for (std::size_t i = 0; i < values.size(); ++i) {
    builder.append_row(values[i],
                       event_times_micros.empty() ? std::nullopt : std::optional{Timestamp{event_times_micros[i]}},
                       kinds.empty() ? RowKind::insert : kinds[i]);
  }
  return builder.finish();
}

inline BatchPtr make_batch(const SchemaPtr& schema, RowsInBraces in_braces,
                           const std::vector<std::int64_t>& event_times_micros = {},
                           const std::vector<RowKind>& kinds = {}) {
  return make_batch(schema, std::span<const Row>{rows(in_braces)}, event_times_micros, kinds);
}

inline std::vector<Row> rows_of(const Batch& batch) {
  std::vector<Row> result(batch.rows());
  for (std::size_t i = 0; i < batch.rows(); ++i)
    for (const ColumnPtr& column : batch.columns()) result[i].push_back(column->value(i));
  return result;
}

/// The rows of all batches, one after the other.
inline std::vector<Row> rows_of(std::span<const BatchPtr> batches) {
  std::vector<Row> result;
  for (const BatchPtr& batch : batches)
    for (Row& row : rows_of(*batch)) result.push_back(std::move(row));
  return result;
}

/// Event times in microseconds, one a row; empty without event time.
inline std::vector<std::int64_t> event_times_of(const Batch& batch) {
  std::vector<std::int64_t> result;
  for (std::size_t i = 0; batch.has_event_time() && i < batch.rows(); ++i) result.push_back(batch.timestamp(i).micros);
  return result;
}

inline std::vector<RowKind> kinds_of(const Batch& batch) {
  std::vector<RowKind> result;
  for (std::size_t i = 0; i < batch.rows(); ++i) result.push_back(batch.kind(i));
  return result;
}

/// One JSON object and a newline a row.
inline std::string to_json_lines(const Batch& batch) {
  std::string out;
  for (std::size_t i = 0; i < batch.rows(); ++i) {
    append_row_json(batch, i, out);
    out += '\n';
  }
  return out;
}

}  // namespace dataflow::testing_support
