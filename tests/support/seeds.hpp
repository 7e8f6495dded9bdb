#pragma once
// The seeds of a property test: `for (const std::uint64_t seed : seeds(300)) { CAPTURE(seed); ... }`.
//
// DATAFLOW_SEED=n runs that one alone, to look at a failure; DATAFLOW_LONG_TESTS=1 (tools/test --long) a hundred times
// as many; DATAFLOW_SHORT_TESTS=1 (tools/check-sanitizers, where each takes ten times as long) a tenth.

#include <cstdint>
#include <cstdlib>
#include <ranges>
#include <string_view>

namespace dataflow::testing_support {

inline bool is_set(const char* variable) {
  const char* value = std::getenv(variable);
  return value != nullptr && std::string_view{value} == "1";
}

inline auto seeds(std::uint64_t usual) {
  if (const char* one = std::getenv("DATAFLOW_SEED"); one != nullptr && *one != 0) {
    const std::uint64_t seed = std::strtoull(one, nullptr, 10);
    return std::views::iota(seed, seed + 1);
  }
  std::uint64_t count = usual;
  if (is_set("DATAFLOW_LONG_TESTS")) count *= 100;
  if (is_set("DATAFLOW_SHORT_TESTS")) count = (count + 9) / 10;
  return std::views::iota(std::uint64_t{1}, 1 + count);
}

}  // namespace dataflow::testing_support
