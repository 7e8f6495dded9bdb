// JSON text of values. Strings take a fast path over runs of bytes that need no thought, eight at a time; numbers use
// std::to_chars, which is shortest and exact.

#include "serialization/value.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <string_view>

#include "serialization/time.hpp"

namespace dataflow {
namespace {

constexpr std::uint64_t every_byte(std::uint8_t b) {
  return b * 0x0101'0101'0101'0101ULL;
}

/// High bits at bytes of `word` that are zero; exact for the lowest of them, which is all that is asked here.
constexpr std::uint64_t zero_bytes(std::uint64_t word) {
  return (word - every_byte(1)) & ~word & every_byte(0x80);
}

/// Whether any of the eight bytes is a control character, a quote, a backslash or not ASCII.
constexpr bool needs_thought(std::uint64_t word) {
  const std::uint64_t control = (word - every_byte(0x20)) & ~word & every_byte(0x80);
  return (control | zero_bytes(word ^ every_byte('"')) | zero_bytes(word ^ every_byte('\\')) |
          (word & every_byte(0x80))) != 0;
}

bool is_plain(unsigned char c) {
  return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

std::size_t plain_prefix(std::string_view text) {
  std::size_t n = 0;
  while (n + 8 <= text.size()) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + n, 8);
    if (needs_thought(word)) break;
    n += 8;
  }
  while (n < text.size() && is_plain(static_cast<unsigned char>(text[n]))) ++n;
  return n;
}

/// Length of the well-formed UTF-8 sequence at the start (Unicode 15, table 3-7), or 0.
std::size_t sequence_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto in = [&](std::size_t i, unsigned low, unsigned high) { return byte(i) >= low && byte(i) <= high; };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first < 0xC2 || first > 0xF4) return 0;
  if (first < 0xE0) return text.size() >= 2 && in(1, 0x80, 0xBF) ? 2 : 0;
  if (first < 0xF0) {
    const unsigned low = first == 0xE0 ? 0xA0 : 0x80;   // no overlong form
    const unsigned high = first == 0xED ? 0x9F : 0xBF;  // no surrogate
    return text.size() >= 3 && in(1, low, high) && in(2, 0x80, 0xBF) ? 3 : 0;
  }
  const unsigned low = first == 0xF0 ? 0x90 : 0x80;
  const unsigned high = first == 0xF4 ? 0x8F : 0xBF;  // at most U+10FFFF
  return text.size() >= 4 && in(1, low, high) && in(2, 0x80, 0xBF) && in(3, 0x80, 0xBF) ? 4 : 0;
}

void append_escaped(unsigned char c, std::string& out) {
  switch (c) {
    case '"': out += "\\\""; return;
    case '\\': out += "\\\\"; return;
    case '\b': out += "\\b"; return;
    case '\f': out += "\\f"; return;
    case '\n': out += "\\n"; return;
    case '\r': out += "\\r"; return;
    case '\t': out += "\\t"; return;
    default: {
      constexpr char hex[] = "0123456789abcdef";
      out += "\\u00";
      out += hex[c >> 4];
      out += hex[c & 15];
    }
  }
}

template <class T>
void append_number(T value, std::string& out) {
  char text[32];
  out.append(text, std::to_chars(text, text + sizeof text, value).ptr);
}

}  // namespace

void append_json_string(std::string_view text, std::string& out) {
  out += '"';
  while (!text.empty()) {
    const std::size_t plain = plain_prefix(text);
    out.append(text.data(), plain);
    text.remove_prefix(plain);
    if (text.empty()) break;
    const auto first = static_cast<unsigned char>(text.front());
    std::size_t taken = 1;
    if (first < 0x80) {
      append_escaped(first, out);
    } else if (const std::size_t length = sequence_length(text); length != 0) {
      out.append(text.data(), length);
      taken = length;
    } else {
      out += "\xEF\xBF\xBD";
    }
    text.remove_prefix(taken);
  }
  out += '"';
}

void append_json_double(double value, std::string& out) {
  if (!std::isfinite(value)) {
    out += "null";
    return;
  }
  // Left alone, to_chars writes 100000 as 1e+05; people expect digits while these are few.
  const double size = std::fabs(value);
  const bool plain = size == 0 || (size >= 1e-5 && size < 1e16);
  char text[40];
  char* const end = plain ? std::to_chars(text, text + sizeof text, value, std::chars_format::fixed).ptr
                          : std::to_chars(text, text + sizeof text, value, std::chars_format::scientific).ptr;
  out.append(text, end);
  if (plain && std::find(text, end, '.') == end) out += ".0";
}

void append_decimal(std::int64_t unscaled, std::uint8_t scale, std::string& out) {
  char digits[24];
  const bool negative = unscaled < 0;
  const std::uint64_t magnitude =
      negative ? 0 - static_cast<std::uint64_t>(unscaled) : static_cast<std::uint64_t>(unscaled);
  const auto count = static_cast<std::size_t>(std::to_chars(digits, digits + sizeof digits, magnitude).ptr - digits);
  if (negative) out += '-';
  if (scale == 0) {
    out.append(digits, count);
    return;
  }
  if (count > scale) {
    out.append(digits, count - scale);
  } else {
    out += '0';
  }
  out += '.';
  if (count < scale) out.append(scale - count, '0');
  const std::size_t fraction = std::min<std::size_t>(count, scale);
  out.append(digits + count - fraction, fraction);
}

void append_base64(std::string_view bytes, std::string& out) {
  constexpr std::size_t largest_piece = 3U << 20;  // EVP counts in int
  while (!bytes.empty()) {
    const std::string_view piece = bytes.substr(0, largest_piece);
    bytes.remove_prefix(piece.size());
    const std::size_t at = out.size();
    out.resize(at + (piece.size() + 2) / 3 * 4 + 1);  // EVP_EncodeBlock ends with a NUL
    EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data() + at),
                    reinterpret_cast<const unsigned char*>(piece.data()), static_cast<int>(piece.size()));
    out.pop_back();
  }
}

void append_json(const DataType& type, const Value& value, std::string& out) {
  if (is_null(value)) {
    out += "null";
  } else if (const auto* flag = std::get_if<bool>(&value)) {
    out += *flag ? "true" : "false";
  } else if (const auto* number = std::get_if<double>(&value)) {
    append_json_double(*number, out);
  } else if (const auto* whole = std::get_if<std::int64_t>(&value)) {
    switch (type.kind()) {
      case TypeKind::decimal: append_decimal(*whole, type.scale(), out); break;
      case TypeKind::float64: append_json_double(static_cast<double>(*whole), out); break;
      case TypeKind::timestamp:
        out += '"';
        append_iso8601(Timestamp{*whole}, out);
        out += '"';
        break;
      default: append_number(*whole, out);
    }
  } else if (type.kind() == TypeKind::bytes) {
    out += '"';
    append_base64(std::get<std::string>(value), out);
    out += '"';
  } else {
    append_json_string(std::get<std::string>(value), out);
  }
}

std::string to_json(const DataType& type, const Value& value) {
  std::string out;
  append_json(type, value, out);
  return out;
}

}  // namespace dataflow
