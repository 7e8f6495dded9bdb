#pragma once
// "did you mean ...?": the known name nearest to a misspelt one.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dataflow {

/// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b` (Damerau's distance, restricted
/// to adjacent swaps). Quadratic: for names that people type.
std::size_t edit_distance(std::string_view a, std::string_view b);

/// The candidate nearest to `name`, ignoring case, when it is near enough to be what was meant: at most a third of the
/// name's length away, and at least one. The first of several that are equally near.
std::optional<std::string> nearest_name(std::string_view name, const std::vector<std::string>& candidates);

/// `did you mean "temperature"?`, or empty when nothing is near.
std::string did_you_mean(std::string_view name, const std::vector<std::string>& candidates);

}  // namespace dataflow
