#include "libdataflow/expressions/case_mapping.hpp"

#include <clocale>
#include <cstdint>
#include <cwctype>

#include <locale.h>  // NOLINT: newlocale is POSIX, <clocale> need not have it

#include "libdataflow/expressions/byte_search.hpp"
#include "libdataflow/expressions/utf8.hpp"

namespace dataflow::expr {

namespace {

/// C.UTF-8 is built into glibc since 2.35 and the same on every machine; null would mean ASCII only.
locale_t unicode() {
  static const locale_t locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  return locale;
}

/// `character` is one whole valid sequence of at least two bytes.
std::uint32_t decode(std::string_view character) {
  static constexpr std::uint32_t first_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
  std::uint32_t code = static_cast<unsigned char>(character[0]) & first_bits[character.size()];
  for (const char c : character.substr(1)) code = code << 6 | (static_cast<unsigned char>(c) & 0x3f);
  return code;
}

void encode(std::uint32_t code, std::string& out) {
  const auto tail = [&](unsigned shift) { out += static_cast<char>(0x80 | (code >> shift & 0x3f)); };
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | code >> 6);
    tail(0);
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0 | code >> 12);
    tail(6), tail(0);
  } else {
    out += static_cast<char>(0xF0 | code >> 18);
    tail(12), tail(6), tail(0);
  }
}

template <class Ascii, class Wide>
void append_mapped(std::string_view text, std::string& out, Ascii ascii, Wide wide) {
  if (is_ascii(text)) {
    const std::size_t from = out.size();
    out.append(text);
    for (std::size_t at = from; at < out.size(); ++at) out[at] = ascii(out[at]);
    return;
  }
  while (!text.empty()) {
    const std::size_t bytes = utf8::character_bytes(text);
    if (bytes > 1 && unicode() != nullptr) {
      encode(static_cast<std::uint32_t>(wide(static_cast<wint_t>(decode(text.substr(0, bytes))))), out);
    } else if (bytes > 1) {
      out += text.substr(0, bytes);
    } else {
      out += ascii(text[0]);
    }
    text.remove_prefix(bytes);
  }
}

}  // namespace

void append_lower(std::string_view text, std::string& out) {
  append_mapped(
      text, out, [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; },
      [](wint_t c) { return towlower_l(c, unicode()); });
}

void append_upper(std::string_view text, std::string& out) {
  append_mapped(
      text, out, [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - ('a' - 'A')) : c; },
      [](wint_t c) { return towupper_l(c, unicode()); });
}

}  // namespace dataflow::expr
