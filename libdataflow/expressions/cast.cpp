#include "libdataflow/expressions/cast.hpp"

#include <cassert>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

#include "libdataflow/expressions/arithmetic.hpp"
#include "libdataflow/expressions/literals.hpp"
#include "libdataflow/expressions/rowwise.hpp"
#include "libdataflow/expressions/token.hpp"
#include "libdataflow/expressions/utf8.hpp"

namespace dataflow::expr {

namespace {

std::string shown(std::string_view text) {
  constexpr std::size_t longest = 60;
  return "'" + std::string{text.substr(0, longest)} + (text.size() > longest ? "...'" : "'");
}

template <class T>
void cut_to_integer(RowResult<T>& out, double value, Type to) {
  // The bounds are exact as doubles: -2^n and 2^n.
  constexpr double low = static_cast<double>(std::numeric_limits<T>::min());
  if (!(value >= low && value < -low)) {
    return out.fail(number_text(value) + " does not fit into " + to_string(to));
  }
  out.set(static_cast<T>(value));
}

template <class T>
Kernel to_integer(Type from, Type to) {
  switch (from.kind) {
    case Kind::boolean: return map_rows<T, bool>([](bool x) { return static_cast<T>(x); });
    case Kind::int32: return map_rows<T, std::int32_t>([](std::int32_t x) { return static_cast<T>(x); });
    case Kind::int64:
      return try_rows<T, std::int64_t>([to](RowResult<T>& out, std::int64_t x) {
        if (static_cast<T>(x) != x) return out.fail(number_text(x) + " does not fit into " + to_string(to));
        out.set(static_cast<T>(x));
      });
    case Kind::decimal:
      return try_rows<T, std::int64_t>([from, to, by = power_of_ten(from.scale)](RowResult<T>& out, std::int64_t x) {
        const std::int64_t whole = x / by;
        if (static_cast<T>(whole) != whole) {
          return out.fail(number_text(x, from.scale) + " does not fit into " + to_string(to));
        }
        out.set(static_cast<T>(whole));
      });
    case Kind::float64:
      return try_rows<T, double>([to](RowResult<T>& out, double x) { cut_to_integer<T>(out, std::trunc(x), to); });
    case Kind::string:
      return try_rows<T, std::string_view>([to](RowResult<T>& out, std::string_view text) {
        std::string_view digits = trimmed(text);
        if (digits.size() > 1 && digits[0] == '+' && digits[1] != '-') digits.remove_prefix(1);
        T value{};
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
        if (error != std::errc{} || end != digits.data() + digits.size()) {
          return out.fail(shown(text) + " is not an " + to_string(to));
        }
        out.set(value);
      });
    default: return {};
  }
}

Kernel to_double(Type from) {
  switch (from.kind) {
    case Kind::int32: return map_rows<double, std::int32_t>([](std::int32_t x) { return static_cast<double>(x); });
    case Kind::int64: return map_rows<double, std::int64_t>([](std::int64_t x) { return static_cast<double>(x); });
    case Kind::decimal:
      // Both are exact below 2^53, so the quotient is the nearest double to the decimal.
      return map_rows<double, std::int64_t>(
          [by = static_cast<double>(power_of_ten(from.scale))](std::int64_t x) { return static_cast<double>(x) / by; });
    case Kind::string:
      return try_rows<double, std::string_view>([](RowResult<double>& out, std::string_view text) {
        const auto value = parse_double(text);
        if (!value) return out.fail(shown(text) + " is not a float64");
        out.set(*value);
      });
    default: return {};
  }
}

void put_decimal(RowResult<std::int64_t>& out, int128 value, Type to, const std::string& original) {
  const std::int64_t limit = power_of_ten(to.precision);
  if (value >= limit || value <= -limit) return out.fail(original + " does not fit into " + to_string(to));
  out.set(static_cast<std::int64_t>(value));
}

void double_to_decimal(RowResult<std::int64_t>& out, double x, Type to) {
  // By way of the shortest text, so that 0.3 is 0.3 and not 0.299999999999999988898.
  char buffer[512];
  const auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, x, std::chars_format::fixed);
  const auto value = std::isfinite(x) && error == std::errc{}
                         ? parse_decimal({buffer, static_cast<std::size_t>(end - buffer)}, to.scale)
                         : std::nullopt;
  if (!value) return out.fail(number_text(x) + " does not fit into " + to_string(to));
  put_decimal(out, *value, to, number_text(x));
}

Kernel to_decimal(Type from, Type to) {
  using Out = RowResult<std::int64_t>;
  switch (from.kind) {
    case Kind::int32:
      return try_rows<std::int64_t, std::int32_t>([to, by = power_of_ten(to.scale)](Out& out, std::int32_t x) {
        put_decimal(out, static_cast<int128>(x) * by, to, number_text(static_cast<std::int64_t>(x)));
      });
    case Kind::int64:
      return try_rows<std::int64_t, std::int64_t>([to, by = power_of_ten(to.scale)](Out& out, std::int64_t x) {
        put_decimal(out, static_cast<int128>(x) * by, to, number_text(x));
      });
    case Kind::decimal:
      return try_rows<std::int64_t, std::int64_t>([from, to](Out& out, std::int64_t x) {
        const int128 value = to.scale >= from.scale
                                 ? static_cast<int128>(x) * power_of_ten(static_cast<unsigned>(to.scale - from.scale))
                                 : drop_digits(x, static_cast<unsigned>(from.scale - to.scale));
        put_decimal(out, value, to, number_text(x, from.scale));
      });
    case Kind::float64:
      return try_rows<std::int64_t, double>([to](Out& out, double x) { double_to_decimal(out, x, to); });
    case Kind::string:
      return try_rows<std::int64_t, std::string_view>([to](Out& out, std::string_view text) {
        const auto value = parse_decimal(text, to.scale);
        if (!value) return out.fail(shown(text) + " is not a " + to_string(to));
        put_decimal(out, *value, to, shown(text));
      });
    default: return {};
  }
}

Kernel to_boolean(Type from) {
  switch (from.kind) {
    case Kind::int32: return map_rows<bool, std::int32_t>([](std::int32_t x) { return x != 0; });
    case Kind::int64: return map_rows<bool, std::int64_t>([](std::int64_t x) { return x != 0; });
    case Kind::string:
      return try_rows<bool, std::string_view>([](RowResult<bool>& out, std::string_view text) {
        const std::string_view word = trimmed(text);
        for (const char* yes : {"true", "t", "yes", "1"}) {
          if (same_word(word, yes)) return out.set(true);
        }
        for (const char* no : {"false", "f", "no", "0"}) {
          if (same_word(word, no)) return out.set(false);
        }
        out.fail(shown(text) + " is not a bool");
      });
    default: return {};
  }
}

template <class T>
Kernel integer_to_text() {
  return text_rows<T>([](TextResult& out, T x) {
    char buffer[24];
    const auto end = std::to_chars(buffer, buffer + sizeof buffer, x).ptr;
    out.append({buffer, static_cast<std::size_t>(end - buffer)});
  });
}

Kernel to_text(Type from) {
  switch (from.kind) {
    case Kind::boolean: return text_rows<bool>([](TextResult& out, bool x) { out.append(x ? "true" : "false"); });
    case Kind::int32: return integer_to_text<std::int32_t>();
    case Kind::int64: return integer_to_text<std::int64_t>();
    case Kind::decimal:
      return text_rows<std::int64_t>(
          [from](TextResult& out, std::int64_t x) { out.append(number_text(x, from.scale)); });
    case Kind::float64:
      return text_rows<double>([](TextResult& out, double x) {
        std::string text;
        append_double(x, text);
        out.append(text);
      });
    case Kind::timestamp:
      return text_rows<std::int64_t>([](TextResult& out, std::int64_t x) { out.append(to_iso8601(Timestamp{x})); });
    case Kind::bytes:
      return text_rows<std::string_view>([](TextResult& out, std::string_view bytes) {
        if (utf8::valid_prefix(bytes) != bytes.size()) return out.fail("the bytes are not valid UTF-8");
        out.append(bytes);
      });
    default: return {};
  }
}

}  // namespace

