#pragma once
// Files as the master's store needs them, step by step: what is durable after a power cut depends on which steps were
// done, so each is a call of its own, and a test can stop between any two.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "serialization/result.hpp"

namespace dataflow {

/// Errors are io (not_found where said) and name the path and the system's reason.
class FileAccess {
 public:
  virtual ~FileAccess() = default;

  /// Makes the folder and those above it; no error when it exists.
  virtual Status make_folder(const std::string& path) = 0;
  /// Creates or replaces the file. Not durable before sync_file, and its name not before sync_folder.
  virtual Status write(const std::string& path, std::string_view bytes) = 0;
  virtual Status sync_file(const std::string& path) = 0;
  /// Atomic; replaces `to`.
  virtual Status rename(const std::string& from, const std::string& to) = 0;
  /// Gives the file a second name. False when `to` exists already, which then stays as it is.
  virtual Result<bool> link(const std::string& from, const std::string& to) = 0;
  virtual Status sync_folder(const std::string& path) = 0;
  /// No error when it does not exist.
  virtual Status remove(const std::string& path) = 0;
  /// Errors: not_found.
  virtual Result<std::string> read(const std::string& path) = 0;
  /// Names of the files in a folder, sorted.
  virtual Result<std::vector<std::string>> list(const std::string& path) = 0;
};

/// The operating system's files.
std::unique_ptr<FileAccess> system_files();

}  // namespace dataflow
