#pragma once
// A value over and over.

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace dataflow {

/// Fills `size` bytes with their first `period`, of which there are so many if there are any.
inline void repeat_first(std::byte* bytes, std::size_t period, std::size_t size) {
  // Twice as much with each copy.
  for (std::size_t have = period; have < size; have *= 2) {
    std::memcpy(bytes + have, bytes, std::min(have, size - have));
  }
}

}  // namespace dataflow
