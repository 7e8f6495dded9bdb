// The hot loops: contiguous, one for each combination of column and constant, without a branch inside, so that the
// compiler vectorises them. Integers are computed with wrap-around, and whether any row overflowed is gathered in one
// flag; only when it is set a second, exact pass looks for the rows (values under NULLs may set it in vain).

#include "libdataflow/expressions/arithmetic.hpp"

#include <libdivide.h>

#include <cassert>
#include <cmath>
#include <limits>

#include "libdataflow/expressions/divisible.hpp"
#include "libdataflow/expressions/rowwise.hpp"

namespace dataflow::expr {

namespace {

template <class T>
using Unsigned = std::make_unsigned_t<T>;

struct Add {
  static constexpr const char* symbol = " + ";
  template <class T>
  static T wrap(T a, T b, T& overflow) {
    const T r = static_cast<T>(static_cast<Unsigned<T>>(a) + static_cast<Unsigned<T>>(b));
    overflow |= static_cast<T>((a ^ r) & (b ^ r));
    return r;
  }
  static double apply(double a, double b) { return a + b; }
  template <class T>
  static bool overflows(T a, T b) {
    T r;
    return __builtin_add_overflow(a, b, &r);
  }
};

struct Subtract {
  static constexpr const char* symbol = " - ";
  template <class T>
  static T wrap(T a, T b, T& overflow) {
    const T r = static_cast<T>(static_cast<Unsigned<T>>(a) - static_cast<Unsigned<T>>(b));
    overflow |= static_cast<T>((a ^ b) & (a ^ r));
    return r;
  }
  static double apply(double a, double b) { return a - b; }
  template <class T>
  static bool overflows(T a, T b) {
    T r;
    return __builtin_sub_overflow(a, b, &r);
  }
};

struct Multiply {
  static constexpr const char* symbol = " * ";
  static std::int32_t wrap(std::int32_t a, std::int32_t b, std::int32_t& overflow) {
    const std::int64_t wide = static_cast<std::int64_t>(a) * b;
    const auto r = static_cast<std::int32_t>(wide);
    overflow |= -static_cast<std::int32_t>(wide != r);
    return r;
  }
  static std::int64_t wrap(std::int64_t a, std::int64_t b, std::int64_t& overflow) {
    std::int64_t r;
    overflow |= -static_cast<std::int64_t>(__builtin_mul_overflow(a, b, &r));
    return r;
  }
  static double apply(double a, double b) { return a * b; }
  template <class T>
  static bool overflows(T a, T b) {
    T r;
    return __builtin_mul_overflow(a, b, &r);
  }
};

/// Computes all rows; true when a row may have overflowed. `a` and `b` are one value where the flag says so.
template <class Op, bool ConstantLeft, bool ConstantRight, class T>
bool loop(const T* __restrict a, const T* __restrict b, T* __restrict out, std::uint32_t rows) {
  const T left = a[0];
  const T right = b[0];
  if constexpr (std::is_floating_point_v<T>) {
    for (std::uint32_t i = 0; i < rows; ++i) {
      out[i] = Op::apply(ConstantLeft ? left : a[i], ConstantRight ? right : b[i]);
    }
    return false;
  } else {
    T overflow = 0;
    for (std::uint32_t i = 0; i < rows; ++i) {
      out[i] = Op::wrap(ConstantLeft ? left : a[i], ConstantRight ? right : b[i], overflow);
    }
    return overflow < 0;
  }
}

template <class T>
std::string overflow_text(T a, const char* symbol, T b, Type type) {
  if (type.kind == Kind::timestamp || type.kind == Kind::interval) return to_string(type) + " out of range";
  return number_text(static_cast<std::int64_t>(a)) + symbol + number_text(static_cast<std::int64_t>(b)) +
         " is beyond " + to_string(type);
}

template <class Op, class T>
ColumnPtr compute(KernelCall& call) {
  const Vector& left = call.arguments[0];
  const Vector& right = call.arguments[1];
  GrowingBuffer out;
  out.resize(call.rows * sizeof(T));
  if (call.rows == 0) return call.finish(std::move(out));
  const T* a = left.column->values.as<T>();
  const T* b = right.column->values.as<T>();
  T* values = out.as<T>();
  const bool overflow = left.constant    ? loop<Op, true, false>(a, b, values, call.rows)
                        : right.constant ? loop<Op, false, true>(a, b, values, call.rows)
                                         : loop<Op, false, false>(a, b, values, call.rows);
  if constexpr (std::is_integral_v<T>) {
    if (overflow) {
      const Reader<T> x{left};
      const Reader<T> y{right};
      for (std::uint32_t row = 0; row < call.rows; ++row) {
        if (call.is_valid(row) && Op::overflows(x[row], y[row])) {
          call.fail(row, overflow_text(x[row], Op::symbol, y[row], call.type));
        }
      }
    }
  }
  return call.finish(std::move(out));
}

/// By a number that is the same for all rows, by multiplication: 1 ns a row where a division takes 2 to 8 (benchmark
/// nexmark_q2).
template <class T, bool Remainder>
ColumnPtr divide_by_constant(KernelCall& call, T divisor) {
  const Reader<T> a{call.arguments[0]};
  const libdivide::divider<T, libdivide::BRANCHFREE> by{divisor};
  GrowingBuffer out;
  out.resize(call.rows * sizeof(T));
  T* values = out.as<T>();
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    const T x = a[i];
    const T quotient = x / by;
    values[i] = Remainder ? static_cast<T>(x - quotient * divisor) : quotient;
  }
  return call.finish(std::move(out));
}

/// Integer division and remainder. A row that cannot be divided is computed with the divisor 1, as values under NULLs
/// are often 0.
template <class T, bool Remainder>
ColumnPtr divide_integers(KernelCall& call) {
  const Reader<T> a{call.arguments[0]};
  const Reader<T> b{call.arguments[1]};
  if (call.arguments[1].constant && call.rows > 1 && (b[0] > 1 || b[0] < -1)) {
    return divide_by_constant<T, Remainder>(call, b[0]);
  }
  GrowingBuffer out;
  out.resize(call.rows * sizeof(T));
  T* values = out.as<T>();
  bool bad = false;
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    const T x = a[i];
    const T y = b[i];
    const bool impossible = y == 0 || (y == -1 && x == std::numeric_limits<T>::min());
    bad = bad || impossible;
    const T divisor = impossible ? T{1} : y;
    values[i] = Remainder ? static_cast<T>(x % divisor) : static_cast<T>(x / divisor);
  }
  for (std::uint32_t i = 0; bad && i < call.rows; ++i) {
    if (!call.is_valid(i)) continue;
    if (b[i] == 0) {
      call.fail(i, "division by zero");
    } else if (b[i] == -1 && a[i] == std::numeric_limits<T>::min()) {
      if (Remainder) {
        values[i] = 0;  // x % -1 is 0 for every x
      } else {
        call.fail(i, overflow_text(a[i], " / ", b[i], call.type));
      }
    }
  }
  return call.finish(std::move(out));
}

