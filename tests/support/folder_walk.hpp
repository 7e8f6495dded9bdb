#pragma once
// Looks into a folder that somebody else changes meanwhile.

#include <cstddef>
#include <filesystem>
#include <string_view>
#include <system_error>

namespace dataflow::testing_support {

/// How many files below `folder` have names that begin so. One that goes while it is looked for ends the count.
inline std::size_t count_files(const std::filesystem::path& folder, std::string_view prefix) {
  std::size_t n = 0;
  std::error_code gone;
  std::filesystem::recursive_directory_iterator at{folder, gone};
  for (; !gone && at != std::filesystem::recursive_directory_iterator{}; at.increment(gone)) {
    n += at->path().filename().native().starts_with(prefix) ? 1 : 0;
  }
  return n;
}

}  // namespace dataflow::testing_support
