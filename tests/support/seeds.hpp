#pragma once
// The seeds of a property test: `for (const std::uint64_t seed : seeds(300)) { CAPTURE(seed); ... }`.
//
// DATAFLOW_SEED=n runs that one alone, to look at a failure; DATAFLOW_LONG_TESTS=1 (tools/test --long) a hundred times
// as many.

#include <cstdint>
#include <cstdlib>
#include <ranges>
#include <string_view>

namespace dataflow::testing_support {

inline auto seeds(std::uint64_t usual) {
  if (const char* one = std::getenv("DATAFLOW_SEED"); one != nullptr && *one != 0) {
    const std::uint64_t seed = std::strtoull(one, nullptr, 10);
    return std::views::iota(seed, seed + 1);
  }
  const char* is_long = std::getenv("DATAFLOW_LONG_TESTS");
  const bool more = is_long != nullptr && std::string_view{is_long} == "1";
  return std::views::iota(std::uint64_t{1}, 1 + usual * (more ? 100 : 1));
}

}  // namespace dataflow::testing_support
