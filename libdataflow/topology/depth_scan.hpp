#pragma once
// How deep a TOML text goes, found before toml++ builds a tree of it.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace dataflow {

struct TooDeep {
  std::size_t offset = 0;  ///< in the text
  std::string message;     ///< in what way
};

/// The first place where the text would become a tree too deep for those who walk through it. It need not be TOML.
std::optional<TooDeep> find_too_deep(std::string_view toml);

}  // namespace dataflow