void append_double(double value, std::string& out) {
  if (std::isnan(value)) {
    out += "NaN";
  } else if (std::isinf(value)) {
    out += value < 0 ? "-Infinity" : "Infinity";
  } else {
    const std::string text = number_text(value);
    out += text;
    if (text.find_first_of(".e") == std::string::npos) out += ".0";
  }
}

Kernel cast_kernel(Type from, Type to) {
  switch (to.kind) {
    case Kind::boolean: return to_boolean(from);
    case Kind::int32: return to_integer<std::int32_t>(from, to);
    case Kind::int64: return to_integer<std::int64_t>(from, to);
    case Kind::decimal: return to_decimal(from, to);
    case Kind::float64: return to_double(from);
    case Kind::string: return to_text(from);
    case Kind::bytes:
      if (from.kind != Kind::string) return {};
      return text_rows<std::string_view>([](TextResult& out, std::string_view text) { out.append(text); });
    case Kind::timestamp:
      if (from.kind != Kind::string) return {};
      return try_rows<std::int64_t, std::string_view>([](RowResult<std::int64_t>& out, std::string_view text) {
        const auto time = parse_iso8601(trimmed(text));
        if (!time) return out.fail(shown(text) + " is not a timestamp");
        out.set(time->micros);
      });
    case Kind::null:
    case Kind::interval: return {};
  }
  return {};
}

Kernel or_null(Kernel kernel) {
  return [kernel = std::move(kernel)](KernelCall& call) {
    ColumnPtr column = kernel(call);
    const std::vector<RowError> failed = std::exchange(call.errors, {});
    return with_nulls_at(std::move(column), failed);
  };
}

NodePtr convert(NodePtr node, Type to) {
  if (node->type() == to) return node;
  if (node->type().kind == Kind::null) return std::make_unique<ConstantNode>(to, Value{});
  Kernel kernel = cast_kernel(node->type(), to);
  assert(kernel && "no such conversion");
  const bool constant = node->constant() != nullptr;
  std::vector<NodePtr> arguments;
  arguments.push_back(std::move(node));
  return fold(std::make_unique<CallNode>(to, std::move(arguments), std::move(kernel)), constant);
}

}  // namespace dataflow::expr
