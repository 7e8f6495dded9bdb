// Copies of columns: the loops that a filter, a shuffle and a join spend their time in. Each is chosen once a column
// by the width of its values and then runs without a branch on the type.

#include "serialization/column.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <stdexcept>

#include "serialization/repeat_bytes.hpp"
#include "serialization/time.hpp"

namespace dataflow {
namespace {

/// Texts are copied so many bytes at a time, without a call: most keys at once,
constexpr std::size_t copied_at_once = 16;
/// up to this length.
constexpr std::size_t short_text = 128;

/// Up to `copied_at_once` - 1 bytes more are read and written.
void copy_short_text(const char* from, std::size_t length, char* to) {
  std::size_t done = 0;
  do {
    std::memcpy(to + done, from + done, copied_at_once);
    done += copied_at_once;
  } while (done < length);
}

std::uint32_t checked_offset(std::uint64_t bytes) {
  if (bytes > std::numeric_limits<std::uint32_t>::max())
    throw std::length_error{"the text of one column of a batch passes 4 GiB"};
  return static_cast<std::uint32_t>(bytes);
}

std::shared_ptr<Column> new_column(const DataType& type, std::size_t rows) {
  auto column = std::make_shared<Column>();
  column->type = type;
  column->rows = static_cast<std::uint32_t>(rows);
  return column;
}

template <class T>
Buffer gather_fixed(const Column& column, std::span<const std::uint32_t> indices) {
  GrowingBuffer out;
  out.resize(indices.size() * sizeof(T));
  const T* const from = column.values.as<T>();
  T* const to = out.as<T>();
  for (std::size_t i = 0; i < indices.size(); ++i) to[i] = from[indices[i]];
  return out.freeze();
}

void gather_text(const Column& column, std::span<const std::uint32_t> indices, Column& result) {
  GrowingBuffer offsets;
  offsets.resize((indices.size() + 1) * sizeof(std::uint32_t));
  const std::uint32_t* const from = column.offset_data();
  auto* const to = offsets.as<std::uint32_t>();
  std::uint64_t total = 0;
  to[0] = 0;
  for (std::size_t i = 0; i < indices.size(); ++i) {
    total += from[indices[i] + 1] - from[indices[i]];
    to[i + 1] = static_cast<std::uint32_t>(total);
  }
  GrowingBuffer bytes;
  bytes.reserve(checked_offset(total) + copied_at_once);
  bytes.resize(total);
  const char* const source = column.values.as<char>();
  const std::size_t source_size = column.values.size();
  char* const target = bytes.as<char>();
  for (std::size_t i = 0; i < indices.size(); ++i) {
    const std::size_t at = from[indices[i]];
    const std::size_t length = to[i + 1] - to[i];
    // What is copied too much is overwritten by the next row or lies in the reserve.
    if (length <= short_text && at + length + copied_at_once <= source_size) {
      copy_short_text(source + at, length, target + to[i]);
    } else if (length != 0) {
      std::memcpy(target + to[i], source + at, length);
    }
  }
  result.offsets = offsets.freeze();
  result.values = bytes.freeze();
}

Buffer gather_validity(const Column& column, std::span<const std::uint32_t> indices) {
  GrowingBuffer out;
  out.resize(bitmap_bytes(indices.size()));
  const std::uint8_t* const from = column.validity_bits();
  auto* const to = out.as<std::uint8_t>();
  for (std::size_t byte = 0; byte < out.size(); ++byte) {
    const std::size_t first = byte * 8;
    const std::size_t count = std::min<std::size_t>(8, indices.size() - first);
    unsigned bits = 0;
    for (std::size_t i = 0; i < count; ++i) bits |= static_cast<unsigned>(bit_at(from, indices[first + i])) << i;
    to[byte] = static_cast<std::uint8_t>(bits);
  }
  return all_bits_set(to, indices.size()) ? Buffer{} : out.freeze();
}

Buffer concatenate_values(std::span<const ColumnPtr> columns, std::size_t width) {
  std::size_t total = 0;
  for (const ColumnPtr& column : columns) total += column->rows * width;
  GrowingBuffer out{total};
  for (const ColumnPtr& column : columns) out.append(column->values.data(), column->rows * width);
  return out.freeze();
}

void concatenate_text(std::span<const ColumnPtr> columns, Column& result) {
  std::uint64_t total = 0;
  for (const ColumnPtr& column : columns) total += column->offset_data()[column->rows];
  GrowingBuffer bytes{checked_offset(total)};
  GrowingBuffer offsets;
  offsets.resize((std::size_t{result.rows} + 1) * sizeof(std::uint32_t));
  auto* to = offsets.as<std::uint32_t>();
  *to++ = 0;
  for (const ColumnPtr& column : columns) {
    const auto base = static_cast<std::uint32_t>(bytes.size());
    const std::uint32_t* const from = column->offset_data();
    for (std::size_t i = 1; i <= column->rows; ++i) *to++ = base + from[i];
    bytes.append(column->values.data(), from[column->rows]);
  }
  result.offsets = offsets.freeze();
  result.values = bytes.freeze();
}

Buffer concatenate_validity(std::span<const ColumnPtr> columns, std::size_t rows) {
  if (std::none_of(columns.begin(), columns.end(), [](const ColumnPtr& c) { return c->has_nulls(); })) return {};
  GrowingBuffer out;
  out.resize(bitmap_bytes(rows));
  auto* const to = out.as<std::uint8_t>();
  std::memset(to, 0xFF, out.size());
  std::size_t at = 0;
  for (const ColumnPtr& column : columns) {
    if (column->has_nulls()) {
      for (std::size_t i = 0; i < column->rows; ++i)
        if (column->is_null(i)) clear_bit(to, at + i);
    }
    at += column->rows;
  }
  return all_bits_set(to, rows) ? Buffer{} : out.freeze();
}

template <class T>
Buffer repeated(T value, std::uint32_t rows) {
  GrowingBuffer out;
  out.resize(rows * sizeof(T));
  std::fill_n(out.as<T>(), rows, value);
  return out.freeze();
}

/// Fixed-width values of a constant; zero under a NULL.
Buffer repeated_value(const DataType& type, const Value& value, std::uint32_t rows) {
  const bool null = is_null(value);
  switch (type.kind()) {
    case TypeKind::boolean: return repeated<std::uint8_t>(!null && std::get<bool>(value), rows);
    case TypeKind::float64: {
      const auto* whole = std::get_if<std::int64_t>(&value);
      return repeated(null ? 0.0 : whole != nullptr ? static_cast<double>(*whole) : std::get<double>(value), rows);
    }
    case TypeKind::int32: {
      const std::int64_t whole = null ? 0 : std::get<std::int64_t>(value);
      assert(whole == static_cast<std::int32_t>(whole));
      return repeated(static_cast<std::int32_t>(whole), rows);
    }
    default: return repeated(null ? 0 : std::get<std::int64_t>(value), rows);
  }
}

void repeat_text(std::string_view text, Column& result) {
  checked_offset(std::uint64_t{text.size()} * result.rows);
  GrowingBuffer offsets;
  offsets.resize((std::size_t{result.rows} + 1) * sizeof(std::uint32_t));
  GrowingBuffer bytes;
  bytes.resize(text.size() * result.rows);
  for (std::size_t i = 0; i <= result.rows; ++i)
    offsets.as<std::uint32_t>()[i] = static_cast<std::uint32_t>(i * text.size());
  if (bytes.size() != 0) std::memcpy(bytes.data(), text.data(), text.size());
  repeat_first(bytes.data(), text.size(), bytes.size());
  result.offsets = offsets.freeze();
  result.values = bytes.freeze();
}

template <class T>
void append_whole(T value, std::string& out) {
  char digits[24];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
}

}  // namespace

bool all_bits_set(const std::uint8_t* bits, std::size_t rows) {
  for (std::size_t byte = 0; byte < rows / 8; ++byte)
    if (bits[byte] != 0xFF) return false;
  const unsigned rest = (1U << (rows % 8)) - 1;
  return rest == 0 || (bits[rows / 8] & rest) == rest;
}

Value Column::value(std::size_t row) const {
  if (is_null(row)) return std::monostate{};
  switch (type.kind()) {
    case TypeKind::boolean: return values.as<std::uint8_t>()[row] != 0;
    case TypeKind::int32: return std::int64_t{values.as<std::int32_t>()[row]};
    case TypeKind::float64: return values.as<double>()[row];
    case TypeKind::string:
    case TypeKind::bytes: return std::string{text(row)};
    default: assert(type.width() == 8); return values.as<std::int64_t>()[row];
  }
}

ColumnPtr gather(const Column& column, std::span<const std::uint32_t> indices) {
  if (is_unread(column)) return unread_column(column.type, static_cast<std::uint32_t>(indices.size()));
  assert(std::all_of(indices.begin(), indices.end(), [&](std::uint32_t i) { return i < column.rows; }));
  auto result = new_column(column.type, indices.size());
  if (column.type.is_variable_width()) {
    gather_text(column, indices, *result);
  } else {
    switch (column.type.width()) {
      case 1: result->values = gather_fixed<std::uint8_t>(column, indices); break;
      case 4: result->values = gather_fixed<std::uint32_t>(column, indices); break;
      default: assert(column.type.width() == 8); result->values = gather_fixed<std::uint64_t>(column, indices);
    }
  }
  if (column.has_nulls()) result->validity = gather_validity(column, indices);
  return result;
}

ColumnPtr concatenate(std::span<const ColumnPtr> columns) {
  assert(!columns.empty());
  if (columns.size() == 1) return columns.front();
  std::size_t rows = 0;
  for (const ColumnPtr& column : columns) {
    assert(column->type == columns.front()->type);
    rows += column->rows;
  }
  assert(rows <= std::numeric_limits<std::uint32_t>::max());
  if (std::all_of(columns.begin(), columns.end(), [](const ColumnPtr& c) { return is_unread(*c); })) {
    return unread_column(columns.front()->type, static_cast<std::uint32_t>(rows));
  }
  auto result = new_column(columns.front()->type, rows);
  if (result->type.is_variable_width()) {
    concatenate_text(columns, *result);
  } else {
    result->values = concatenate_values(columns, result->type.width());
  }
  result->validity = concatenate_validity(columns, rows);
  return result;
}

ColumnPtr constant_column(const DataType& type, const Value& value, std::uint32_t rows) {
  assert(!type.is_nested());
  auto result = new_column(type, rows);
  if (type.is_variable_width()) {
    repeat_text(is_null(value) ? std::string_view{} : std::string_view{std::get<std::string>(value)}, *result);
  } else {
    result->values = repeated_value(type, value, rows);
  }
  if (is_null(value) && rows != 0) {
    GrowingBuffer validity;
    validity.resize(bitmap_bytes(rows));
    std::memset(validity.data(), 0, validity.size());
    result->validity = validity.freeze();
  }
  return result;
}

void append_json(const Column& column, std::size_t row, std::string& out) {
  if (column.is_null(row)) {
    out += "null";
    return;
  }
  switch (column.type.kind()) {
    case TypeKind::boolean: out += column.values.as<std::uint8_t>()[row] != 0 ? "true" : "false"; break;
    case TypeKind::int32: append_whole(column.values.as<std::int32_t>()[row], out); break;
    case TypeKind::int64: append_whole(column.values.as<std::int64_t>()[row], out); break;
    case TypeKind::float64: append_json_double(column.values.as<double>()[row], out); break;
    case TypeKind::decimal: append_decimal(column.values.as<std::int64_t>()[row], column.type.scale(), out); break;
    case TypeKind::string: append_json_string(column.text(row), out); break;
    case TypeKind::bytes:
      out += '"';
      append_base64(column.text(row), out);
      out += '"';
      break;
    case TypeKind::timestamp:
      out += '"';
      append_iso8601(Timestamp{column.values.as<std::int64_t>()[row]}, out);
      out += '"';
      break;
    default: assert(false && "columns of nested types cannot be built"); out += "null";
  }
}

namespace {

/// The most rows of an unread column that costs nothing; zero pages that are never written to.
constexpr std::size_t unread_rows = 1 << 16;
constexpr std::size_t kinds_of_types = static_cast<std::size_t>(TypeKind::row) + 1;
alignas(64) constinit std::array<std::byte, (unread_rows + 1) * sizeof(std::int64_t)> zeros{};

Buffer zero_bytes(std::size_t count) {
  return Buffer{nullptr, std::span<const std::byte>{zeros}.first(count)};
}

}  // namespace

ColumnPtr unread_column(const DataType& type, std::uint32_t rows) {
  if (rows > unread_rows) return constant_column(type, Value{}, rows);
  // A batch has many of a type, and the next one often as many rows: each thread keeps the last (benchmark nexmark_q8).
  thread_local std::array<ColumnPtr, kinds_of_types> made;
  ColumnPtr& last = made[static_cast<std::size_t>(type.kind())];
  if (last && last->rows == rows && last->type == type) return last;
  auto column = std::make_shared<Column>();
  column->type = type;
  column->rows = rows;
  column->values = zero_bytes(type.width() * rows);
  if (type.is_variable_width()) column->offsets = zero_bytes((rows + std::size_t{1}) * sizeof(std::uint32_t));
  column->validity = zero_bytes(bitmap_bytes(rows));
  last = std::move(column);
  return last;
}

std::size_t Column::byte_size() const {
  return is_unread(*this) ? 0 : values.size() + offsets.size() + validity.size();
}

bool is_unread(const Column& column) {
  return column.rows != 0 && column.validity.data() == zeros.data();
}

}  // namespace dataflow
