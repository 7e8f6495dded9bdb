#pragma once
// Random numbers that are the same on every machine and in every version: the standard library's distributions are not.
// (SplitMix64; Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.)

#include <cstdint>

#include "serialization/time.hpp"

namespace dataflow::simulation {

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_{seed} {}

  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  /// From 0 to `n` - 1; `n` is not 0. The bias of the remainder does not matter here.
  std::uint64_t below(std::uint64_t n) { return next() % n; }
  /// Both included.
  std::uint64_t between(std::uint64_t low, std::uint64_t high) { return low + below(high - low + 1); }
  Duration between(Duration low, Duration high) {
    return Duration{static_cast<std::int64_t>(
        between(static_cast<std::uint64_t>(low.count()), static_cast<std::uint64_t>(high.count())))};
  }
  bool chance(double probability) { return static_cast<double>(next() >> 11) * 0x1.0p-53 < probability; }
  /// Another sequence that does not depend on how many numbers are drawn from this one afterwards.
  Random fork() { return Random{next()}; }

 private:
  std::uint64_t state_;
};

}  // namespace dataflow::simulation
