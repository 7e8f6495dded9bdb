#pragma once
// One field's values for all rows of a batch, immutable and shared between batches.

#include <cassert>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "serialization/buffer.hpp"
#include "serialization/data_type.hpp"
#include "serialization/value.hpp"

namespace dataflow {

/// Bit `row` of a validity bitmap (least significant bit of byte 0 first); 1 means a value, 0 means NULL.
inline bool bit_at(const std::uint8_t* bits, std::size_t row) {
  return (bits[row >> 3] >> (row & 7)) & 1;
}
inline void set_bit(std::uint8_t* bits, std::size_t row) {
  bits[row >> 3] |= static_cast<std::uint8_t>(1U << (row & 7));
}
inline void clear_bit(std::uint8_t* bits, std::size_t row) {
  bits[row >> 3] &= static_cast<std::uint8_t>(~(1U << (row & 7)));
}
inline constexpr std::size_t bitmap_bytes(std::size_t rows) {
  return (rows + 7) / 8;
}
/// Whether each of the first `rows` bits is 1.
bool all_bits_set(const std::uint8_t* bits, std::size_t rows);

/// Layout: fixed-width types hold `rows` little-endian values (bool: one byte, 0 or 1); string and bytes hold
/// `rows + 1` uint32 offsets, the first 0, monotone, into `values`. The value under a NULL is any valid value
/// of the type (never read as data), and its string is usually empty. `validity` is empty when no row is NULL.
struct Column {
  DataType type;
  std::uint32_t rows = 0;
  Buffer values;
  Buffer offsets;
  Buffer validity;

  [[nodiscard]] bool has_nulls() const { return !validity.empty(); }
  [[nodiscard]] const std::uint8_t* validity_bits() const { return validity.as<std::uint8_t>(); }
  [[nodiscard]] bool is_null(std::size_t row) const { return has_nulls() && !bit_at(validity_bits(), row); }
  /// The values of a fixed-width column: uint8_t for bool, int32_t, int64_t (also decimal, timestamp), double.
  template <class T>
  [[nodiscard]] std::span<const T> as() const {
    assert(type.width() == sizeof(T));
    return {values.as<T>(), rows};
  }
  [[nodiscard]] const std::uint32_t* offset_data() const { return offsets.as<std::uint32_t>(); }
  [[nodiscard]] std::string_view text(std::size_t row) const {
    const std::uint32_t* at = offset_data();
    return {values.as<char>() + at[row], at[row + 1] - at[row]};
  }
  /// For tests, printing and planning; slow.
  [[nodiscard]] Value value(std::size_t row) const;
  /// Bytes of all blobs: what credits and memory budgets count.
  /// None when it is unread, as it has no memory of its own.
  [[nodiscard]] std::size_t byte_size() const;
};

using ColumnPtr = std::shared_ptr<const Column>;

/// The rows of `column` at `indices`, in that order; a row may be taken more than once. O(indices). Throws
/// std::length_error when the text of the result passes 4 GiB, which offsets cannot reach.
ColumnPtr gather(const Column& column, std::span<const std::uint32_t> indices);

/// All rows of `columns`, which share a type, in one column; not empty (asserted). Throws as gather does.
ColumnPtr concatenate(std::span<const ColumnPtr> columns);

/// Stands for a field that nobody reads and that was therefore not decoded: all NULL, shared by all batches where
/// possible, free to gather. Its values must not be looked at.
ColumnPtr unread_column(const DataType& type, std::uint32_t rows);
[[nodiscard]] bool is_unread(const Column& column);

/// `rows` times the same value (monostate: NULL).
ColumnPtr constant_column(const DataType& type, const Value& value, std::uint32_t rows);

/// One cell as JSON, without a Value between: what append_json writes for value(row).
void append_json(const Column& column, std::size_t row, std::string& out);

}  // namespace dataflow
