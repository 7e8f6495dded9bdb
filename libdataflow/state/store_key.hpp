#pragma once
// How keys of a store are written so that their bytes order as their values do: big-endian, signed numbers with their
// sign turned. Every key begins with its key group; what follows is the state's own.

#include <cstdint>
#include <string>
#include <string_view>

namespace dataflow {

template <class Unsigned>
void put_ordered(std::string& out, Unsigned value) {
  for (std::size_t byte = sizeof(Unsigned); byte-- != 0;) out += static_cast<char>(value >> (byte * 8));
}
inline void put_ordered_signed(std::string& out, std::int64_t value) {
  put_ordered(out, static_cast<std::uint64_t>(value) ^ (1ULL << 63));
}

/// A text behind which something else may follow: 0 becomes 0 1, and 0 0 ends it, so that no text is the beginning of
/// another's bytes.
inline void put_ordered_text(std::string& out, std::string_view text) {
  for (const char c : text) {
    out += c;
    if (c == '\0') out += '\1';
  }
  out.append(2, '\0');
}

/// Reads into `text` what put_ordered_text wrote at the beginning of `bytes`, which must be whole.
inline void get_ordered_text(std::string_view bytes, std::string& text) {
  text.clear();
  for (std::size_t i = 0; bytes[i] != '\0' || bytes[i + 1] != '\0'; ++i) {
    text += bytes[i];
    if (bytes[i] == '\0') ++i;
  }
}

/// Reads what put_ordered wrote at the beginning of `bytes`, which must be long enough.
template <class Unsigned>
Unsigned get_ordered(std::string_view bytes) {
  Unsigned value = 0;
  for (std::size_t i = 0; i < sizeof(Unsigned); ++i) {
    value = static_cast<Unsigned>((static_cast<std::uint64_t>(value) << 8) | static_cast<unsigned char>(bytes[i]));
  }
  return value;
}
inline std::int64_t get_ordered_signed(std::string_view bytes) {
  return static_cast<std::int64_t>(get_ordered<std::uint64_t>(bytes) ^ (1ULL << 63));
}

/// Key groups are below 32768 (the greatest max_parallelism), so that there is always a next one.
inline constexpr std::size_t key_group_bytes = 2;
inline void put_key_group(std::string& out, std::uint32_t group) {
  put_ordered(out, static_cast<std::uint16_t>(group));
}
inline std::uint32_t get_key_group(std::string_view key) {
  return get_ordered<std::uint16_t>(key);
}

/// The first key after all that begin with `prefix`; empty when there is none.
inline std::string after_prefix(std::string_view prefix) {
  std::string end{prefix};
  while (!end.empty() && static_cast<unsigned char>(end.back()) == 0xff) end.pop_back();
  if (!end.empty()) end.back() = static_cast<char>(end.back() + 1);
  return end;
}

}  // namespace dataflow
