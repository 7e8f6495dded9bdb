#pragma once
// The asynchronous part of a checkpoint: what the operators of a task have captured becomes one file, or, when it is
// little, bytes that travel with the acknowledgement (a file costs two fsyncs).

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "libdataflow/checkpoint/storage.hpp"
#include "libdataflow/state/snapshot.hpp"
#include "serialization/checkpoint_metadata.hpp"

namespace dataflow {

/// State up to this size lies in the metadata.
inline constexpr std::size_t largest_inline_state = 16 * 1024;

/// The captured state of a chain's operators, by uid.
using CapturedStates = std::vector<std::pair<std::string, CapturedStatePtr>>;

/// Where the immutable files of a task's stores have been put, by content: the storage may have them already when the
/// next checkpoint names them. Safe to use from any thread. Grows with the files that a store has ever had.
class UploadedFiles {
 public:
  /// Empty when it has not been put.
  [[nodiscard]] std::string find(const StoreFile& file) const;
  void add(const StoreFile& file, std::string key);

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::string> keys_;
};

/// Writes it to `folder`/`name` of the storage and says where everything lies. On any thread. Stores stay what they
/// are, as files beside it, where `uploaded` is given; else they become rows like everything else. Errors: of the
/// storage; internal when the name exists: it has to be this attempt's own.
Result<TaskState> write_task_state(CapturedStates states, CheckpointStorage& storage, const std::string& folder,
                                   const std::string& name, UploadedFiles* uploaded = nullptr);

/// What a subtask's file is called in the folder of a checkpoint. No attempt writes another's.
std::string task_state_name(std::uint32_t vertex, std::uint32_t subtask, std::uint32_t attempt);

/// write_task_state without a storage: everything inline.
Result<TaskState> collect_task_state(CapturedStates states);

}  // namespace dataflow
