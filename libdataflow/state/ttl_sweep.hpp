#pragma once
// How often an operator whose keys have a time to live looks for those that have outlived it.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "serialization/time.hpp"

namespace dataflow {

/// Between two looks at `keys_in_a_sweep` of the `keys` each, so that all are looked at within a quarter of the `ttl`.
inline Duration pause_between_sweeps(Duration ttl, std::size_t keys, std::size_t keys_in_a_sweep) {
  constexpr std::int64_t rounds_in_a_ttl = 4;
  constexpr Duration least = std::chrono::milliseconds{1};
  return std::max(least, ttl / rounds_in_a_ttl / static_cast<std::int64_t>(1 + keys / keys_in_a_sweep));
}

}  // namespace dataflow
