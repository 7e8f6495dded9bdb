#pragma once
// Copies on this machine of the files of stores that checkpoints have elsewhere (Flink's local recovery): a subtask
// that begins again where it ran does not have to read them from there.

#include <deque>
#include <filesystem>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "libdataflow/state/store_files.hpp"

namespace dataflow {

/// A copy is a second name of a store's own immutable file, and costs nothing until the store drops it. They are an
/// aid: what cannot be kept, or is not what was written, is read from the checkpoint. Safe to use from any thread.
class LocalCopies {
 public:
  /// `folder` is a job's own, on the filesystem of its stores; it is made when there is something to keep, and outlives
  /// this object, so that the job's next process here finds it.
  explicit LocalCopies(std::filesystem::path folder);
  LocalCopies(const LocalCopies&) = delete;
  LocalCopies& operator=(const LocalCopies&) = delete;

  /// The file that lies at `at` is part of `checkpoint`. What none of the newest three has goes: the newest that is
  /// complete is among them unless two after it have failed.
  void keep(const std::string& checkpoint, const StoreFile& file, const std::filesystem::path& at);
  /// Gives the copy of the file the name `into`. False when there is none with this content.
  bool give(const StoreFile& file, const std::filesystem::path& into);

 private:
  struct Checkpoint {
    std::string name;
    std::set<std::string> files;
  };
  void forget_oldest();
  [[nodiscard]] bool is_kept(const std::string& file) const;

  std::filesystem::path folder_;
  std::mutex mutex_;
  std::deque<Checkpoint> checkpoints_;  ///< the oldest first
};
using LocalCopiesPtr = std::shared_ptr<LocalCopies>;

}  // namespace dataflow
