#pragma once
// What a node of the checked tree computes: a column, or one value that stands for all rows, with the rows that could
// not be computed.

#include <string>
#include <vector>

#include "libdataflow/expressions/expression.hpp"
#include "libdataflow/expressions/type.hpp"
#include "serialization/column.hpp"

namespace dataflow::expr {

struct Vector {
  ColumnPtr column;
  bool constant = false;         ///< `column` has one row, valid for all rows; then there are no errors
  std::vector<RowError> errors;  ///< ascending, at most one a row; these rows are NULL in `column`

  /// NULL at `row`, whether constant or not.
  [[nodiscard]] bool is_null(std::size_t row) const { return column->is_null(constant ? 0 : row); }
  [[nodiscard]] bool is_null_constant() const { return constant && column->is_null(0); }
};

/// Reads a fixed-width vector row by row, a constant through a stride of 0.
template <class T>
class Reader {
 public:
  explicit Reader(const Vector& vector)
      : values_{vector.column->values.as<T>()}, stride_{vector.constant ? std::size_t{0} : std::size_t{1}} {}
  [[nodiscard]] T operator[](std::size_t row) const { return values_[row * stride_]; }

 private:
  const T* values_;
  std::size_t stride_;
};

template <>
class Reader<bool> {
 public:
  explicit Reader(const Vector& vector) : bytes_{vector} {}
  [[nodiscard]] bool operator[](std::size_t row) const { return bytes_[row] != 0; }

 private:
  Reader<std::uint8_t> bytes_;
};

template <>
class Reader<std::string_view> {
 public:
  explicit Reader(const Vector& vector)
      : bytes_{vector.column->values.as<char>()},
        offsets_{vector.column->offset_data()},
        stride_{vector.constant ? std::size_t{0} : std::size_t{1}} {}
  [[nodiscard]] std::string_view operator[](std::size_t row) const {
    const std::uint32_t* at = offsets_ + row * stride_;
    return {bytes_ + at[0], at[1] - at[0]};
  }

 private:
  const char* bytes_;
  const std::uint32_t* offsets_;
  std::size_t stride_;
};

/// A validity bitmap for `rows` rows, all set or all clear.
GrowingBuffer full_bitmap(std::size_t rows, bool valid);

/// The rows that are valid in every column of `vectors` (constants count for all rows); empty when all rows are.
/// Shares the only bitmap there is; combines several word by word.
Buffer combined_validity(std::span<const Vector> vectors, std::size_t rows);

/// The rows that both bitmaps have; an empty one has all.
Buffer both_valid(const Buffer& a, const Buffer& b, std::size_t rows);

/// `column` with the rows of `errors` NULL.
ColumnPtr with_nulls_at(ColumnPtr column, std::span<const RowError> errors);

/// Both lists in one, ascending; of two errors of a row the one of `first` stays.
std::vector<RowError> merge_errors(std::vector<RowError> first, std::vector<RowError> second);

/// A constant spelt out over `rows` rows; other vectors as they are.
ColumnPtr materialise(const Vector& vector, std::size_t rows);

/// NULL in every row.
ColumnPtr null_column(Type type, std::size_t rows);

/// One constant row.
Vector constant_vector(Type type, const Value& value);

}  // namespace dataflow::expr
