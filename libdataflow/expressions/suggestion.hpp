#pragma once
// "did you mean": the known name nearest to a mistyped one.

#include <span>
#include <string>
#include <string_view>

namespace dataflow {

/// The name of `known` with the smallest edit distance to `wanted` (case ignored, a swap of neighbours is one
/// edit; the first of equals), or empty when none is near enough to be a likely slip.
std::string nearest_name(std::string_view wanted, std::span<const std::string> known);

}  // namespace dataflow
