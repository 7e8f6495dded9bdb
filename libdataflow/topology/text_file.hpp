#pragma once
// A file that a person has typed, read as a whole: a topology, the settings of dfnode.

#include <cstdint>
#include <filesystem>
#include <string>

#include "serialization/result.hpp"

namespace dataflow {

/// What is larger was not typed by a person.
inline constexpr std::uintmax_t largest_text_file = 64ULL << 20;

/// The text of `file`, which may be a pipe or /dev/stdin, too. No more than the largest is read, so that a file without
/// an end has one. Errors, as "this is a folder, not a WHAT": not_found, invalid_argument for a folder and for a file
/// that is too large, io.
Result<std::string> read_text_file(const std::filesystem::path& file, const std::string& what);

}  // namespace dataflow
