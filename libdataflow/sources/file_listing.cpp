#include "libdataflow/sources/file_listing.hpp"

#include <glob.h>
#include <algorithm>
#include <filesystem>
#include <system_error>

namespace dataflow {

namespace fs = std::filesystem;

namespace {

bool is_pattern(const std::string& path) {
  return path.find_first_of("*?[") != std::string::npos;
}

/// The folder that all matches of a glob lie in, with its slash.
std::string fixed_part(const std::string& pattern) {
  const std::size_t slash = pattern.rfind('/', pattern.find_first_of("*?["));
  return slash == std::string::npos ? std::string{} : pattern.substr(0, slash + 1);
}

/// A regular file, or a link that leads nowhere, which whoever opens it will name. Not pipes, sockets and devices,
/// which a job could wait for without end (a path that names one is another thing), nor what has gone since it was
/// listed.
bool holds_records(const fs::path& path) {
  std::error_code ignored;
  const fs::file_status status = fs::status(path, ignored);
  return fs::is_regular_file(status) ||
         (status.type() == fs::file_type::not_found && fs::is_symlink(fs::symlink_status(path, ignored)));
}

Status list_folder(const std::string& folder, std::vector<ListedFile>& found) {
  std::error_code error;
  fs::recursive_directory_iterator at{folder, error};
  for (; !error && at != fs::recursive_directory_iterator{}; at.increment(error)) {
    const bool hidden = at->path().filename().native().starts_with('.');
    std::error_code ignored;
    if (at->is_directory(ignored)) {
      if (hidden) at.disable_recursion_pending();
    } else if (!hidden && holds_records(at->path())) {
      found.push_back({at->path().native(), at->path().lexically_relative(folder).native()});
    }
  }
  if (error) {
    return fail(ErrorCode::io, "cannot list the folder " + folder + ": " + error.message() + "; check its permissions");
  }
  return {};
}

Status list_pattern(const std::string& pattern, std::vector<ListedFile>& found) {
  glob_t matches{};
  const int result = ::glob(pattern.c_str(), GLOB_NOSORT, nullptr, &matches);
  const std::string prefix = fixed_part(pattern);
  for (std::size_t i = 0; result == 0 && i < matches.gl_pathc; ++i) {
    const std::string path = matches.gl_pathv[i];
    if (holds_records(path)) found.push_back({path, path.substr(prefix.size())});
  }
  ::globfree(&matches);
  if (result == GLOB_NOSPACE || result == GLOB_ABORTED) {
    return fail(ErrorCode::io, "cannot list " + pattern + ": a folder could not be read; check its permissions");
  }
  return {};
}

}  // namespace

Result<std::vector<ListedFile>> list_files(const std::string& path) {
  std::vector<ListedFile> found;
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  Status listed;
  if (fs::is_directory(status)) {
    listed = list_folder(path, found);
  } else if (fs::exists(status)) {
    found.push_back({path, fs::path{path}.filename().native()});
  } else if (status.type() == fs::file_type::none) {
    listed = fail(ErrorCode::io, "cannot look at " + path + ": " + error.message() + "; check its permissions");
  } else if (is_pattern(path)) {
    listed = list_pattern(path, found);
  }
  if (!listed) return fail(listed.error());
  std::sort(found.begin(), found.end(), [](const ListedFile& a, const ListedFile& b) { return a.path < b.path; });
  return found;
}

Error nothing_found(const std::string& path) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) {
    return {ErrorCode::not_found, "the folder " + path +
                                      " has no files (names that begin with a dot do not count); check the path, or "
                                      "set watch to wait for files"};
  }
  if (is_pattern(path)) {
    return {ErrorCode::not_found, "no file matches " + path + "; check the pattern, or set watch to wait for files"};
  }
  return {ErrorCode::not_found, path + " does not exist; check the path"};
}

}  // namespace dataflow
