#include "libdataflow/sinks/output_folder.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "libdataflow/sinks/part_file.hpp"

namespace dataflow {

namespace fs = std::filesystem;

namespace {

std::string hidden_prefix(const SinkIdentity& sink) {
  return ".part." + escape_name(sink.job_id) + "." + escape_name(sink.sink) + ".";
}

std::string replaced_list(const std::string& folder, const SinkIdentity& sink) {
  return folder + "/.replaced." + escape_name(sink.job_id) + "." + escape_name(sink.sink);
}

/// `part-0-12.json`: what may be replaced.
bool is_part_name(std::string_view name) {
  if (!name.starts_with("part-")) return false;
  name.remove_prefix(5);
  for (int i = 0; i < 2; ++i) {
    std::size_t digits = 0;
    while (digits < name.size() && name[digits] >= '0' && name[digits] <= '9') ++digits;
    if (digits == 0 || digits == name.size() || name[digits] != (i == 0 ? '-' : '.')) return false;
    name.remove_prefix(digits + 1);
  }
  return true;
}

Status cannot(std::string_view what, const std::string& path, const std::string& reason) {
  return fail(ErrorCode::io, "cannot " + std::string{what} + " " + path + ": " + reason +
                                 "; check the sink's path and its permissions");
}

/// Calls `visit(path, hidden)` for every file; hidden subfolders are left alone.
template <class Visit>
Status for_each_file(const std::string& folder, Visit visit) {
  std::error_code error;
  fs::recursive_directory_iterator at{folder, error};
  for (; !error && at != fs::recursive_directory_iterator{}; at.increment(error)) {
    const bool hidden = at->path().filename().native().starts_with('.');
    std::error_code gone;
    if (at->is_directory(gone)) {
      if (hidden) at.disable_recursion_pending();
    } else {
      visit(at->path(), hidden);
    }
  }
  if (error) return cannot("list", folder, error.message());
  return {};
}

/// A file as it was: another one that has taken its name since is not it.
std::string identity(const fs::path& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return {};
  std::ostringstream text;
  text << info.st_ino << ' ' << info.st_mtim.tv_sec << ' ' << info.st_mtim.tv_nsec << ' ' << path.native();
  return text.str();
}

tl::unexpected<Error> refuse_existing(const std::string& folder, const std::vector<fs::path>& files) {
  std::string names;
  for (std::size_t i = 0; i < files.size() && i < 3; ++i) {
    names += (i == 0 ? "" : ", ") + files[i].lexically_relative(folder).native();
  }
  if (files.size() > 3) names += ", ...";
  return fail(ErrorCode::invalid_argument,
              "the folder " + folder + " already has " + std::to_string(files.size()) +
                  (files.size() == 1 ? " file (" : " files (") + names +
                  "); set on_existing = \"append\" to add to them or \"replace\" to replace the parts of earlier runs "
                  "once this job has succeeded, or choose another path");
}

Status write_replaced_list(const std::string& path, const std::vector<fs::path>& files) {
  ::unlink(path.c_str());
  Result<PartFile> list = PartFile::create(path, OutputCompression::none);
  if (!list) return fail(list.error());
  for (const fs::path& file : files) {
    if (!is_part_name(file.filename().native())) continue;
    if (Status written = list->append(identity(file) + '\n'); !written) return written;
  }
  return list->finish();
}

}  // namespace

std::string escape_name(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte > ' ' && byte != 0x7F && std::string_view{"\"#%'*/:=?\\{}[]^.|<>&;$`"}.find(c) == std::string_view::npos) {
      out += c;
      continue;
    }
    char code[4];
    std::snprintf(code, sizeof code, "%%%02X", byte);
    out += code;
  }
  return out;
}

std::string hidden_part_name(const SinkIdentity& sink, std::uint32_t subtask, std::uint32_t attempt, std::uint64_t n) {
  return hidden_prefix(sink) + std::to_string(subtask) + "." + std::to_string(attempt) + "." + std::to_string(n);
}

