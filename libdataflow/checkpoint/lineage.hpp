#pragma once
// The checkpoints of one run of a job, across restarts and across the processes that go on from it.
//
//   NAME/run-000001/epoch-000002              one for each coordinator that has led the run: the highest leads; the
//                                             first has the id of the job that began the run, and what it began from
//   NAME/run-000001/chk-0000000007.e000002/   a checkpoint's folder, with the epoch of who began it: _metadata, files
//   NAME/run-000001/latest-0000000004         the fourth that was completed: names its folder
//
// "Latest" is the entry with the highest number, and adding one is put-if-absent: a compare-and-set. Whoever finds the
// number taken has been overtaken, unless it has taken it itself and has only not been told.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libdataflow/checkpoint/storage.hpp"

namespace dataflow {

/// A completed checkpoint.
struct CompletedCheckpoint {
  std::uint64_t sequence = 0;
  std::uint64_t id = 0;
  std::uint64_t epoch = 0;
  std::string folder;  ///< a key
};

/// Names within a run's folder `lineage`.
std::string checkpoint_folder(const std::string& lineage, std::uint64_t id, std::uint64_t epoch);
std::string latest_key(const std::string& lineage, std::uint64_t sequence);
/// The content of a latest entry, and back. Errors: malformed_data.
std::string encode_latest(const CompletedCheckpoint& checkpoint);
Result<CompletedCheckpoint> decode_latest(std::string_view content, std::uint64_t sequence, const std::string& lineage);

/// The savepoint that a run began from.
struct RunOrigin {
  std::string savepoint{};  ///< a path; empty: the run began from nothing
  bool drop_unclaimed = false;

  friend bool operator==(const RunOrigin&, const RunOrigin&) = default;
};

/// A run that this process leads now.
struct Leadership {
  std::string lineage;
  std::uint64_t epoch = 0;
  std::string job_id;                          ///< of the job that began the run
  std::vector<CompletedCheckpoint> completed;  ///< in order; all that are named
  RunOrigin origin{};                          ///< where it starts from until it has completed a checkpoint
};

/// A new run of a job of that name, led by the job `job_id`.
Result<Leadership> begin_run(CheckpointStorage& storage, std::string_view job_name, const std::string& job_id,
                             const RunOrigin& origin = {});
/// The newest run of the job, if there is one: whoever led it before can complete nothing any more.
/// With `begun_by`, of those that this job began: other jobs of the name have runs of their own.
Result<std::optional<Leadership>> resume_run(CheckpointStorage& storage, std::string_view job_name,
                                             std::string_view begun_by = {});
/// That the storage still is the one in which `epoch` was taken. Errors: io: it is not, for instance because a disk is
/// not mounted any more; what it lists is not to be believed then.
Status confirm_storage(CheckpointStorage& storage, const std::string& lineage, std::uint64_t epoch);
/// confirm_storage, and that nobody has taken the lead since: before an attempt touches what is outside of the
/// checkpoints, where others' epochs protect nothing. Errors: also `overtaken`.
Status confirm_leadership(CheckpointStorage& storage, const std::string& lineage, std::uint64_t epoch);
/// That no run of that name has been begun by the job `job_id`, which is about to begin its first. Errors: io;
/// `overtaken`: another master of the job has, while this one stood still.
Status confirm_first(CheckpointStorage& storage, std::string_view job_name, std::string_view job_id);
/// What who has been overtaken fails with.
Error overtaken();
/// What has been completed, in order.
Result<std::vector<CompletedCheckpoint>> list_completed(CheckpointStorage& storage, const std::string& lineage);

/// What became of an attempt to complete a checkpoint.
enum class Advance : std::uint8_t {
  done,       ///< it is the latest now
  overtaken,  ///< another coordinator leads
};
/// Adds `checkpoint` as number checkpoint.sequence, or as a later one where this epoch has added entries of which it
/// does not know; says which in `checkpoint`. Errors: io: it may be done or not; unavailable: it is not, the storage is
/// another one than before.
Result<Advance> advance_latest(CheckpointStorage& storage, const std::string& lineage, CompletedCheckpoint& checkpoint);

/// Removes every file of a checkpoint, its metadata first.
Status remove_checkpoint(CheckpointStorage& storage, const CompletedCheckpoint& checkpoint, const std::string& lineage);
/// Removes what checkpoints that were never completed have left: those of epochs before `epoch`.
Status remove_leftovers(CheckpointStorage& storage, const Leadership& leadership);

}  // namespace dataflow
