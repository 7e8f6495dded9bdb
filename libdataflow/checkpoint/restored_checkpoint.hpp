#pragma once
// A checkpoint that a job starts from: read, checked against the job's graph, and dealt out to its subtasks.

#include <memory>
#include <optional>
#include <string>

#include "libdataflow/checkpoint/storage.hpp"
#include "libdataflow/graph/job_graph.hpp"
#include "libdataflow/state/snapshot.hpp"
#include "serialization/checkpoint_metadata.hpp"

namespace dataflow {

/// What becomes of state that no operator of the job claims.
enum class UnclaimedState : std::uint8_t { refused, dropped };

class UploadedFiles;

class RestoredCheckpoint {
 public:
  /// Reads `folder`/_metadata. Errors: not_found, io, malformed_data naming the file.
  static Result<std::shared_ptr<const RestoredCheckpoint>> load(CheckpointStoragePtr storage, std::string folder);
  /// Of a TaskState that lies in memory whole, for tests of single operators.
  static std::shared_ptr<const RestoredCheckpoint> of(CheckpointMetadata metadata);

  [[nodiscard]] const CheckpointMetadata& metadata() const { return metadata_; }
  /// Errors: invalid_argument when the job's maximum parallelism is another, or state would be lost.
  [[nodiscard]] Status check(const JobGraph& graph, UnclaimedState unclaimed) const;

  /// The state of one subtask of an operator; this object outlives the reader. An operator that had none gets an empty
  /// reader.
  [[nodiscard]] std::unique_ptr<StateReader> reader(std::string_view uid, std::uint32_t subtask,
                                                    std::uint32_t parallelism) const;
  /// What all subtasks of an operator had, as one.
  [[nodiscard]] std::unique_ptr<StateReader> reader_of_all(std::string_view uid) const { return reader(uid, 0, 1); }
  /// The newest message from outside that the subtask had taken; 0 when there were others than now.
  [[nodiscard]] std::uint64_t last_message(std::string_view uid, std::uint32_t subtask,
                                           std::uint32_t parallelism) const;
  /// Tells it the files of stores that lie in the checkpoint: later ones in the same storage need not have them written
  /// again.
  void name_files(UploadedFiles& uploaded) const;
  /// What the source's enumerator gave, if there is such a source in the checkpoint.
  [[nodiscard]] std::optional<std::string> enumerator(std::string_view uid) const;

 private:
  class Reader;
  RestoredCheckpoint(CheckpointStoragePtr storage, std::string folder, CheckpointMetadata metadata)
      : storage_{std::move(storage)}, folder_{std::move(folder)}, metadata_{std::move(metadata)} {}

  [[nodiscard]] std::string key_of(const StateTable& table, const StoredFileEntry& file) const {
    return folder_ + "/" + table.store_prefix + file.name;
  }

  CheckpointStoragePtr storage_;  ///< null when everything is inline
  std::string folder_;
  CheckpointMetadata metadata_;
};
using RestoredCheckpointPtr = std::shared_ptr<const RestoredCheckpoint>;

/// The name of the metadata in a checkpoint's folder.
inline constexpr std::string_view metadata_name = "_metadata";

}  // namespace dataflow
