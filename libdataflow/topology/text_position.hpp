#pragma once
// Columns are counted in characters (code points of UTF-8), offsets in bytes.

#include <cstddef>
#include <string_view>

namespace dataflow {

/// Number of characters in `text`.
inline std::size_t character_count(std::string_view text) {
  std::size_t count = 0;
  for (const char c : text) count += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return count;
}

/// Where character `index` (from 0) of `text` starts; text.size() when it has no more than `index`.
inline std::size_t byte_offset(std::string_view text, std::size_t index) {
  std::size_t seen = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0) == 0x80) continue;
    if (seen++ == index) return i;
  }
  return text.size();
}

}  // namespace dataflow
