#pragma once
// The ExecutionGraph: a job's subtasks with their states and attempts, and the decisions over them: deploy, start,
// commit, restart, cancel. Events in, effects out; the JobSupervisor actor carries both.
//
// A failure restarts the failover region it happened in and no other: its subtasks are cancelled, and once none is left
// the region's next attempt is deployed, or the job fails, by the job's restart strategy. A job whose vertices are all
// connected is one region. A job that ends by itself commits only when every subtask of every region has pre-committed,
// so that a failure before that moment leaves nothing visible; a region that is through waits, pre-committed, for those
// that are not, and begins again itself only when something of it is lost.
//
// Each region counts its attempts, and each event of a subtask names the attempt that it is of: one of an attempt that
// is over changes nothing. That is what makes it safe to count the subtasks of a lost node as gone at once, and to go
// on without those that do not answer in time.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "libdataflow/graph/job_graph.hpp"
#include "libdataflow/master/execution.hpp"
#include "libdataflow/master/failure_history.hpp"
#include "libdataflow/master/restart_strategy.hpp"
#include "libdataflow/runtime/task.hpp"

namespace dataflow {

/// How long the shell's answers may take. They bound what hangs, not what is slow: generous on purpose.
struct ExecutionDeadlines {
  Duration deploy = std::chrono::minutes{1};  ///< from a slot to an existing subtask; artifacts are shipped in it
  Duration open = std::chrono::minutes{5};
  Duration cancel = std::chrono::seconds{30};
  Duration commit = std::chrono::minutes{5};
};

/// A wait that ends one way or the other: handed back by on_deadline.
struct Deadline {
  enum class Phase : std::uint8_t { deploy, open, cancel, commit };
  RegionAttempt of;  ///< not looked at for `commit`, which is the whole job's
  Phase phase = Phase::deploy;
};

// What the shell is asked to do.

/// See that the outside world is ready for the attempt, and find a slot for each subtask: subtask i of every vertex is
/// in slot i. Answered by on_slots, or by on_region_failed.
struct AcquireSlots {
  RegionAttempt of;
};
/// Make every subtask of the region, each in its slot; answered by on_deployed for each.
struct DeployTasks {
  RegionAttempt of;
};
/// Wire the region's channels and open; answered by on_opened for each.
struct OpenTasks {
  RegionAttempt of;
};
/// Let them run.
struct StartTasks {
  RegionAttempt of;
};
/// Every subtask of every region is through: take the checkpoint with which the job ends; answered by
/// on_last_checkpoint. Only in jobs with checkpoints.
struct TakeLastCheckpoint {};
/// All regions; answered by on_finished for each subtask.
struct CommitTasks {
  std::uint64_t epoch;
};
/// End what exists of the attempt; answered by on_gone for each. May come again for one that was still on its way.
struct CancelTasks {
  RegionAttempt of;
};
/// These did not answer and count as gone: end their process if that is possible, and expect nothing.
struct AbandonTasks {
  RegionAttempt of;
  std::vector<SubtaskId> subtasks;
};
struct StopSources {
  RegionAttempt of;
  EndOfData how;
};
/// Answered by on_restart_due.
struct ScheduleRestart {
  RegionAttempt of;
  Duration delay;
};
/// Answered by on_deadline, whatever has happened in between.
struct ScheduleDeadline {
  Deadline deadline;
  Duration after;
};
struct EndJob {
  JobState state;
};
using Effect = std::variant<AcquireSlots, DeployTasks, OpenTasks, StartTasks, TakeLastCheckpoint, CommitTasks,
                            CancelTasks, AbandonTasks, StopSources, ScheduleRestart, ScheduleDeadline, EndJob>;
using Effects = std::vector<Effect>;

/// What becomes of a stop when the job fails before it has ended.
enum class StopMeets : std::uint8_t {
  /// The job runs on and has to be stopped again (as in Flink): an attempt that stopped before it has come as far as
  /// the
  /// one that failed would leave out what that one had read.
  failure_by_going_on,
  /// The next attempt stops as well: its savepoint says how far it came, and nothing is left out.
  failure_by_stopping_again,
};

class ExecutionGraph {
 public:
  explicit ExecutionGraph(JobGraphPtr graph, ExecutionDeadlines deadlines = {});

  // Events. Those of an attempt that is not its region's current one are ignored: it is fenced.
  Effects start(Timestamp now);
  /// `nodes[i]`: where slot i is; at least as many as the region is wide.
  Effects on_slots(RegionAttempt of, const std::vector<NodeInstance>& nodes, Timestamp now);
  Effects on_deployed(std::uint32_t attempt, SubtaskId id, Timestamp now);
  Effects on_opened(std::uint32_t attempt, SubtaskId id, Timestamp now);
  Effects on_prepared(std::uint32_t attempt, SubtaskId id, Timestamp now);
  /// The checkpoint that holds everything is complete: its number is the epoch to commit.
  Effects on_last_checkpoint(std::uint64_t epoch);
  Effects on_finished(std::uint32_t attempt, SubtaskId id, Timestamp now);
  /// A subtask failed; it exists until on_gone.
  Effects on_failed(std::uint32_t attempt, SubtaskId id, const Error& error, Timestamp now);
  /// Something of the region failed that is no subtask.
  Effects on_region_failed(RegionAttempt of, const Error& error, Timestamp now);
  /// There are no slots for the region, and it has waited for them: the job fails, without a restart, which would wait
  /// for them again.
  Effects on_slots_refused(RegionAttempt of, const Error& error, Timestamp now);
  /// A slot with what the region had in it is gone.
  Effects on_slot_lost(RegionAttempt of, std::uint32_t slot, const Error& error, Timestamp now);
  /// A node with everything on it is gone, or counts as gone. One failure, however many regions it hits.
  Effects on_node_lost(const NodeInstance& node, const Error& error, Timestamp now);
  /// A subtask of the attempt exists no more.
  Effects on_gone(std::uint32_t attempt, SubtaskId id, Timestamp now);
  Effects on_restart_due(RegionAttempt of, Timestamp now);
  Effects on_deadline(const Deadline& deadline, Timestamp now);
  /// The sources end, what is in flight goes through, and the job commits. While a region is between two attempts
  /// there is nothing of it that could finish, and a part of a job is not committed: then the job is cancelled.
  Effects stop(EndOfData how, Timestamp now, StopMeets stop_meets = StopMeets::failure_by_going_on);
  /// Does nothing once the job commits: that cannot be taken back.
  Effects cancel(Timestamp now);

