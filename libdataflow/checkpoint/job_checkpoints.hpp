#pragma once
// A job's checkpoints for its JobSupervisor: the storage, the run that the job leads in it, and the coordinator.

#include <memory>
#include <string>

#include "libdataflow/checkpoint/coordinator.hpp"
#include "libdataflow/checkpoint/restored_checkpoint.hpp"
#include "libdataflow/checkpoint/savepoint.hpp"
#include "libdataflow/checkpoint/storage.hpp"

namespace dataflow {

/// Whether a job begins anew or goes on from a run.
enum class StartFrom : std::uint8_t {
  nothing,
  last_run,  ///< the newest of the job's name, whoever began it
  own_run,   ///< the one that this job began, before its master died
};

/// What a job starts from.
struct StartPoint {
  StartFrom from = StartFrom::nothing;
  /// The path of a savepoint, for a run that begins; empty: from nothing.
  std::string savepoint{};
  UnclaimedState unclaimed = UnclaimedState::refused;
};

/// What an attempt starts from.
struct RestorePoint {
  RestoredCheckpointPtr checkpoint;  ///< null: from nothing
  std::string storage;               ///< URI or path; empty: the job's own
  std::string folder;                ///< in that storage
};

class JobCheckpoints {
 public:
  /// For a job with [checkpoint]; does I/O. `storage`: null for the one that the job names. `find`: where the savepoint
  /// is that it starts from. Errors: invalid_argument, io; also what is wrong with the checkpoint or savepoint.
  static Result<std::unique_ptr<JobCheckpoints>> open(JobGraphPtr graph, const std::string& job_id,
                                                      const StartPoint& start, CheckpointStoragePtr storage = nullptr,
                                                      SavepointFinder find = find_savepoint);

  /// What an attempt that begins now starts from. Does I/O. Not while in doubt.
  Result<RestorePoint> restore_point();

  [[nodiscard]] CheckpointCoordinator& coordinator() { return *coordinator_; }
  [[nodiscard]] const CheckpointCoordinator& coordinator() const { return *coordinator_; }
  [[nodiscard]] const CheckpointStoragePtr& storage() const { return storage_; }
  [[nodiscard]] const std::string& lineage() const { return lineage_; }
  /// The id of the job that began the run: names of files and transactions contain it.
  [[nodiscard]] const std::string& job_id() const { return job_id_; }
  /// Numbers of attempts of this process follow those of the processes before it.
  [[nodiscard]] std::uint32_t attempt_base() const {
    return static_cast<std::uint32_t>(coordinator_->epoch() - 1) * attempts_per_process;
  }
  /// The number of the checkpoint or savepoint that this process went on from; 0: from nothing.
  [[nodiscard]] std::uint64_t resumed_from() const { return resumed_from_; }

 private:
  static constexpr std::uint32_t attempts_per_process = 1U << 16;
  JobCheckpoints() = default;
  [[nodiscard]] Result<RestorePoint> load_origin(const RunOrigin& origin);
  /// The metadata of a checkpoint that is known to be there, checked against the job; read once.
  [[nodiscard]] Result<RestoredCheckpointPtr> load(const CheckpointStoragePtr& storage, const std::string& folder,
                                                   UnclaimedState unclaimed);

  JobGraphPtr graph_;
  CheckpointStoragePtr storage_;
  SavepointFinder find_;
  std::string lineage_;
  std::string job_id_;
  RunOrigin origin_;
  UnclaimedState unclaimed_ = UnclaimedState::refused;
  std::unique_ptr<CheckpointCoordinator> coordinator_;
  std::uint64_t resumed_from_ = 0;
  RestoredCheckpointPtr loaded_;  ///< the one that was read last,
  std::string loaded_from_;       ///< and where it is
};

}  // namespace dataflow