template <class T>
Kernel test_divisible(T divisor, bool negated) {
  return [by = DivisibleBy<T>{divisor}, negated](KernelCall& call) {
    GrowingBuffer out;
    out.resize(call.rows);
    by.test(call.arguments[0].column->values.as<T>(), call.rows, negated, out.as<std::uint8_t>());
    return call.finish(std::move(out));
  };
}

template <bool Remainder>
ColumnPtr divide_floats(KernelCall& call) {
  const Reader<double> a{call.arguments[0]};
  const Reader<double> b{call.arguments[1]};
  GrowingBuffer out;
  out.resize(call.rows * sizeof(double));
  auto* values = out.as<double>();
  bool zero = false;
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    const double y = b[i];
    zero |= y == 0;
    if constexpr (Remainder) {
      values[i] = std::fmod(a[i], y);
    } else {
      values[i] = a[i] / y;
    }
  }
  for (std::uint32_t i = 0; zero && i < call.rows; ++i) {
    if (b[i] == 0 && call.is_valid(i)) call.fail(i, "division by zero");
  }
  return call.finish(std::move(out));
}

template <class T>
Kernel integer_kernel(BinaryOperator op) {
  switch (op) {
    case BinaryOperator::add: return compute<Add, T>;
    case BinaryOperator::subtract: return compute<Subtract, T>;
    case BinaryOperator::multiply: return compute<Multiply, T>;
    case BinaryOperator::divide: return divide_integers<T, false>;
    case BinaryOperator::modulo: return divide_integers<T, true>;
    default: return {};
  }
}

Kernel float_kernel(BinaryOperator op) {
  switch (op) {
    case BinaryOperator::add: return compute<Add, double>;
    case BinaryOperator::subtract: return compute<Subtract, double>;
    case BinaryOperator::multiply: return compute<Multiply, double>;
    case BinaryOperator::divide: return divide_floats<false>;
    case BinaryOperator::modulo: return divide_floats<true>;
    default: return {};
  }
}

template <class T>
Kernel negate_integer(Type type) {
  return try_rows<T, T>([type](RowResult<T>& out, T x) {
    if (x == std::numeric_limits<T>::min())
      return out.fail("-(" + number_text(static_cast<std::int64_t>(x)) + ") is beyond " + to_string(type));
    out.set(static_cast<T>(-x));
  });
}

}  // namespace

Kernel arithmetic_kernel(BinaryOperator op, Kind kind) {
  switch (kind) {
    case Kind::int32: return integer_kernel<std::int32_t>(op);
    case Kind::int64:
    case Kind::timestamp:
    case Kind::interval: return integer_kernel<std::int64_t>(op);
    case Kind::float64: return float_kernel(op);
    default: return {};
  }
}

Kernel divisible_kernel(Kind kind, std::int64_t divisor, bool negated) {
  assert(divisor != 0 && (kind == Kind::int64 || kind == Kind::int32));
  if (kind == Kind::int64) return test_divisible(divisor, negated);
  return test_divisible(static_cast<std::int32_t>(divisor), negated);
}

Kernel negate_kernel(Type type) {
  switch (type.kind) {
    case Kind::int32: return negate_integer<std::int32_t>(type);
    case Kind::int64:
    case Kind::decimal:
    case Kind::interval: return negate_integer<std::int64_t>(type);
    case Kind::float64: return map_rows<double, double>([](double x) { return -x; });
    default: return {};
  }
}

}  // namespace dataflow::expr
