#include <cmath>
#include <limits>

#include "libdataflow/expressions/arithmetic.hpp"
#include "libdataflow/expressions/cast.hpp"
#include "libdataflow/expressions/literals.hpp"
#include "libdataflow/expressions/registry.hpp"
#include "libdataflow/expressions/rowwise.hpp"

namespace dataflow::expr {

namespace {

using Bound = tl::expected<Kernel, ArgumentError>;
using DecimalResult = RowResult<std::int64_t>;

template <class T>
Kernel absolute_integer(Type type) {
  return try_rows<T, T>([type](RowResult<T>& out, T x) {
    if (x == std::numeric_limits<T>::min()) {
      return out.fail("abs(" + number_text(static_cast<std::int64_t>(x)) + ") is beyond " + to_string(type));
    }
    out.set(static_cast<T>(x < 0 ? -x : x));
  });
}

Bound absolute(const Binding& call) {
  switch (call.type(0).kind) {
    case Kind::int32: return absolute_integer<std::int32_t>(call.type(0));
    case Kind::float64: return map_rows<double, double>([](double x) { return std::fabs(x); });
    default: return absolute_integer<std::int64_t>(call.type(0));
  }
}

Bound sign(const Binding& call) {
  const auto of = [](auto x) { return static_cast<std::int64_t>(x > 0) - static_cast<std::int64_t>(x < 0); };
  switch (call.type(0).kind) {
    case Kind::int32: return map_rows<std::int64_t, std::int32_t>(of);
    case Kind::float64: return map_rows<std::int64_t, double>(of);
    default: return map_rows<std::int64_t, std::int64_t>(of);
  }
}

/// The whole part of a decimal, to one side.
template <bool Up>
Kernel decimal_to_side(std::uint8_t scale) {
  return map_rows<std::int64_t, std::int64_t>([by = power_of_ten(scale)](std::int64_t x) {
    const std::int64_t whole = x / by;
    const std::int64_t rest = x % by;
    if constexpr (Up) return whole + (rest > 0 ? 1 : 0);
    return whole - (!Up && rest < 0 ? 1 : 0);
  });
}

Kernel unchanged(Type type) {
  if (type.kind == Kind::int32) return map_rows<std::int32_t, std::int32_t>([](std::int32_t x) { return x; });
  return map_rows<std::int64_t, std::int64_t>([](std::int64_t x) { return x; });
}

template <bool Up>
Bound to_side(const Binding& call) {
  const Type type = call.type(0);
  if (type.kind == Kind::decimal) return decimal_to_side<Up>(type.scale);
  if (type.kind != Kind::float64) return unchanged(type);
  if constexpr (Up) return map_rows<double, double>([](double x) { return std::ceil(x); });
  return map_rows<double, double>([](double x) { return std::floor(x); });
}

ResultType whole_number() {
  return {[](std::span<const Type> types) {
            const Type x = types[0];
            return x.kind == Kind::decimal ? Type::decimal(static_cast<unsigned>(x.precision - x.scale + 1), 0) : x;
          },
          "the type of x, without fraction"};
}

Bound round_whole(const Binding& call) {
  const Type type = call.type(0);
  if (type.kind == Kind::float64) return map_rows<double, double>([](double x) { return std::round(x); });
  if (type.kind != Kind::decimal) return unchanged(type);
  return map_rows<std::int64_t, std::int64_t>(
      [scale = type.scale](std::int64_t x) { return static_cast<std::int64_t>(drop_digits(x, scale)); });
}

/// Rounds half away from zero what the shortest text of the number shows: round(2.675, 2) is 2.68.
double round_double(double x, std::int64_t digits) {
  constexpr std::int64_t most = 15;
  if (!std::isfinite(x) || digits > most) return x;
  if (digits < 0) {
    if (digits < -308) return 0;
    const double by = std::pow(10.0, static_cast<double>(-digits));
    return std::round(x / by) * by;
  }
  const double by = static_cast<double>(power_of_ten(static_cast<unsigned>(digits)));
  constexpr double exact = 9007199254740992.0;  // 2^53: no fraction beyond
  if (std::fabs(x) * by >= exact) return x;
  const double scaled = x * by;
  // Half-way cases are seldom exact in binary: let the last bits count as half.
  const double nudged = scaled + std::copysign(std::fabs(scaled) * std::numeric_limits<double>::epsilon(), scaled);
  return std::round(nudged) / by;
}

/// A whole number rounded at 10^digits.
int128 round_integer(std::int64_t x, std::int64_t digits) {
  if (digits >= 0) return x;
  if (digits < -max_decimal_digits) return 0;
  const auto dropped = static_cast<unsigned>(-digits);
  return drop_digits(x, dropped) * power_of_ten(dropped);
}

template <class T>
Kernel round_integers(Type type) {
  return try_rows<T, T, std::int64_t>([type](RowResult<T>& out, T x, std::int64_t digits) {
    const int128 rounded = round_integer(x, digits);
    if (static_cast<T>(rounded) != rounded) return out.fail("the rounded number is beyond " + to_string(type));
    out.set(static_cast<T>(rounded));
  });
}

Bound round_to(const Binding& call) {
  const Type type = call.type(0);
  switch (type.kind) {
    case Kind::float64: return map_rows<double, double, std::int64_t>(round_double);
    case Kind::int32: return round_integers<std::int32_t>(type);
    case Kind::decimal:
      return try_rows<std::int64_t, std::int64_t, std::int64_t>(
          [type](DecimalResult& out, std::int64_t x, std::int64_t n) {
            const int128 rounded = n >= type.scale ? int128{x} : round_integer(x, n - type.scale);
            if (!is_decimal(rounded)) return out.fail("the rounded number has more than 18 digits");
            out.set(static_cast<std::int64_t>(rounded));
          });
    default: return round_integers<std::int64_t>(type);
  }
}

/// A float64 function with a domain: `in_domain` false is a row error.
template <class Domain, class F>
Bind partial(const std::string& name, Domain in_domain, F f) {
  return always(try_rows<double, double>([=](RowResult<double>& out, double x) {
    if (!in_domain(x)) return out.fail(name + "(" + number_text(x) + ") is not defined");
    out.set(f(x));
  }));
}

void power(RowResult<double>& out, double base, double exponent) {
  const bool whole = exponent == std::trunc(exponent);
  if ((base < 0 && !whole) || (base == 0 && exponent < 0)) {
    return out.fail("power(" + number_text(base) + ", " + number_text(exponent) + ") is not defined");
  }
  out.set(std::pow(base, exponent));
}

void logarithm(RowResult<double>& out, double base, double x) {
  if (!(base > 0) || base == 1 || x <= 0) {
    return out.fail("log(" + number_text(base) + ", " + number_text(x) + ") is not defined");
  }
  out.set(std::log(x) / std::log(base));
}

template <class T, bool Greatest>
Kernel extreme_fixed() {
  return [](KernelCall& call) {
    GrowingBuffer out;
    out.resize(call.rows * sizeof(T));
    T* values = out.as<T>();
    for (std::size_t i = 0; i < call.arguments.size(); ++i) {
      const Reader<T> from{call.arguments[i]};
      for (std::uint32_t row = 0; row < call.rows; ++row) {
        const T x = from[row];
        values[row] = i == 0 || (Greatest ? x > values[row] : x < values[row]) ? x : values[row];
      }
    }
    return call.finish(std::move(out));
  };
}

template <bool Greatest>
Kernel extreme_text() {
  return [](KernelCall& call) {
    std::vector<Reader<std::string_view>> readers;
    for (const Vector& argument : call.arguments) readers.emplace_back(argument);
    TextResult out{call};
    for (std::uint32_t row = 0; row < call.rows; ++row) {
      if (!call.is_valid(row)) continue;
      std::string_view best = readers[0][row];
      for (const auto& reader : readers) {
        if (Greatest ? reader[row] > best : reader[row] < best) best = reader[row];
      }
      out.begin(row);
      out.append(best);
    }
    return out.finish();
  };
}

template <bool Greatest>
Bound extreme(const Binding& call) {
  switch (storage_type(call.type(0)).kind()) {
    case TypeKind::boolean: return extreme_fixed<std::uint8_t, Greatest>();
    case TypeKind::int32: return extreme_fixed<std::int32_t, Greatest>();
    case TypeKind::float64: return extreme_fixed<double, Greatest>();
    case TypeKind::string:
    case TypeKind::bytes: return extreme_text<Greatest>();
    default: return extreme_fixed<std::int64_t, Greatest>();
  }
}

Function one_float(std::string name, std::string help, std::string example, Bind bind) {
  return {std::move(name),
          "math",
          std::move(help),
          std::move(example),
          {{{{"x", Accepts::float64}}, Kind::float64, std::move(bind)}}};
}

}  // namespace

void add_math_functions(std::vector<Function>& table) {
  const Parameter number{"x", Accepts::number};
  const auto any = [](double) { return true; };
  const auto positive = [](double x) { return !(x <= 0); };
  table.push_back({"abs", "math", "The absolute value.", "abs(-3) = 3", {{{number}, same_as_first(), absolute}}});
  table.push_back({"sign",
                   "math",
                   "-1, 0 or 1 as the number is negative, zero or positive.",
                   "sign(-2.5) = -1",
                   {{{number}, Kind::int64, sign}}});
  table.push_back({"ceil",
                   "math",
                   "The smallest whole number that is not below x.",
                   "ceil(2.1) = 3",
                   {{{number}, whole_number(), to_side<true>}}});
  table.push_back({"floor",
                   "math",
                   "The largest whole number that is not above x.",
                   "floor(-2.1) = -3",
                   {{{number}, whole_number(), to_side<false>}}});
  table.push_back(
      {"round",
       "math",
       "Rounded to a whole number or to so many digits after the point (before it when negative), half away "
       "from zero.",
       "round(2.345, 2) = 2.35",
       {{{number}, whole_number(), round_whole}, {{number, {"digits", Accepts::int64}}, same_as_first(), round_to}}});
  table.push_back(one_float("sqrt", "The square root; an error for negative numbers.", "sqrt(16) = 4",
                            partial(
                                "sqrt", [](double x) { return !(x < 0); }, [](double x) { return std::sqrt(x); })));
  table.push_back(one_float("exp", "e to the power of x.", "exp(0) = 1",
                            partial("exp", any, [](double x) { return std::exp(x); })));
  table.push_back(one_float("ln", "The natural logarithm; an error for numbers that are not positive.", "ln(1) = 0",
                            partial("ln", positive, [](double x) { return std::log(x); })));
  Function log = one_float("log", "The natural logarithm, or with two arguments that of x to a base.",
                           "round(log(2, 8), 9) = 3", partial("log", positive, [](double x) { return std::log(x); }));
  log.overloads.push_back({{{"base", Accepts::float64}, {"x", Accepts::float64}},
                           Kind::float64,
                           always(try_rows<double, double, double>(logarithm))});
  table.push_back(std::move(log));
  table.push_back({"power",
                   "math",
                   "x to the power of y.",
                   "power(2, 10) = 1024",
                   {{{{"x", Accepts::float64}, {"y", Accepts::float64}},
                     Kind::float64,
                     always(try_rows<double, double, double>(power))}}});
  table.push_back({"greatest",
                   "math",
                   "The largest of the arguments; NULL when one of them is.",
                   "greatest(1, 3, 2) = 3",
                   {{{{"x", Accepts::comparable}}, same_as_all(), extreme<true>, 0, true}}});
  table.push_back({"least",
                   "math",
                   "The smallest of the arguments; NULL when one of them is.",
                   "least(1, 3, 2) = 1",
                   {{{{"x", Accepts::comparable}}, same_as_all(), extreme<false>, 0, true}}});
}

}  // namespace dataflow::expr
