#include "libdataflow/expressions/literals.hpp"

#include <fast_float/fast_float.h>

#include <array>
#include <cmath>

#include "libdataflow/expressions/token.hpp"

namespace dataflow::expr {

namespace {

struct Unit {
  std::string_view name;
  std::int64_t micros;  ///< 0: not of one length
};
constexpr std::array units = {
    Unit{"microsecond", 1},
    Unit{"millisecond", 1'000},
    Unit{"second", 1'000'000},
    Unit{"minute", 60'000'000},
    Unit{"hour", 3'600'000'000},
    Unit{"day", 86'400'000'000},
    Unit{"week", 604'800'000'000},
    Unit{"month", 0},
    Unit{"quarter", 0},
    Unit{"year", 0},
};

const Unit* find_unit(std::string_view word) {
  for (const Unit& unit : units) {
    if (same_word(word, unit.name)) return &unit;
    if (word.size() == unit.name.size() + 1 && (word.back() == 's' || word.back() == 'S') &&
        same_word(word.substr(0, word.size() - 1), unit.name)) {
      return &unit;
    }
  }
  return nullptr;
}

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

}  // namespace

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

std::int64_t power_of_ten(unsigned exponent) {
  std::int64_t power = 1;
  while (exponent-- != 0) power *= 10;
  return power;
}

std::optional<double> parse_double(std::string_view text) {
  text = trimmed(text);
  if (!text.empty() && text.front() == '+') text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = fast_float::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
  const char last = text.back();
  const bool has_digit_end = (last >= '0' && last <= '9') || last == '.';
  if (has_digit_end && std::isinf(value)) return std::nullopt;
  return value;
}

std::optional<std::int64_t> parse_decimal(std::string_view text, std::uint8_t scale) {
  text = trimmed(text);
  bool negative = false;
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
    negative = text[0] == '-';
    text.remove_prefix(1);
  }
  const std::int64_t limit = power_of_ten(max_decimal_digits);
  std::int64_t unscaled = 0;
  unsigned digits = 0;
  int after_point = -1;  // -1 before the point
  bool round_up = false;
  for (const char c : text) {
    if (c == '.') {
      if (after_point >= 0) return std::nullopt;
      after_point = 0;
      continue;
    }
    if (c < '0' || c > '9') return std::nullopt;
    ++digits;
    if (after_point >= 0 && after_point >= scale) {
      if (after_point == scale) round_up = c >= '5';
      ++after_point;
      continue;
    }
    unscaled = unscaled * 10 + (c - '0');
    if (unscaled >= limit) return std::nullopt;
    if (after_point >= 0) ++after_point;
  }
  if (digits == 0) return std::nullopt;
  for (int i = after_point < 0 ? 0 : after_point; i < scale; ++i) {
    unscaled *= 10;
    if (unscaled >= limit) return std::nullopt;
  }
  if (round_up) ++unscaled;
  if (unscaled >= limit) return std::nullopt;
  return negative ? -unscaled : unscaled;
}

std::optional<std::pair<Type, Value>> parse_number_literal(std::string_view digits) {
  if (digits.find_first_of("eE") == std::string_view::npos) {
    const std::size_t point = digits.find('.');
    const std::size_t scale = digits.size() - point - 1;
    std::size_t first = digits.front() == '-' ? 1 : 0;
    while (first < point && digits[first] == '0') ++first;
    const std::size_t precision = point - first + scale;
    if (precision <= max_decimal_digits) {
      if (const auto unscaled = parse_decimal(digits, static_cast<std::uint8_t>(scale))) {
        const auto needed = static_cast<unsigned>(precision == 0 ? 1 : precision);
        return std::pair{Type::decimal(needed, static_cast<unsigned>(scale)), Value{*unscaled}};
      }
    }
  }
  const auto value = parse_double(digits);
  if (!value) return std::nullopt;
  return std::pair{Type{Kind::float64}, Value{*value}};
}

bool is_interval_unit(std::string_view word) {
  return find_unit(word) != nullptr;
}

tl::expected<std::int64_t, std::string> parse_interval(std::string_view text, std::string_view unit_name) {
  text = trimmed(text);
  if (unit_name.empty()) {
    const std::size_t space = text.find(' ');
    if (space == std::string_view::npos) return tl::unexpected(std::string{"the interval has no unit"});
    unit_name = trimmed(text.substr(space));
    text = text.substr(0, space);
  }
  const Unit* unit = find_unit(unit_name);
  if (unit == nullptr) return tl::unexpected("no interval unit \"" + std::string{unit_name} + "\"");
  if (unit->micros == 0) {
    return tl::unexpected(
        std::string{"intervals of months, quarters and years have no fixed length; count days instead"});
  }
  constexpr std::uint8_t fraction_digits = 6;
  const auto millionths = parse_decimal(text, fraction_digits);
  if (!millionths)
    return tl::unexpected("'" + std::string{text} + "' is not a number of " + std::string{unit->name} + "s");
  const int128 micros = static_cast<int128>(*millionths) * unit->micros / 1'000'000;
  if (micros > INT64_MAX || micros < INT64_MIN) return tl::unexpected(std::string{"the interval is too long"});
  return static_cast<std::int64_t>(micros);
}

}  // namespace dataflow::expr
