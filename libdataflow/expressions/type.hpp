#pragma once
// The types of expressions: those of fields, and two that no field can have: the interval (microseconds, between
// timestamps) and the type of a bare NULL.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "serialization/data_type.hpp"

namespace dataflow::expr {

/// Numeric kinds stand in the order in which they widen.
enum class Kind : std::uint8_t { null, boolean, int32, int64, decimal, float64, string, bytes, timestamp, interval };

/// More digits than this no decimal has.
inline constexpr std::uint8_t max_decimal_digits = 18;

struct Type {
  Kind kind = Kind::null;
  std::uint8_t precision = 0;  ///< decimals only
  std::uint8_t scale = 0;

  constexpr Type(Kind k = Kind::null) : kind{k} {}  // NOLINT(google-explicit-constructor)
  static constexpr Type decimal(unsigned precision, unsigned scale) {
    Type type{Kind::decimal};
    type.precision = static_cast<std::uint8_t>(precision < max_decimal_digits ? precision : max_decimal_digits);
    type.scale = static_cast<std::uint8_t>(scale);
    return type;
  }

  [[nodiscard]] bool is_numeric() const { return kind >= Kind::int32 && kind <= Kind::float64; }
  [[nodiscard]] bool is_integer() const { return kind == Kind::int32 || kind == Kind::int64; }
  [[nodiscard]] bool is_text() const { return kind == Kind::string || kind == Kind::bytes; }
  friend constexpr bool operator==(const Type&, const Type&) = default;
};

std::string to_string(Type type);

/// Nothing for arrays, maps and rows.
std::optional<Type> from_data_type(const DataType& type);
/// How a column of the type is stored: an interval as int64, a bare NULL as string.
DataType storage_type(Type type);

/// The type to which both can be widened without asking; nothing when there is none.
std::optional<Type> common_type(Type a, Type b);
/// A number's digits as a decimal; int64 has 18 (larger values fail when they are computed with).
Type as_decimal(Type integer_or_decimal);

/// A type name as SQL or the topology file spells it, without its parameters: `bigint`, `int64`, `varchar`.
/// decimal comes back with precision 0.
std::optional<Type> type_named(std::string_view name);
/// All names that type_named knows.
const std::vector<std::string>& type_names();

}  // namespace dataflow::expr
