#include "serialization/batch.hpp"

#include <algorithm>
#include <cassert>
#include <limits>
#include <utility>

namespace dataflow {
namespace {

[[maybe_unused]] bool columns_fit(const Schema& schema, std::uint32_t rows, const std::vector<ColumnPtr>& columns) {
  if (columns.size() != schema.size()) return false;
  for (std::size_t i = 0; i < columns.size(); ++i)
    if (columns[i]->rows != rows || !(columns[i]->type == schema[i].type)) return false;
  return true;
}

bool only_inserts(const std::uint8_t* kinds, std::size_t rows) {
  return std::all_of(kinds, kinds + rows, [](std::uint8_t kind) { return kind == 0; });
}

Buffer gather_kinds(const Buffer& kinds, std::span<const std::uint32_t> indices) {
  if (kinds.empty()) return {};
  GrowingBuffer out;
  out.resize(indices.size());
  auto* const to = out.as<std::uint8_t>();
  for (std::size_t i = 0; i < indices.size(); ++i) to[i] = kinds.as<std::uint8_t>()[indices[i]];
  return only_inserts(to, indices.size()) ? Buffer{} : out.freeze();
}

Buffer concatenate_kinds(std::span<const BatchPtr> batches, std::size_t rows) {
  if (std::all_of(batches.begin(), batches.end(), [](const BatchPtr& b) { return b->kinds().empty(); })) return {};
  GrowingBuffer out;
  out.resize(rows);
  auto* to = out.as<std::uint8_t>();
  for (const BatchPtr& batch : batches) {
    if (batch->kinds().empty()) {
      std::memset(to, 0, batch->rows());
    } else {
      std::memcpy(to, batch->kinds().data(), batch->rows());
    }
    to += batch->rows();
  }
  return out.freeze();
}

}  // namespace

Batch::Batch(SchemaPtr schema, std::uint32_t rows, std::vector<ColumnPtr> columns, ColumnPtr timestamps, Buffer kinds)
    : schema_{std::move(schema)},
      rows_{rows},
      columns_{std::move(columns)},
      timestamps_{std::move(timestamps)},
      kinds_{std::move(kinds)},
      byte_size_{kinds_.size()} {
  assert(columns_fit(*schema_, rows_, columns_));
  assert(!timestamps_ ||
         (timestamps_->rows == rows_ && timestamps_->type == TypeKind::timestamp && !timestamps_->has_nulls()));
  assert(kinds_.empty() || kinds_.size() == rows_);
  for (const ColumnPtr& column : columns_) byte_size_ += column->byte_size();
  if (timestamps_) byte_size_ += timestamps_->byte_size();
}

BatchPtr Batch::with_columns(SchemaPtr schema, std::vector<ColumnPtr> columns) const {
  return std::make_shared<const Batch>(std::move(schema), rows_, std::move(columns), timestamps_, kinds_);
}

BatchPtr Batch::select_rows(std::span<const std::uint32_t> indices) const {
  std::vector<ColumnPtr> columns;
  columns.reserve(columns_.size());
  ColumnPtr timestamps;
  for (const ColumnPtr& column : columns_) {
    columns.push_back(gather(*column, indices));
    if (column == timestamps_) timestamps = columns.back();  // the event time is a field: one copy for both
  }
  if (timestamps_ && !timestamps) timestamps = gather(*timestamps_, indices);
  return std::make_shared<const Batch>(schema_, static_cast<std::uint32_t>(indices.size()), std::move(columns),
                                       std::move(timestamps), gather_kinds(kinds_, indices));
}

BatchPtr concatenate(std::span<const BatchPtr> batches) {
  assert(!batches.empty());
  if (batches.size() == 1) return batches.front();
  const Batch& first = *batches.front();
  std::size_t rows = 0;
  for (const BatchPtr& batch : batches) {
    assert(batch->schema() == first.schema() || *batch->schema() == *first.schema());
    assert(batch->has_event_time() == first.has_event_time());
    rows += batch->rows();
  }
  assert(rows <= std::numeric_limits<std::uint32_t>::max());
  std::vector<ColumnPtr> pieces(batches.size());
  std::vector<ColumnPtr> columns;
  ColumnPtr timestamps;
  columns.reserve(first.columns().size());
  for (std::size_t c = 0; c < first.columns().size(); ++c) {
    for (std::size_t b = 0; b < batches.size(); ++b) pieces[b] = batches[b]->columns()[c];
    columns.push_back(concatenate(pieces));
    const auto is_time = [c](const BatchPtr& batch) { return batch->columns()[c] == batch->timestamps(); };
    if (std::all_of(batches.begin(), batches.end(), is_time)) timestamps = columns.back();  // one copy for both
  }
  if (first.has_event_time() && !timestamps) {
    for (std::size_t b = 0; b < batches.size(); ++b) pieces[b] = batches[b]->timestamps();
    timestamps = concatenate(pieces);
  }
  return std::make_shared<const Batch>(first.schema(), static_cast<std::uint32_t>(rows), std::move(columns),
                                       std::move(timestamps), concatenate_kinds(batches, rows));
}

void append_row_json(const Batch& batch, std::size_t row, std::string& out) {
  const Schema& schema = *batch.schema();
  out += '{';
  bool first = true;
  for (std::size_t i = 0; i < schema.size(); ++i) {
    if (is_unread(batch.column(i))) continue;
    if (!std::exchange(first, false)) out += ',';
    append_json_string(schema[i].name, out);
    out += ':';
    append_json(batch.column(i), row, out);
  }
  out += '}';
}

}  // namespace dataflow