Status make_folder(const std::string& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (!error && fs::is_directory(folder, error)) return {};
  if (!error) error = std::make_error_code(std::errc::not_a_directory);
  if (error == std::errc::no_space_on_device) {
    return fail(ErrorCode::io, "cannot make the folder " + folder + ": " + error.message() +
                                   "; free some space, or write to another folder");
  }
  return cannot("make the folder", folder, error.message());
}

Status prepare_folder(const std::string& folder, OnExisting on_existing, const SinkIdentity& sink) {
  if (Status made = make_folder(folder); !made) return made;
  if (::access(folder.c_str(), W_OK | X_OK) != 0) return cannot("write to", folder, std::strerror(errno));
  if (on_existing == OnExisting::append) return {};
  std::vector<fs::path> files;
  const Status listed = for_each_file(folder, [&](const fs::path& path, bool hidden) {
    if (!hidden) files.push_back(path);
  });
  if (!listed || files.empty()) return listed;
  std::sort(files.begin(), files.end());
  if (on_existing == OnExisting::error) return refuse_existing(folder, files);
  return write_replaced_list(replaced_list(folder, sink), files);
}

Status remove_hidden_parts(const std::string& folder, const SinkIdentity& sink, const std::set<std::string>& keep) {
  std::error_code error;
  if (!fs::exists(folder, error)) return {};
  const std::string prefix = hidden_prefix(sink);
  std::vector<fs::path> left;
  const Status listed = for_each_file(folder, [&](const fs::path& path, bool) {
    if (path.filename().native().starts_with(prefix) && !keep.contains(path.native())) left.push_back(path);
  });
  if (!listed) return listed;
  for (const fs::path& path : left) {
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
      return cannot("remove what an earlier attempt left,", path.native(), std::strerror(errno));
    }
  }
  return {};
}

Status PartPublisher::remove_replaced() {
  // Whoever renames the list is the one that carries it out.
  const std::string list = replaced_list(folder_, sink_);
  const std::string mine = list + "." + std::to_string(subtask_);
  if (::rename(list.c_str(), mine.c_str()) != 0) {
    if (errno == ENOENT) return {};
    return cannot("rename", list, std::strerror(errno));
  }
  std::ifstream lines{mine};
  for (std::string line; std::getline(lines, line);) {
    std::size_t path_at = 0;
    for (int i = 0; i < 3 && path_at != std::string::npos; ++i) path_at = line.find(' ', path_at) + 1;
    const fs::path path = line.substr(path_at);
    if (identity(path) != line) continue;
    if (::unlink(path.c_str()) != 0) return cannot("replace", path.native(), std::strerror(errno));
    // A partition without parts goes too; one with files stays.
    if (path.parent_path() != fs::path{folder_}) ::rmdir(path.parent_path().c_str());
  }
  ::unlink(mine.c_str());
  return {};
}

namespace {

/// rename(2) that fails with EEXIST instead of replacing; by link(2) where the filesystem cannot.
int rename_without_replacing(const char* from, const char* to) {
  if (::renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return errno;
  if (::link(from, to) != 0) return errno;
  return ::unlink(from) == 0 ? 0 : errno;
}

}  // namespace

Status PartPublisher::publish(const std::string& hidden_path, std::string_view extension) {
  const std::string folder = fs::path{hidden_path}.parent_path().native();
  std::uint64_t& number = next_[folder];
  for (;; ++number) {
    std::string visible = folder + "/part-" + std::to_string(subtask_) + "-" + std::to_string(number);
    visible += extension;
    const int reason = rename_without_replacing(hidden_path.c_str(), visible.c_str());
    if (reason == EEXIST) continue;
    if (reason != 0) return cannot("make visible", visible, std::strerror(reason));
    ++number;
    return {};
  }
}

}  // namespace dataflow
