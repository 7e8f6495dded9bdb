#pragma once
// LIKE and ILIKE: % is any run of characters, _ is one character.

#include <optional>
#include <string>

#include "libdataflow/expressions/node.hpp"

namespace dataflow::expr {

struct LikeOptions {
  std::optional<char> escape;
  bool ignore_case = false;
  bool negated = false;
};

/// Arguments: the text and the pattern. A constant `pattern` is prepared once.
Kernel like_kernel(std::optional<std::string> pattern, LikeOptions options);

/// What is wrong with a pattern: the escape character is followed by none of % _ and itself.
std::optional<std::string> like_mistake(std::string_view pattern, std::optional<char> escape);

}  // namespace dataflow::expr
