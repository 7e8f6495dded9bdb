#pragma once
// Random schemas and batches for property tests: every type, NULLs, awkward values, kinds and event times. The same
// seed gives the same batches on every platform: no standard distribution is used.

#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "tests/support/batches.hpp"

namespace dataflow::testing_support {

class RandomBatches {
 public:
  explicit RandomBatches(std::uint64_t seed) : engine_{seed} {}

  /// Below `end`, which is not 0.
  std::uint64_t below(std::uint64_t end) { return engine_() % end; }
  bool one_in(std::uint64_t n) { return below(n) == 0; }

  DataType type() {
    switch (below(8)) {
      case 0: return TypeKind::boolean;
      case 1: return TypeKind::int32;
      case 2: return TypeKind::int64;
      case 3: return TypeKind::float64;
      case 4: {
        const auto precision = static_cast<std::uint8_t>(1 + below(18));
        return DataType::decimal(precision, static_cast<std::uint8_t>(below(precision + 1U)));
      }
      case 5: return TypeKind::string;
      case 6: return TypeKind::bytes;
      default: return TypeKind::timestamp;
    }
  }

  /// Up to `most_fields` fields named f0, f1, ...
  SchemaPtr schema(std::size_t most_fields = 8) {
    std::vector<Field> fields;
    const std::size_t count = below(most_fields + 1);
    for (std::size_t i = 0; i < count; ++i) fields.push_back({"f" + std::to_string(i), type()});
    return make_schema(std::move(fields));
  }

  std::int64_t whole() {
    switch (below(4)) {
      case 0: return static_cast<std::int64_t>(below(5)) - 2;
      case 1: return std::numeric_limits<std::int64_t>::min() + static_cast<std::int64_t>(below(2));
      case 2: return std::numeric_limits<std::int64_t>::max() - static_cast<std::int64_t>(below(2));
      default: return static_cast<std::int64_t>(engine_());
    }
  }

  /// Not NaN, which equals nothing.
  double real() {
    constexpr double awkward[] = {0.0, -0.0, 1.5, -1e300, 5e-324, std::numeric_limits<double>::infinity()};
    return one_in(2) ? awkward[below(std::size(awkward))] : static_cast<double>(whole()) / 1024;
  }

  /// ASCII text; any bytes for `bytes`. Mostly short, now and then longer than any fast path.
  std::string text(TypeKind kind) {
    std::string result(one_in(10) ? below(200) : below(20), '\0');
    for (char& c : result) c = static_cast<char>(kind == TypeKind::bytes ? below(256) : 32 + below(95));
    return result;
  }

  /// A value of a type, never NULL.
  Value value(const DataType& of) {
    switch (of.kind()) {
      case TypeKind::boolean: return one_in(2);
      case TypeKind::int32: return std::int64_t{static_cast<std::int32_t>(whole())};
      case TypeKind::float64: return real();
      case TypeKind::string:
      case TypeKind::bytes: return text(of.kind());
      default: return whole();
    }
  }

  /// Rows of a schema; each column is without NULLs, with some, or of nothing else.
  std::vector<Row> rows_for(const Schema& schema, std::size_t count) {
    std::vector<Row> result(count);
    for (const Field& field : schema.fields()) {
      const std::uint64_t null_rate = below(4);  // 0: none; 1: all; else one in so many
      for (Row& row : result)
        row.push_back(null_rate != 0 && one_in(null_rate) ? Value{std::monostate{}} : value(field.type));
    }
    return result;
  }

  BatchPtr batch(const SchemaPtr& of, std::size_t row_count) { return batch(of, row_count, one_in(2)); }
  BatchPtr batch(const SchemaPtr& of, std::size_t row_count, bool with_event_time) {
    std::vector<std::int64_t> times;
    for (std::size_t i = 0; with_event_time && i < row_count; ++i) times.push_back(whole());
    std::vector<RowKind> kinds;
    if (one_in(2))
      for (std::size_t i = 0; i < row_count; ++i) kinds.push_back(static_cast<RowKind>(below(4)));
    return make_batch(of, rows_for(*of, row_count), times, kinds);
  }

 private:
  std::mt19937_64 engine_;
};

}  // namespace dataflow::testing_support
