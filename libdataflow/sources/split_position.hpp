#pragma once
// Positions of readers and enumerators as they lie in checkpoints: numbers with a space between, the first a version.

#include <array>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>

namespace dataflow::text {

/// Exactly `Count` decimal numbers with one space between; nothing when it is anything else.
template <std::size_t Count>
std::optional<std::array<std::uint64_t, Count>> parse_position(std::string_view text) {
  std::array<std::uint64_t, Count> numbers{};
  const char* at = text.data();
  const char* const end = at + text.size();
  for (std::size_t i = 0; i < Count; ++i) {
    if (i != 0 && (at == end || *at++ != ' ')) return std::nullopt;
    const auto [next, error] = std::from_chars(at, end, numbers[i]);
    if (error != std::errc{}) return std::nullopt;
    at = next;
  }
  return at == end ? std::optional{numbers} : std::nullopt;
}

}  // namespace dataflow::text
