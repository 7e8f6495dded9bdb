#pragma once
// Kernels of + - * / % and unary minus.

#include "libdataflow/expressions/ast.hpp"
#include "libdataflow/expressions/literals.hpp"
#include "libdataflow/expressions/node.hpp"

namespace dataflow::expr {

/// Both arguments and the result of one kind: int32, int64, float64, timestamp or interval (both as int64).
/// Overflow and division by zero are row errors; float64 follows IEEE 754 except for division by zero.
Kernel arithmetic_kernel(BinaryOperator op, Kind kind);

/// Whether x % divisor is 0, or `negated`: is not, of an x of `kind`, int32 or int64, of which the divisor is one too,
/// and not 0.
Kernel divisible_kernel(Kind kind, std::int64_t divisor, bool negated);

/// Arguments int64 (scale 0) or decimal; `result` as decimal_result says.
Kernel decimal_kernel(BinaryOperator op, Type left, Type right, Type result);

/// The type of decimal arithmetic. Nothing when a product needs more than 18 digits after the point.
std::optional<Type> decimal_result(BinaryOperator op, Type left, Type right);

/// -x for a numeric type or an interval.
Kernel negate_kernel(Type type);

/// |unscaled| has at most 18 digits.
inline bool is_decimal(int128 unscaled) {
  constexpr std::int64_t limit = 1'000'000'000'000'000'000;
  return unscaled < limit && unscaled > -limit;
}

/// `value` / 10^digits, rounded half away from zero.
int128 drop_digits(int128 value, unsigned digits);

/// As messages show numbers.
std::string number_text(std::int64_t value, std::uint8_t scale = 0);
std::string number_text(double value);

}  // namespace dataflow::expr
