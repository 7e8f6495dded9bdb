// Decimal arithmetic: 64-bit unscaled values, computed in 128 bits and checked against 18 digits.

#include <algorithm>
#include <charconv>
#include <limits>

#include "libdataflow/expressions/arithmetic.hpp"
#include "libdataflow/expressions/literals.hpp"
#include "libdataflow/expressions/rowwise.hpp"

namespace dataflow::expr {

namespace {

constexpr std::uint8_t least_quotient_scale = 6;

int128 wide_power_of_ten(unsigned exponent) {
  int128 power = 1;
  while (exponent-- != 0) power *= 10;
  return power;
}

int128 divide_half_away(int128 numerator, int128 denominator) {
  const int128 quotient = numerator / denominator;
  const int128 rest = numerator % denominator;
  const int128 twice = (rest < 0 ? -rest : rest) * 2;
  if (twice < (denominator < 0 ? -denominator : denominator)) return quotient;
  return quotient + ((numerator < 0) == (denominator < 0) ? 1 : -1);
}

void put(RowResult<std::int64_t>& out, int128 value, Type type) {
  if (!is_decimal(value)) return out.fail("the result has more than 18 digits, too many for " + to_string(type));
  out.set(static_cast<std::int64_t>(value));
}

/// From `int128 f(int64_t, int64_t)`, which no two numbers make impossible. All rows are computed without a branch, and
/// only when one of them is too large a second pass says which (values under NULLs may ask for it in vain).
template <class F>
Kernel checked_rows(F f, Type result) {
  Kernel exact = try_rows<std::int64_t, std::int64_t, std::int64_t>(
      [=](RowResult<std::int64_t>& out, std::int64_t a, std::int64_t b) { put(out, f(a, b), result); });
  return [f, exact = std::move(exact)](KernelCall& call) {
    const Reader<std::int64_t> a{call.arguments[0]};
    const Reader<std::int64_t> b{call.arguments[1]};
    GrowingBuffer out;
    out.resize(call.rows * sizeof(std::int64_t));
    auto* values = out.as<std::int64_t>();
    bool bad = false;
    for (std::uint32_t row = 0; row < call.rows; ++row) {
      const int128 value = f(a[row], b[row]);
      bad |= !is_decimal(value);
      values[row] = static_cast<std::int64_t>(value);
    }
    return bad ? exact(call) : call.finish(std::move(out));
  };
}

Kernel sum_kernel(bool subtract, Type left, Type right, Type result) {
  const std::int64_t by_left = power_of_ten(static_cast<unsigned>(result.scale - left.scale));
  const std::int64_t by_right = power_of_ten(static_cast<unsigned>(result.scale - right.scale));
  const auto add = [=](std::int64_t a, std::int64_t b) {
    return static_cast<int128>(a) * by_left + static_cast<int128>(b) * by_right;
  };
  const auto take_away = [=](std::int64_t a, std::int64_t b) {
    return static_cast<int128>(a) * by_left - static_cast<int128>(b) * by_right;
  };
  return subtract ? checked_rows(take_away, result) : checked_rows(add, result);
}

Kernel quotient_kernel(Type left, Type right, Type result) {
  const int128 by = wide_power_of_ten(static_cast<unsigned>(result.scale - left.scale + right.scale));
  constexpr int128 largest_wide = ((int128{1} << 126) - 1) * 2 + 1;
  const int128 largest = largest_wide / by;
  return try_rows<std::int64_t, std::int64_t, std::int64_t>(
      [=](RowResult<std::int64_t>& out, std::int64_t a, std::int64_t b) {
        if (b == 0) return out.fail("division by zero");
        // Beyond 128 bits the quotient has more than 18 digits for every divisor of 64 bits.
        const int128 wide = a;
        if (wide > largest || wide < -largest) {
          return out.fail("the result has more than 18 digits, too many for " + to_string(result));
        }
        put(out, divide_half_away(wide * by, b), result);
      });
}

Kernel remainder_kernel(Type left, Type right, Type result) {
  const std::int64_t by_left = power_of_ten(static_cast<unsigned>(result.scale - left.scale));
  const std::int64_t by_right = power_of_ten(static_cast<unsigned>(result.scale - right.scale));
  return try_rows<std::int64_t, std::int64_t, std::int64_t>(
      [=](RowResult<std::int64_t>& out, std::int64_t a, std::int64_t b) {
        if (b == 0) return out.fail("division by zero");
        put(out, (static_cast<int128>(a) * by_left) % (static_cast<int128>(b) * by_right), result);
      });
}

}  // namespace

int128 drop_digits(int128 value, unsigned digits) {
  return divide_half_away(value, wide_power_of_ten(digits));
}

std::optional<Type> decimal_result(BinaryOperator op, Type left, Type right) {
  const Type a = as_decimal(left);
  const Type b = as_decimal(right);
  const unsigned scale = std::max(a.scale, b.scale);
  const unsigned whole = static_cast<unsigned>(std::max(a.precision - a.scale, b.precision - b.scale));
  switch (op) {
    case BinaryOperator::add:
    case BinaryOperator::subtract: return Type::decimal(whole + scale + 1, scale);
    case BinaryOperator::multiply:
      if (a.scale + b.scale > max_decimal_digits) return std::nullopt;
      return Type::decimal(static_cast<unsigned>(a.precision + b.precision), static_cast<unsigned>(a.scale + b.scale));
    case BinaryOperator::divide: return Type::decimal(max_decimal_digits, std::max(a.scale, least_quotient_scale));
    default: return Type::decimal(whole + scale, scale);
  }
}

Kernel decimal_kernel(BinaryOperator op, Type left, Type right, Type result) {
  left = as_decimal(left);
  right = as_decimal(right);
  switch (op) {
    // The analyzer loses sight of who owns what a std::function holds; the leak sanitizer does not.
    // NOLINTBEGIN(clang-analyzer-cplusplus.NewDeleteLeaks)
    case BinaryOperator::add: return sum_kernel(false, left, right, result);
    case BinaryOperator::subtract: return sum_kernel(true, left, right, result);
    // NOLINTEND(clang-analyzer-cplusplus.NewDeleteLeaks)
    case BinaryOperator::multiply:
      return checked_rows([](std::int64_t a, std::int64_t b) { return static_cast<int128>(a) * b; }, result);
    case BinaryOperator::divide: return quotient_kernel(left, right, result);
    case BinaryOperator::modulo: return remainder_kernel(left, right, result);
    default: return {};
  }
}

std::string number_text(std::int64_t value, std::uint8_t scale) {
  std::string text;
  append_decimal(value, scale, text);
  return text;
}

std::string number_text(double value) {
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  return {buffer, end};
}

}  // namespace dataflow::expr
