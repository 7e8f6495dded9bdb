#pragma once
// The text of one field turned into its value. Inline, because a decoder calls these once per cell; the common
// spellings are read by hand here, everything else by the library functions behind the `_slow` calls.

#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "libdataflow/sources/source.hpp"
#include "serialization/data_type.hpp"

namespace dataflow::text {

/// The rare spellings: surrounding blanks, a plus sign, 19 digits. False when `text` is no such number.
bool parse_int64_slow(std::string_view text, std::int64_t& out);
bool parse_float64_slow(std::string_view text, double& out);
bool parse_timestamp_slow(std::string_view text, std::int64_t& micros);

/// `text` without ASCII blanks around it.
std::string_view trimmed(std::string_view text);

/// A line without the carriage return of a file from Windows.
inline std::string_view without_return(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

inline bool is_digit(char c) {
  return static_cast<unsigned char>(c - '0') < 10;
}

[[gnu::always_inline]] inline bool parse_int64(std::string_view text, std::int64_t& out) {
  const char* at = text.data();
  const char* const end = at + text.size();
  const bool negative = at != end && *at == '-';
  at += negative;
  if (at == end || end - at > 18) return parse_int64_slow(text, out);
  std::int64_t value = 0;
  for (; at != end; ++at) {
    if (!is_digit(*at)) return parse_int64_slow(text, out);
    value = value * 10 + (*at - '0');
  }
  out = negative ? -value : value;
  return true;
}

/// The first `count` (1 to 8) of a word's bytes as a decimal number; false when one of them is no digit. In a word
/// instead of one by one (Daniel Lemire, "Quickly parsing eight digits", 2018): neighbours are added to pairs, fours
/// and the eight. Fewer digits are moved to the word's end, behind zeros.
[[gnu::always_inline]] inline bool parse_digits(std::uint64_t digits, std::size_t count, std::uint64_t& out) {
  static_assert(std::endian::native == std::endian::little, "the first digit is the lowest byte");
  constexpr std::uint64_t zeros = 0x3030303030303030;
  if (count < 8) digits = digits << (64 - 8 * count) | zeros >> (8 * count);
  if ((((digits + 0x4646464646464646) | (digits - zeros)) & 0x8080808080808080) != 0) return false;
  digits -= zeros;
  digits = digits * 10 + (digits >> 8);
  constexpr std::uint64_t pairs = 0x000000FF000000FF;
  out = ((digits & pairs) * (100 + (1'000'000ULL << 32)) + (digits >> 16 & pairs) * (1 + (10'000ULL << 32))) >> 32;
  return true;
}
[[gnu::always_inline]] inline std::uint64_t eight_bytes(const char* at) {
  std::uint64_t word = 0;
  std::memcpy(&word, at, 8);
  return word;
}

/// parse_int64 for texts behind whose end eight more bytes can be read, as in a decoder's window.
[[gnu::always_inline]] inline bool parse_int64_padded(std::string_view text, std::int64_t& out) {
  const char* at = text.data();
  std::size_t size = text.size();
  const bool negative = size != 0 && *at == '-';
  at += negative;
  size -= negative;
  if (size == 0 || size > 16) return parse_int64(text, out);
  std::uint64_t high = 0;
  if (size > 8) {
    if (!parse_digits(eight_bytes(at), size - 8, high)) return parse_int64_slow(text, out);
    at += size - 8;
    size = 8;
  }
  std::uint64_t low = 0;
  if (!parse_digits(eight_bytes(at), size, low)) return parse_int64_slow(text, out);
  const auto value = static_cast<std::int64_t>(high * 100'000'000 + low);
  out = negative ? -value : value;
  return true;
}

[[gnu::always_inline]] inline bool parse_int32_padded(std::string_view text, std::int32_t& out) {
  std::int64_t wide = 0;
  if (!parse_int64_padded(text, wide) || wide < INT32_MIN || wide > INT32_MAX) return false;
  out = static_cast<std::int32_t>(wide);
  return true;
}

/// `[-]digits[.digits]` with at most 15 digits is exact as (integer < 2^53) / (power of ten <= 10^22), one correctly
/// rounded division (Clinger, PLDI 1990). False for every other spelling.
[[gnu::always_inline]] inline bool parse_plain_float64(std::string_view text, double& out) {
  static constexpr double powers[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                      1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
  const char* at = text.data();
  const char* const end = at + text.size();
  const bool negative = at != end && *at == '-';
  at += negative;
  const char* const first = at;
  if (end - at > 16) return false;
  std::int64_t value = 0;
  for (; at != end && is_digit(*at); ++at) value = value * 10 + (*at - '0');
  if (at == first || at - first > 15) return false;
  std::size_t fraction = 0;
  if (at != end) {
    if (*at != '.') return false;
    const char* const point = at++;
    for (; at != end && is_digit(*at); ++at) value = value * 10 + (*at - '0');
    fraction = static_cast<std::size_t>(at - point) - 1;
    if (at != end || fraction == 0) return false;
  }
  const double magnitude = static_cast<double>(value) / powers[fraction];
  out = negative ? -magnitude : magnitude;
  return true;
}

[[gnu::always_inline]] inline bool parse_float64(std::string_view text, double& out) {
  return parse_plain_float64(text, out) || parse_float64_slow(text, out);
}

/// parse_plain_float64 of at most eight bytes, in a word, for texts behind whose end eight more bytes can be read: the
/// digits behind the point move one place, over it, and what remains is an integer. False for every other spelling.
[[gnu::always_inline]] inline bool parse_short_float64(std::string_view text, double& out) {
  static constexpr double powers[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7};
  const char* at = text.data();
  std::size_t size = text.size();
  const bool negative = size != 0 && *at == '-';
  at += negative;
  size -= negative;
  if (size == 0 || size > 8) return false;
  std::uint64_t word = eight_bytes(at);
  // The lowest byte that is a point has its highest bit set; so may bytes above it, which does not matter.
  const std::uint64_t differing = word ^ 0x2E2E2E2E2E2E2E2E;
  const std::uint64_t points = (differing - 0x0101010101010101) & ~differing & 0x8080808080808080;
  const std::size_t whole = static_cast<std::size_t>(std::countr_zero(points)) / 8;  // 8 when there is none
  std::size_t fraction = 0;
  if (whole < size) {
    fraction = size - whole - 1;
    if (whole == 0 || fraction == 0) return false;
    const std::uint64_t before = (1ULL << (8 * whole)) - 1;
    word = (word & before) | (word >> 8 & ~before);
    --size;
  }
  std::uint64_t value = 0;
  if (!parse_digits(word, size, value)) return false;
  const double magnitude = static_cast<double>(static_cast<std::int64_t>(value)) / powers[fraction];
  out = negative ? -magnitude : magnitude;
  return true;
}

/// parse_float64 for texts behind whose end eight more bytes can be read.
[[gnu::always_inline]] inline bool parse_float64_padded(std::string_view text, double& out) {
  return parse_short_float64(text, out) || parse_float64(text, out);
}

/// true/false/1/0 in any case.
bool parse_bool(std::string_view text, bool& out);

/// Exact: an error when there are more fraction digits than the scale (trailing zeros apart) or more digits than
/// the precision.
bool parse_decimal(std::string_view text, const DataType& type, std::int64_t& unscaled);

/// An integer epoch in the encoding's unit to microseconds; false when it leaves the range.
inline bool epoch_to_micros(std::int64_t value, TimestampEncoding encoding, std::int64_t& micros) {
  const std::int64_t factor = encoding == TimestampEncoding::epoch_s    ? 1'000'000
                              : encoding == TimestampEncoding::epoch_ms ? 1'000
                                                                        : 1;
  return !__builtin_mul_overflow(value, factor, &micros);
}

/// Days from 1970-01-01 to a Gregorian date (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
constexpr std::int64_t days_from_civil(std::int64_t y, unsigned m, unsigned d) {
  y -= m <= 2;
  const std::int64_t era = (y >= 0 ? y : y - 399) / 400;
  const auto yoe = static_cast<unsigned>(y - era * 400);
  const unsigned doy = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
  const unsigned doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
  return era * 146097 + static_cast<std::int64_t>(doe) - 719468;
}

/// `2010-01-01T01:00:00`, also with a space or a final Z, by hand; every other form by parse_iso8601.
inline bool parse_iso(std::string_view text, std::int64_t& micros) {
  const char* p = text.data();
  if (text.size() != 19 && !(text.size() == 20 && p[19] == 'Z')) return parse_timestamp_slow(text, micros);
  unsigned wrong = 0;
  const auto two = [&](int i) {
    const auto a = static_cast<unsigned char>(p[i] - '0');
    const auto b = static_cast<unsigned char>(p[i + 1] - '0');
    wrong |= static_cast<unsigned>(a > 9) | static_cast<unsigned>(b > 9);
    return a * 10U + b;
  };
  const unsigned year = two(0) * 100 + two(2);
  const unsigned month = two(5);
  const unsigned day = two(8);
  const unsigned hour = two(11);
  const unsigned minute = two(14);
  const unsigned second = two(17);
  wrong |= static_cast<unsigned>(p[4] != '-' || p[7] != '-' || (p[10] != 'T' && p[10] != ' ') || p[13] != ':' ||
                                 p[16] != ':');
  // Days above 28 need the month's length: the slow path knows it.
  if (wrong != 0 || year == 0 || month - 1 > 11 || day - 1 > 27 || hour > 23 || minute > 59 || second > 59) {
    return parse_timestamp_slow(text, micros);
  }
  const std::int64_t days = days_from_civil(year, month, day);
  micros = ((days * 24 + hour) * 60 + minute) * 60'000'000 + second * 1'000'000LL;
  return true;
}

/// An integer epoch, padded as for parse_int64_padded.
[[gnu::always_inline]] inline bool parse_epoch_padded(std::string_view text, TimestampEncoding encoding,
                                                      std::int64_t& micros) {
  std::int64_t value = 0;
  return parse_int64_padded(text, value) && epoch_to_micros(value, encoding, micros);
}

}  // namespace dataflow::text
