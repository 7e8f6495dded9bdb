#pragma once
// The suggestion beside a misspelt name.

#include <string>
#include <string_view>
#include <vector>

#include "libdataflow/expressions/suggestion.hpp"

namespace dataflow {

/// `did you mean "temperature"?`, or empty when none of `known` is near.
inline std::string did_you_mean(std::string_view name, const std::vector<std::string>& known) {
  const std::string nearest = nearest_name(name, known);
  return nearest.empty() ? nearest : "did you mean \"" + nearest + "\"?";
}

}  // namespace dataflow
