#pragma once
// The type of a field. The tree is recursive from version 1 of the format (array, map, row), even while
// no column of those kinds can be built yet.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "serialization/result.hpp"

namespace dataflow {

/// Numbers are part of the wire format: never reuse one.
enum class TypeKind : std::uint8_t {
  boolean = 0,
  int32 = 1,
  int64 = 2,
  float64 = 3,
  decimal = 4,  ///< 64-bit integer scaled by 10^scale, precision at most 18
  string = 5,   ///< UTF-8
  bytes = 6,
  timestamp = 7,  ///< microseconds since the Unix epoch, UTC
  array = 8,
  map = 9,
  row = 10,
};

struct Field;

/// An immutable value; copying one is cheap. Every type is nullable.
class DataType {
 public:
  constexpr DataType(TypeKind kind = TypeKind::int64) : kind_{kind} {}  // NOLINT(google-explicit-constructor)
  static DataType decimal(std::uint8_t precision, std::uint8_t scale);
  /// array: one child "element"; map: "key" and "value"; row: its fields.
  static DataType nested(TypeKind kind, std::vector<Field> children);

  [[nodiscard]] TypeKind kind() const { return kind_; }
  [[nodiscard]] std::uint8_t precision() const { return precision_; }
  [[nodiscard]] std::uint8_t scale() const { return scale_; }
  [[nodiscard]] const std::vector<Field>& children() const;

  /// string and bytes: offsets beside the values.
  [[nodiscard]] bool is_variable_width() const { return kind_ == TypeKind::string || kind_ == TypeKind::bytes; }
  [[nodiscard]] bool is_numeric() const {
    return kind_ == TypeKind::int32 || kind_ == TypeKind::int64 || kind_ == TypeKind::float64 ||
           kind_ == TypeKind::decimal;
  }
  [[nodiscard]] bool is_nested() const { return kind_ >= TypeKind::array; }
  /// Bytes of one value in a column: 1, 4 or 8; 0 when variable or nested.
  [[nodiscard]] std::size_t width() const;

  friend bool operator==(const DataType& a, const DataType& b);

 private:
  TypeKind kind_;
  std::uint8_t precision_ = 0;
  std::uint8_t scale_ = 0;
  std::shared_ptr<const std::vector<Field>> children_;
};

/// As a person types it: `int64`, `decimal(10,2)`, `array<string>`.
std::string to_string(const DataType& type);

/// Reads what to_string writes. Errors: invalid_argument, naming the nearest known type.
Result<DataType> parse_data_type(std::string_view text);

struct Field {
  std::string name;
  DataType type;
  friend bool operator==(const Field&, const Field&) = default;
};

}  // namespace dataflow
