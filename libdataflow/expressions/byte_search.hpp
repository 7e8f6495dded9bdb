#pragma once
// Looks at sixteen bytes of a text at a time: where a byte occurs for the nth time, how often it occurs, and whether
// all are ASCII. A call of memchr for every occurrence costs more than the bytes between them where separators are a
// few letters apart, as in a url (benchmark nexmark_q22, three parts of one: about 100 ns a bid instead of 180).

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

namespace dataflow::expr {

namespace detail {

inline constexpr std::size_t block_bytes = 16;

/// Bit i: whether bytes[i] is `wanted`, for sixteen bytes.
inline std::uint32_t mask_of_sixteen(const char* bytes, char wanted) {
#if defined(__x86_64__)
  const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes));
  return static_cast<std::uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(block, _mm_set1_epi8(wanted))));
#else
  std::uint32_t mask = 0;
  for (unsigned i = 0; i < block_bytes; ++i) mask |= static_cast<std::uint32_t>(bytes[i] == wanted) << i;
  return mask;
#endif
}

/// The same for fewer than sixteen bytes at the end of a text.
inline std::uint32_t mask_of_rest(const char* bytes, std::size_t count, char wanted) {
  std::uint32_t mask = 0;
  for (std::size_t i = 0; i < count; ++i) mask |= static_cast<std::uint32_t>(bytes[i] == wanted) << i;
  return mask;
}

}  // namespace detail

/// Calls `visit(mask, at)` for every sixteen bytes: bit i says whether byte at + i is `wanted`. Ends early when it
/// returns true.
template <class Visit>
void visit_occurrences(std::string_view text, char wanted, Visit&& visit) {
  const char* const bytes = text.data();
  const std::size_t size = text.size();
  std::size_t at = 0;
  for (; at + detail::block_bytes <= size; at += detail::block_bytes) {
    if (visit(detail::mask_of_sixteen(bytes + at, wanted), at)) return;
  }
  if (at == size) return;
  if (size < detail::block_bytes) {
    visit(detail::mask_of_rest(bytes, size, wanted), at);
    return;
  }
  // The last sixteen bytes, of which some have been looked at.
  const std::size_t last = size - detail::block_bytes;
  visit(detail::mask_of_sixteen(bytes + last, wanted) >> (at - last), at);
}

/// The part between separator number `part - 1` and the next one, or the end; `part` is at least 1. Empty when there
/// are not so many.
inline std::string_view nth_part(std::string_view text, char separator, std::int64_t part) {
  constexpr std::size_t none = std::string_view::npos;
  std::size_t begin = part == 1 ? 0 : none;
  std::size_t end = text.size();
  visit_occurrences(text, separator, [&](std::uint32_t mask, std::size_t at) {
    for (; mask != 0; mask &= mask - 1) {
      const std::size_t place = at + static_cast<std::size_t>(__builtin_ctz(mask));
      if (begin != none) {
        end = place;
        return true;
      }
      if (--part == 1) begin = place + 1;
    }
    return false;
  });
  if (begin == none) return {};
  return {text.data() + begin, end - begin};
}

/// How often the byte occurs.
inline std::size_t count_byte(std::string_view text, char wanted) {
  std::size_t count = 0;
  visit_occurrences(text, wanted, [&](std::uint32_t mask, std::size_t) {
    // The bits of a mask are added up in halves: a loop over them ends where nobody can foresee (benchmark
    // nexmark_q14).
    mask -= mask >> 1 & 0x5555;
    mask = (mask & 0x3333) + (mask >> 2 & 0x3333);
    mask = (mask + (mask >> 4)) & 0x0F0F;
    count += (mask + (mask >> 8)) & 0x1F;
    return false;
  });
  return count;
}

/// Whether no byte has its highest bit set.
inline bool is_ascii(std::string_view text) {
  const char* const bytes = text.data();
  const std::size_t size = text.size();
  std::uint64_t bits[4] = {};
  std::size_t at = 0;
  for (; at + sizeof bits <= size; at += sizeof bits) {
    std::uint64_t words[4];
    std::memcpy(words, bytes + at, sizeof words);
    for (unsigned i = 0; i < 4; ++i) bits[i] |= words[i];
  }
  std::uint64_t all = bits[0] | bits[1] | bits[2] | bits[3];
  for (; at < size; ++at) all |= static_cast<unsigned char>(bytes[at]);
  return (all & 0x8080808080808080U) == 0;
}

}  // namespace dataflow::expr
