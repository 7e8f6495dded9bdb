#pragma once
// Random numbers by counter instead of by sequence: what a row draws depends on its number alone.

#include <cstdint>

namespace dataflow {

/// SplitMix64's finalizer (Steele, Lea, Flood, OOPSLA 2014): golden values in the tests, since rows must not change.
constexpr std::uint64_t split_mix(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15ULL;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31);
}

/// In [0, 1): the upper 53 bits, as many as a double holds.
constexpr double unit_interval(std::uint64_t random) {
  return static_cast<double>(random >> 11) * 0x1p-53;
}

/// In [0, below), below > 0, by multiplication (Lemire, "Fast Random Integer Generation in an Interval", 2019) and
/// without its rejection: the bias is at most below / 2^64.
constexpr std::uint64_t in_range(std::uint64_t random, std::uint64_t below) {
  __extension__ using Wide = unsigned __int128;
  return static_cast<std::uint64_t>((Wide{random} * below) >> 64U);
}

}  // namespace dataflow
