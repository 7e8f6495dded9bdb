#pragma once
// A job's master process in a simulated cluster: what the actor JobSupervisor does between the state machines
// (actors/job_supervisor*.cpp), on virtual time. It decides nothing: the ExecutionGraph, the CheckpointCoordinator,
// JobCheckpoints and JobSources are the real ones.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "libdataflow/checkpoint/job_checkpoints.hpp"
#include "libdataflow/master/execution_graph.hpp"
#include "libdataflow/master/job_sources.hpp"
#include "libdataflow/simulation/worker.hpp"

namespace dataflow::simulation {

/// What the master's home, the JobManager, does for it. Called in the master's process.
class MasterHome {
 public:
  virtual ~MasterHome() = default;
  virtual void request_slots(std::uint32_t round, const std::vector<std::uint32_t>& slots) = 0;
  virtual void kill_worker(const std::string& node, const std::string& reason) = 0;
  virtual void job_ended(JobState state, const std::optional<Error>& error) = 0;
};

/// A savepoint that somebody was told is complete.
struct TakenSavepoint {
  std::string location;
  std::string folder;   ///< in the storage of savepoints
  std::string lineage;  ///< the run
  std::uint64_t checkpoint = 0;
};

struct MasterSettings {
  std::string job_id;
  StartPoint start_from;
  CheckpointStoragePtr storage;
  CheckpointStoragePtr savepoints;  ///< where they are exported to
  std::function<void(const TakenSavepoint&)> on_savepoint;
  ExecutionDeadlines deadlines;
};

class Master final : public Actor {
 public:
  Master(World& world, ProcessPtr process, JobGraphPtr graph, MasterSettings settings,
         std::shared_ptr<MasterHome> home);
  ~Master() override;
  void begin();

  // From workers; of an attempt that is over they change nothing.
  void heard(const std::string& worker);
  void take_offer(const std::shared_ptr<Worker>& worker, std::uint32_t round, const std::vector<std::uint32_t>& slots);
  void take_deployed(RegionAttempt of, std::uint32_t slot);
  void take_opened(std::uint32_t attempt, SubtaskId id);
  void take_prepared(std::uint32_t attempt, SubtaskId id);
  void take_finished(std::uint32_t attempt, SubtaskId id);
  void take_failed(std::uint32_t attempt, SubtaskId id, const Error& error);
  void take_gone(std::uint32_t attempt, SubtaskId id);
  void take_unreachable(RegionAttempt of, const std::string& reason);
  void take_split_request(std::uint32_t attempt, SubtaskId id);
  void take_acknowledgement(std::uint32_t attempt, SubtaskId id, std::uint64_t checkpoint, const std::string& state,
                            const SnapshotTimes& times);
  void take_decline(std::uint32_t attempt, SubtaskId id, std::uint64_t checkpoint, const Error& error);
  // From the JobManager.
  void slots_granted(std::uint32_t round);
  void slots_refused(std::uint32_t round, const std::string& reason);
  void worker_lost(std::uint32_t round, const std::string& node, const std::string& reason);
  /// Stops the job with a savepoint as its last checkpoint: its sources end now, and open windows are kept.
  void stop_for_rescaling();
  void take_savepoint();
  [[nodiscard]] JobState state() const { return execution_.state(); }
  [[nodiscard]] std::string describe_state() const;

 private:
  void let_go() override { workers_.clear(); }

  struct WorkerState {
    std::shared_ptr<Worker> worker;
    Timestamp heard;
    bool lost = false;
  };

  void start();
  void apply(const Effects& effects);
  void carry_out(const AcquireSlots& effect);
  void carry_out(const DeployTasks& effect);
  void carry_out(const OpenTasks& effect);
  void carry_out(const StartTasks& effect);
  void carry_out(const TakeLastCheckpoint& effect);
  void carry_out(const CommitTasks& effect);
  void carry_out(const CancelTasks& effect);
  void carry_out(const AbandonTasks& effect);
  void carry_out(const StopSources& effect);
  void carry_out(const ScheduleRestart& effect);
  void carry_out(const ScheduleDeadline& effect);
  void carry_out(const EndJob& effect);

  void apply_checkpoint(const std::vector<CheckpointEffect>& effects);
  void carry_out(const BeginCheckpoint& effect);
  void carry_out(const WriteMetadata& effect);
  void carry_out(const AdvanceLatest& effect);
  void carry_out(const CompleteCheckpoint& effect);
  void carry_out(const AbortCheckpoint& effect);
  void carry_out(const RemoveCheckpoint& effect);
  void carry_out(const FailForCheckpoints& effect);
  void carry_out(const ExportSavepoint& effect);
  void schedule_checkpoint_time();
  void end_checkpoints_of_attempt();

  Status prepare_attempt(RegionAttempt of);
  void find_slots();
  void fail_waiting(const Error& error);
  void lose_worker(std::size_t worker, const Error& error);
  void look_around();
  void retry_split_requests();
  [[nodiscard]] std::uint32_t width(std::uint32_t region) const;
  [[nodiscard]] NodeInstance instance(std::size_t worker) const;
  /// A message to a worker.
  void tell(std::size_t worker, const char* what, std::function<void(Worker&)> say);
  void tell_region(RegionAttempt of, const char* what, const std::function<void(Worker&)>& say);
  void tell_all(const char* what, const std::function<void(Worker&)>& say);
  void note_failures();

  JobGraphPtr graph_;
  MasterSettings settings_;
  std::shared_ptr<MasterHome> home_;
  std::unique_ptr<JobCheckpoints> checkpoints_;
  std::shared_ptr<class BlockingQueue> blocking_;
  std::map<std::uint32_t, RestorePoint> restore_points_;
  std::vector<AcquireSlots> postponed_;
  std::optional<Timestamp> checkpoint_wake_;
  ExecutionGraph execution_;
  JobSources sources_;
  std::vector<WorkerState> workers_;
  std::vector<std::optional<std::size_t>> worker_of_slot_;
  std::uint32_t round_ = 0;
  std::vector<RegionAttempt> waiting_for_slots_;
  struct SplitRequest {
    std::uint32_t attempt;
    SubtaskId id;
  };
  std::vector<SplitRequest> waiting_for_splits_;
  struct Pending {
    Timestamp due;
    Deadline deadline;
  };
  std::vector<Pending> deadlines_;
  std::size_t noted_failures_ = 0;
  std::uint32_t restarts_noted_ = 0;
  bool end_told_ = false;
};

}  // namespace dataflow::simulation
