#include "libdataflow/formats/field_text.hpp"

#include <fast_float/fast_float.h>
#include <charconv>

#include "serialization/time.hpp"

namespace dataflow::text {

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

namespace {

/// Blanks and one plus sign removed; a sign after the plus makes the text empty, which is no number.
std::string_view bare_number(std::string_view text) {
  text = trimmed(text);
  if (!text.empty() && text.front() == '+') {
    text.remove_prefix(1);
    if (!text.empty() && text.front() == '-') return {};
  }
  return text;
}

}  // namespace

bool parse_int64_slow(std::string_view text, std::int64_t& out) {
  text = bare_number(text);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size();
}

bool parse_float64_slow(std::string_view text, double& out) {
  text = bare_number(text);
  const auto [end, error] = fast_float::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size() && !text.empty();
}

bool parse_timestamp_slow(std::string_view text, std::int64_t& micros) {
  const Result<Timestamp> parsed = parse_iso8601(trimmed(text));
  if (!parsed) return false;
  micros = parsed->micros;
  return true;
}

bool parse_bool(std::string_view text, bool& out) {
  text = trimmed(text);
  const auto is = [&](std::string_view word) {
    if (text.size() != word.size()) return false;
    for (std::size_t i = 0; i < word.size(); ++i) {
      if ((text[i] | 0x20) != word[i]) return false;
    }
    return true;
  };
  if (text == "1" || is("true")) {
    out = true;
    return true;
  }
  out = false;
  return text == "0" || is("false");
}

bool parse_decimal(std::string_view text, const DataType& type, std::int64_t& unscaled) {
  text = bare_number(text);
  const bool negative = !text.empty() && text.front() == '-';
  if (negative) text.remove_prefix(1);
  const std::size_t point = text.find('.');
  const std::string_view whole = text.substr(0, point);
  std::string_view fraction = point == std::string_view::npos ? std::string_view{} : text.substr(point + 1);
  if (whole.empty() && fraction.empty()) return false;
  while (fraction.size() > type.scale() && fraction.back() == '0') fraction.remove_suffix(1);
  if (fraction.size() > type.scale()) return false;

  std::int64_t value = 0;
  const auto push = [&](char c) {
    return is_digit(c) && !__builtin_mul_overflow(value, 10, &value) && !__builtin_add_overflow(value, c - '0', &value);
  };
  for (const char c : whole) {
    if (!push(c)) return false;
  }
  for (const char c : fraction) {
    if (!push(c)) return false;
  }
  for (std::size_t i = fraction.size(); i < type.scale(); ++i) {
    if (!push('0')) return false;
  }
  std::int64_t limit = 1;
  for (std::uint8_t i = 0; i < type.precision(); ++i) limit *= 10;
  if (value >= limit) return false;
  unscaled = negative ? -value : value;
  return true;
}

}  // namespace dataflow::text
