#pragma once
// Characters of UTF-8 text. Column text may be invalid (it came from the world): every function here is total, and a
// byte that starts no valid sequence counts as one character.

#include <cstddef>
#include <string_view>

namespace dataflow::expr::utf8 {

/// Bytes of the character at the start of `text` (not empty): 1 to 4, never beyond its end.
inline std::size_t character_bytes(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  const std::size_t wanted = first < 0xC2 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 1;
  if (wanted > text.size()) return 1;
  for (std::size_t i = 1; i < wanted; ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) return 1;
  }
  return wanted;
}

/// Number of characters.
std::size_t length(std::string_view text);

/// The byte offset of character `index`, or the size of the text when it has no more than `index`.
std::size_t offset_of(std::string_view text, std::size_t index);

/// The length of the longest prefix that is valid UTF-8 (no surrogates, no overlong forms).
std::size_t valid_prefix(std::string_view text);

}  // namespace dataflow::expr::utf8
