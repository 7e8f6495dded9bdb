#pragma once
// Which files a path stands for.

#include <string>
#include <vector>

#include "serialization/result.hpp"

namespace dataflow {

struct ListedFile {
  std::string path;  ///< to open
  std::string name;  ///< to show: relative to the folder or the glob's fixed part; unique in a listing
};

/// The files that `path` (a file, a folder or a glob(3) pattern) stands for at present, ordered by path as bytes.
/// Folders are walked with their subfolders; files and folders whose name begins with a dot are left out, since
/// that is where writers keep what is not finished. Errors: io for a folder that may not be read. What does not
/// exist gives an empty list.
Result<std::vector<ListedFile>> list_files(const std::string& path);

/// Why list_files gave nothing, as an error for the user.
Error nothing_found(const std::string& path);

}  // namespace dataflow
