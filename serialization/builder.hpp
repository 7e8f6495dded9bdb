#pragma once
// Builders that turn values into immutable columns and batches.

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "serialization/batch.hpp"

namespace dataflow {

/// Appends one field's values row by row. The typed appends do not check the column's type beyond an assert.
class ColumnBuilder {
 public:
  explicit ColumnBuilder(DataType type, std::size_t expected_rows = 0);

  [[nodiscard]] const DataType& type() const { return type_; }
  [[nodiscard]] std::uint32_t rows() const { return rows_; }
  [[nodiscard]] std::size_t byte_size() const { return values_.size() + offsets_.size(); }

  void append_bool(bool v) { append_fixed(static_cast<std::uint8_t>(v)); }
  void append_int32(std::int32_t v) { append_fixed(v); }
  /// int64, decimal (unscaled) or timestamp (microseconds).
  void append_int64(std::int64_t v) { append_fixed(v); }
  void append_float64(double v) { append_fixed(v); }
  void append_text(std::string_view v) {
    assert(type_.is_variable_width());
    values_.append(v.data(), v.size());
    offsets_.push(static_cast<std::uint32_t>(values_.size()));
    mark_valid();
  }
  void append_null();
  /// Any value that fits the type; int64 narrows to int32 (asserted to fit). Slow.
  void append(const Value& value);

  /// The fixed-width fast path: `count` uninitialised values at the end, all valid, to be written by the caller.
  template <class T>
  T* append_uninitialised(std::size_t count) {
    assert(type_.width() == sizeof(T));
    const std::size_t at = values_.size();
    values_.resize(at + count * sizeof(T));
    for (std::size_t i = 0; validity_.size() != 0 && i < count; ++i) grow_validity(rows_ + i, true);
    rows_ += static_cast<std::uint32_t>(count);
    return reinterpret_cast<T*>(values_.data() + at);
  }

  /// Drops rows from the end until `rows` are left (a record that failed half way).
  void truncate(std::uint32_t rows);

  /// The column; the builder is empty afterwards and keeps its type.
  ColumnPtr finish();

 private:
  template <class T>
  void append_fixed(T v) {
    assert(type_.width() == sizeof(T));
    values_.push(v);
    mark_valid();
  }
  void mark_valid() {
    if (validity_.size() != 0) grow_validity(rows_, true);
    ++rows_;
  }
  void grow_validity(std::size_t row, bool valid);
  void start_offsets();

  DataType type_;
  std::uint32_t rows_ = 0;
  GrowingBuffer values_;
  GrowingBuffer offsets_;
  GrowingBuffer validity_;  ///< stays empty until the first NULL
};

/// Builds a batch row by row: append to every column, then `end_row`.
class BatchBuilder {
 public:
  explicit BatchBuilder(SchemaPtr schema, std::size_t expected_rows = 0);

  [[nodiscard]] const SchemaPtr& schema() const { return schema_; }
  [[nodiscard]] std::uint32_t rows() const { return rows_; }
  [[nodiscard]] bool empty() const { return rows_ == 0; }
  [[nodiscard]] std::size_t byte_size() const;
  /// At max_batch_rows or max_batch_bytes.
  [[nodiscard]] bool full() const { return rows_ >= max_batch_rows || byte_size() >= max_batch_bytes; }

  ColumnBuilder& column(std::size_t i) { return columns_[i]; }
  /// Ends a row of a stream without event time.
  void end_row() { ++rows_; }
  void end_row(RowKind kind) {
    append_kind(kind);
    ++rows_;
  }
  /// Ends a row with its event time; either every row of a batch has one or none (asserted in finish).
  void end_row(Timestamp event_time, RowKind kind = RowKind::insert);
  /// A whole row of values and its end. Slow.
  void append_row(std::span<const Value> values, std::optional<Timestamp> event_time = std::nullopt,
                  RowKind kind = RowKind::insert);
  /// Drops what was appended since the last end_row.
  void abandon_row();

  /// The batch; the builder is empty afterwards. At least one row is not required.
  BatchPtr finish();

 private:
  void append_kind(RowKind kind);

  SchemaPtr schema_;
  std::vector<ColumnBuilder> columns_;
  ColumnBuilder timestamps_{TypeKind::timestamp};
  GrowingBuffer kinds_;  ///< stays empty until the first row that is no insert
  std::uint32_t rows_ = 0;
};

}  // namespace dataflow
