#pragma once
// Cells of the tables that dfnode prints.

#include <cstddef>
#include <string>

namespace dataflow::cli {

/// `text` and blanks, at least `width` bytes together.
inline std::string padded(std::string text, std::size_t width) {
  if (text.size() < width) text.append(width - text.size(), ' ');
  return text;
}

}  // namespace dataflow::cli
