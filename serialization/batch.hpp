#pragma once
// A Batch: rows as columns, immutable and shared. What operators take and give.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "serialization/column.hpp"
#include "serialization/schema.hpp"
#include "serialization/time.hpp"

namespace dataflow {

/// What a row does to a changelog. Numbers are part of the wire format.
enum class RowKind : std::uint8_t { insert = 0, update_before = 1, update_after = 2, remove = 3 };

/// Soft limits of a batch; one oversized row may be alone in a batch.
inline constexpr std::uint32_t max_batch_rows = 4096;
inline constexpr std::size_t max_batch_bytes = 256 * 1024;

class Batch;
using BatchPtr = std::shared_ptr<const Batch>;

class Batch {
 public:
  /// Every column has `rows` rows and the schema's type (asserted). `timestamps` is an int64-wide timestamp
  /// column without NULLs, or null when the stream has no event time. `kinds` is one byte a row, or empty when
  /// every row is an insert.
  Batch(SchemaPtr schema, std::uint32_t rows, std::vector<ColumnPtr> columns, ColumnPtr timestamps = nullptr,
        Buffer kinds = {});

  [[nodiscard]] const SchemaPtr& schema() const { return schema_; }
  [[nodiscard]] std::uint32_t rows() const { return rows_; }
  [[nodiscard]] const std::vector<ColumnPtr>& columns() const { return columns_; }
  [[nodiscard]] const Column& column(std::size_t i) const { return *columns_[i]; }
  [[nodiscard]] const ColumnPtr& timestamps() const { return timestamps_; }
  [[nodiscard]] bool has_event_time() const { return timestamps_ != nullptr; }
  [[nodiscard]] Timestamp timestamp(std::size_t row) const {
    return timestamps_ ? Timestamp{timestamps_->values.as<std::int64_t>()[row]} : Timestamp::min();
  }
  [[nodiscard]] const Buffer& kinds() const { return kinds_; }
  [[nodiscard]] RowKind kind(std::size_t row) const {
    return kinds_.empty() ? RowKind::insert : static_cast<RowKind>(kinds_.as<std::uint8_t>()[row]);
  }
  [[nodiscard]] std::size_t byte_size() const { return byte_size_; }

  /// The same rows with other columns under another schema; timestamps and kinds are shared.
  [[nodiscard]] BatchPtr with_columns(SchemaPtr schema, std::vector<ColumnPtr> columns) const;
  /// The rows at `indices`, in that order.
  [[nodiscard]] BatchPtr select_rows(std::span<const std::uint32_t> indices) const;

 private:
  SchemaPtr schema_;
  std::uint32_t rows_;
  std::vector<ColumnPtr> columns_;
  ColumnPtr timestamps_;
  Buffer kinds_;
  std::size_t byte_size_;
};

/// All rows of `batches`, which share a schema, as one batch. Errors: none; an empty span is a bug (asserted).
BatchPtr concatenate(std::span<const BatchPtr> batches);

/// One row as a JSON object in the schema's field order, without the fields that nobody reads.
void append_row_json(const Batch& batch, std::size_t row, std::string& out);

}  // namespace dataflow
