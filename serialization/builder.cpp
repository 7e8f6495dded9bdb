#include "serialization/builder.hpp"

namespace dataflow {

ColumnBuilder::ColumnBuilder(DataType type, std::size_t expected_rows) : type_{std::move(type)} {
  assert(!type_.is_nested());
  if (type_.is_variable_width()) {
    offsets_.reserve((expected_rows + 1) * sizeof(std::uint32_t));
  } else {
    values_.reserve(expected_rows * type_.width());
  }
  start_offsets();
}

void ColumnBuilder::start_offsets() {
  if (type_.is_variable_width()) offsets_.push(std::uint32_t{0});
}

void ColumnBuilder::append_null() {
  switch (type_.width()) {
    case 1: values_.push(std::uint8_t{0}); break;
    case 4: values_.push(std::uint32_t{0}); break;
    case 8: values_.push(std::uint64_t{0}); break;
    default: offsets_.push(static_cast<std::uint32_t>(values_.size()));
  }
  grow_validity(rows_, false);
  ++rows_;
}

void ColumnBuilder::append(const Value& value) {
  if (is_null(value)) return append_null();
  switch (type_.kind()) {
    case TypeKind::boolean: return append_bool(std::get<bool>(value));
    case TypeKind::int32: {
      const auto whole = std::get<std::int64_t>(value);
      assert(whole == static_cast<std::int32_t>(whole));
      return append_int32(static_cast<std::int32_t>(whole));
    }
    case TypeKind::float64:
      if (const auto* whole = std::get_if<std::int64_t>(&value)) return append_float64(static_cast<double>(*whole));
      return append_float64(std::get<double>(value));
    case TypeKind::string:
    case TypeKind::bytes: return append_text(std::get<std::string>(value));
    default: return append_int64(std::get<std::int64_t>(value));
  }
}

void ColumnBuilder::grow_validity(std::size_t row, bool valid) {
  if (validity_.size() == 0) {  // the first NULL: every row before it has a value
    validity_.resize(bitmap_bytes(row + 1));
    std::memset(validity_.data(), 0xFF, row / 8);
    validity_.as<std::uint8_t>()[row / 8] = static_cast<std::uint8_t>((1U << (row % 8)) - 1);
  } else if (row / 8 == validity_.size()) {
    validity_.push(std::uint8_t{0});
  }
  if (valid) set_bit(validity_.as<std::uint8_t>(), row);
}

void ColumnBuilder::truncate(std::uint32_t rows) {
  if (rows >= rows_) return;
  rows_ = rows;
  if (type_.is_variable_width()) {
    offsets_.resize((std::size_t{rows} + 1) * sizeof(std::uint32_t));
    values_.resize(offsets_.as<std::uint32_t>()[rows]);
  } else {
    values_.resize(rows * type_.width());
  }
  if (validity_.size() == 0) return;
  validity_.resize(bitmap_bytes(rows));
  if (rows % 8 != 0) validity_.as<std::uint8_t>()[rows / 8] &= static_cast<std::uint8_t>((1U << (rows % 8)) - 1);
}

ColumnPtr ColumnBuilder::finish() {
  auto column = std::make_shared<Column>();
  column->type = type_;
  column->rows = rows_;
  column->values = values_.freeze();
  if (type_.is_variable_width()) column->offsets = offsets_.freeze();
  if (validity_.size() != 0 && !all_bits_set(validity_.as<std::uint8_t>(), rows_))
    column->validity = validity_.freeze();
  validity_.clear();
  rows_ = 0;
  start_offsets();
  return column;
}

BatchBuilder::BatchBuilder(SchemaPtr schema, std::size_t expected_rows) : schema_{std::move(schema)} {
  columns_.reserve(schema_->size());
  for (const Field& field : schema_->fields()) columns_.emplace_back(field.type, expected_rows);
}

std::size_t BatchBuilder::byte_size() const {
  std::size_t bytes = timestamps_.byte_size() + kinds_.size();
  for (const ColumnBuilder& column : columns_) bytes += column.byte_size();
  return bytes;
}

void BatchBuilder::append_kind(RowKind kind) {
  if (kind == RowKind::insert && kinds_.size() == 0) return;
  while (kinds_.size() < rows_) kinds_.push(RowKind::insert);
  kinds_.push(kind);
}

void BatchBuilder::end_row(Timestamp event_time, RowKind kind) {
  timestamps_.append_int64(event_time.micros);
  append_kind(kind);
  ++rows_;
}

void BatchBuilder::append_row(std::span<const Value> values, std::optional<Timestamp> event_time, RowKind kind) {
  assert(values.size() == columns_.size());
  for (std::size_t i = 0; i < values.size(); ++i) columns_[i].append(values[i]);
  if (event_time) return end_row(*event_time, kind);
  end_row(kind);
}

void BatchBuilder::abandon_row() {
  for (ColumnBuilder& column : columns_) column.truncate(rows_);
}

BatchPtr BatchBuilder::finish() {
  assert(timestamps_.rows() == 0 || timestamps_.rows() == rows_);
  std::vector<ColumnPtr> columns;
  columns.reserve(columns_.size());
  for (ColumnBuilder& column : columns_) columns.push_back(column.finish());
  ColumnPtr timestamps = timestamps_.rows() != 0 ? timestamps_.finish() : nullptr;
  Buffer kinds;
  if (kinds_.size() != 0) {
    while (kinds_.size() < rows_) kinds_.push(RowKind::insert);
    kinds = kinds_.freeze();
  }
  const std::uint32_t rows = std::exchange(rows_, 0);
  return std::make_shared<const Batch>(schema_, rows, std::move(columns), std::move(timestamps), std::move(kinds));
}

}  // namespace dataflow