  /// RESTARTING while any region is between two attempts.
  [[nodiscard]] JobState state() const;
  [[nodiscard]] std::uint32_t restarts() const { return restarts_; }
  [[nodiscard]] const std::vector<FailureRecord>& failures() const { return history_.records(); }
  /// The error that failed the job, when it has.
  [[nodiscard]] const std::optional<Error>& error() const { return error_; }
  [[nodiscard]] const Execution& execution(SubtaskId id) const { return executions_[index(id)]; }
  [[nodiscard]] ExecutionState state(SubtaskId id) const { return execution(id).state; }
  [[nodiscard]] const JobGraphPtr& graph() const { return graph_; }
  [[nodiscard]] std::uint32_t region_count() const { return static_cast<std::uint32_t>(regions_.size()); }
  [[nodiscard]] std::uint32_t region_of(std::uint32_t vertex) const { return region_of_vertex_[vertex]; }
  /// The region's newest attempt.
  [[nodiscard]] RegionAttempt current(std::uint32_t region) const { return {region, regions_[region].attempt}; }
  /// Whether every subtask of every region runs, or is through.
  [[nodiscard]] bool all_running() const;
  /// Whether a message of that attempt of the subtask's region is to be listened to.
  [[nodiscard]] bool is_current(std::uint32_t attempt, SubtaskId id) const;
  /// Every subtask, vertex by vertex.
  [[nodiscard]] std::vector<SubtaskId> subtasks() const;
  [[nodiscard]] std::vector<SubtaskId> subtasks(std::uint32_t region) const;
  [[nodiscard]] std::optional<Timestamp> started_at() const { return started_at_; }
  [[nodiscard]] std::optional<Timestamp> ended_at() const { return ended_at_; }

 private:
  struct Region {
    enum class Phase : std::uint8_t {
      created,
      acquiring,
      deploying,
      opening,
      running,   ///< also when its subtasks have prepared or finished
      clearing,  ///< being cancelled
      waiting,   ///< nothing exists of it; the restart is due after its delay
      cleared,   ///< nothing exists of it, and nothing will
    };
    std::vector<std::size_t> executions;
    std::uint32_t attempt = 0;
    Phase phase = Phase::created;
    bool has_run = false;  ///< some attempt had all subtasks running
    Duration restart_delay{};
  };
  using Phase = Region::Phase;

  [[nodiscard]] std::size_t index(SubtaskId id) const { return first_of_vertex_[id.vertex] + id.subtask; }
  [[nodiscard]] std::uint32_t region_of(SubtaskId id) const { return region_of_vertex_[id.vertex]; }
  [[nodiscard]] bool is_current(RegionAttempt of) const;
  [[nodiscard]] bool all(const Region& region, ExecutionState state) const;
  [[nodiscard]] bool everywhere(ExecutionState state) const;
  static bool alive(const Region& region);
  /// Moves one subtask on; false when that is not where it stands.
  bool advance(SubtaskId id, ExecutionState from, ExecutionState to, Timestamp now);
  void begin_attempt(std::uint32_t region, Timestamp now, Effects& effects);
  /// Marks the executions for which `lost` holds as failed and gone, and fails their regions.
  template <class Lost>
  Effects lose(Lost lost, const Error& error, Timestamp now);
  Effects fail_regions(const std::vector<std::uint32_t>& hit, std::optional<SubtaskId> id, const Error& error,
                       Timestamp now);
  Effects fail_job(Error error, Timestamp now);
  Effects clear_all(JobState next, Timestamp now);
  void clear(std::uint32_t region, Timestamp now, Effects& effects);
  void after_gone(std::uint32_t region, Timestamp now, Effects& effects);
  Effects abandon(RegionAttempt of, Timestamp now);
  [[nodiscard]] std::string name_all(const std::vector<SubtaskId>& subtasks) const;
  [[nodiscard]] std::vector<SubtaskId> not_yet(const Region& region, ExecutionState reached) const;
  void end(JobState state, Timestamp now, Effects& effects);

  JobGraphPtr graph_;
  ExecutionDeadlines deadlines_;
  std::vector<std::size_t> first_of_vertex_;
  std::vector<std::uint32_t> region_of_vertex_;
  std::vector<SubtaskId> ids_;  ///< by execution
  std::vector<Execution> executions_;
  std::vector<Region> regions_;
  RestartStrategy strategy_;
  FailureHistory history_;
  JobState state_ = JobState::created;  ///< never `restarting`: that follows from the regions
  std::uint32_t restarts_ = 0;          ///< of all regions
  bool committing_ = false;
  std::optional<EndOfData> stop_;  ///< asked for; also by attempts that start later
  StopMeets stop_meets_ = StopMeets::failure_by_going_on;
  std::optional<Error> error_;
  std::optional<Timestamp> started_at_;
  std::optional<Timestamp> ended_at_;
};

}  // namespace dataflow
