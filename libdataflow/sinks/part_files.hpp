#pragma once
// The files of an output folder, step by step, as the file sink uses them while its job runs: which steps were done
// decides what is durable and what is visible after a crash. The operating system's; a simulated cluster has its own.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "serialization/result.hpp"

namespace dataflow {

/// A file that is being written. Destroyed, it is closed.
class OpenFile {
 public:
  virtual ~OpenFile() = default;
  virtual Status append(std::string_view bytes) = 0;
  /// What was appended is on the disk, and the file is closed.
  virtual Status finish() = 0;
};

/// Errors are io, name the path and the system's reason, and say what to do.
class PartFiles {
 public:
  virtual ~PartFiles() = default;
  /// Makes the folder, with those above it; no error when it exists.
  virtual Status make_folder(const std::string& folder) = 0;
  /// Makes the file, which must not exist.
  virtual Result<std::unique_ptr<OpenFile>> create(const std::string& path) = 0;
  /// Names made or changed in the folder survive a crash.
  virtual Status sync_folder(const std::string& folder) = 0;
  [[nodiscard]] virtual bool exists(const std::string& path) = 0;
  /// Atomic. False when `to` exists, which then stays as it is.
  virtual Result<bool> rename_to_new(const std::string& from, const std::string& to) = 0;
  /// No error when it does not exist.
  virtual Status remove(const std::string& path) = 0;
  /// Paths of all files in the folder and those below it, but for what is in hidden folders; none when it does not
  /// exist.
  virtual Result<std::vector<std::string>> list(const std::string& folder) = 0;
};
using PartFilesPtr = std::shared_ptr<PartFiles>;

/// The operating system's.
const PartFilesPtr& system_part_files();

}  // namespace dataflow
