#include "libdataflow/expressions/vector.hpp"

#include <algorithm>
#include <iterator>

namespace dataflow::expr {

GrowingBuffer full_bitmap(std::size_t rows, bool valid) {
  GrowingBuffer bits;
  bits.resize(bitmap_bytes(rows));
  if (rows != 0) std::memset(bits.data(), valid ? 0xff : 0, bits.size());
  return bits;
}

Buffer combined_validity(std::span<const Vector> vectors, std::size_t rows) {
  const Buffer* only = nullptr;
  GrowingBuffer combined;
  for (const Vector& vector : vectors) {
    if (!vector.column->has_nulls()) continue;
    if (vector.constant && rows != 1) {
      if (!vector.column->is_null(0)) continue;
      return full_bitmap(rows, false).freeze();
    }
    if (only == nullptr) {
      only = &vector.column->validity;
      continue;
    }
    const std::size_t bytes = bitmap_bytes(rows);
    if (combined.size() == 0) combined.append(only->data(), bytes);
    auto* into = combined.as<std::uint8_t>();
    const std::uint8_t* from = vector.column->validity_bits();
    for (std::size_t i = 0; i < bytes; ++i) into[i] &= from[i];
  }
  if (combined.size() != 0) return combined.freeze();
  return only != nullptr ? *only : Buffer{};
}

Buffer both_valid(const Buffer& a, const Buffer& b, std::size_t rows) {
  if (a.empty()) return b;
  if (b.empty()) return a;
  GrowingBuffer both;
  both.resize(bitmap_bytes(rows));
  for (std::size_t i = 0; i < both.size(); ++i) {
    both.as<std::uint8_t>()[i] = a.as<std::uint8_t>()[i] & b.as<std::uint8_t>()[i];
  }
  return both.freeze();
}

ColumnPtr with_nulls_at(ColumnPtr column, std::span<const RowError> errors) {
  const bool already =
      std::all_of(errors.begin(), errors.end(), [&](const RowError& e) { return column->is_null(e.row); });
  if (already) return column;
  GrowingBuffer bits;
  if (column->has_nulls()) {
    bits.append(column->validity.data(), bitmap_bytes(column->rows));
  } else {
    bits = full_bitmap(column->rows, true);
  }
  for (const RowError& error : errors) clear_bit(bits.as<std::uint8_t>(), error.row);
  Column copy = *column;
  copy.validity = bits.freeze();
  return std::make_shared<const Column>(std::move(copy));
}

std::vector<RowError> merge_errors(std::vector<RowError> first, std::vector<RowError> second) {
  if (second.empty()) return first;
  if (first.empty()) return second;
  std::vector<RowError> merged;
  merged.reserve(first.size() + second.size());
  const auto earlier = [](const RowError& a, const RowError& b) { return a.row < b.row; };
  // set_union takes the element of the first range where both have one.
  std::set_union(std::make_move_iterator(first.begin()), std::make_move_iterator(first.end()),
                 std::make_move_iterator(second.begin()), std::make_move_iterator(second.end()),
                 std::back_inserter(merged), earlier);
  return merged;
}

ColumnPtr materialise(const Vector& vector, std::size_t rows) {
  if (!vector.constant || rows == vector.column->rows) return vector.column;
  return constant_column(vector.column->type, vector.column->value(0), static_cast<std::uint32_t>(rows));
}

ColumnPtr null_column(Type type, std::size_t rows) {
  return constant_column(storage_type(type), Value{}, static_cast<std::uint32_t>(rows));
}

Vector constant_vector(Type type, const Value& value) {
  return {constant_column(storage_type(type), value, 1), true, {}};
}

}  // namespace dataflow::expr
