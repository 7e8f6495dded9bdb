#pragma once
// The ExecutionGraph: a job's subtasks with their states and attempts, and the decisions over them: deploy, start,
// commit, restart, cancel. Events in, effects out; the JobSupervisor actor carries both.
//
// The whole job is one failover region here: when a subtask fails, all are cancelled, and once none is left the next
// attempt is deployed or the job fails, by its restart strategy. A job that ends by itself commits only when every
// subtask has pre-committed, so that a failure before that moment leaves nothing visible.
//
// Not every failure is worth a restart: what cannot be different the next time (a malformed record, an overflow, a
// wrong setting, anything before the job ever ran) fails the job at once, and so does one that comes back unchanged.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "libdataflow/graph/job_graph.hpp"
#include "libdataflow/master/restart_strategy.hpp"
#include "libdataflow/runtime/task.hpp"

namespace dataflow {

/// Flink's states of a subtask's attempt.
enum class ExecutionState : std::uint8_t {
  created,       ///< of this attempt nothing exists yet
  deploying,     ///< a slot has been asked to make it
  initializing,  ///< exists; channels are wired, operators opened
  running,
  prepared,  ///< all data is through and pre-committed
  finished,
  canceling,  ///< asked to end, or failed and not yet gone
  canceled,
};
std::string_view to_string(ExecutionState state);

/// Flink's states of a job.
enum class JobState : std::uint8_t { created, running, restarting, cancelling, canceled, failing, failed, finished };
std::string_view to_string(JobState state);
/// finished, failed, canceled.
bool is_terminal(JobState state);

struct SubtaskId {
  std::uint32_t vertex = 0;
  std::uint32_t subtask = 0;
  friend auto operator<=>(const SubtaskId&, const SubtaskId&) = default;
};

/// One entry of a job's failure history.
struct FailureRecord {
  Timestamp at;
  std::uint32_t attempt = 0;
  std::string message;  ///< operator, subtask, position, reason
};

// What the shell is asked to do.
struct DeployTasks {
  std::uint32_t attempt;
};                     ///< place every subtask of this attempt; answered by on_deployed for each, or on_failed
struct OpenTasks {};   ///< wire the channels and open; answered by on_opened
struct StartTasks {};  ///< let them run
struct CommitTasks {
  std::uint64_t epoch;
};                      ///< answered by on_finished
struct CancelTasks {};  ///< answered by on_gone for each that was deployed
struct StopSources {
  EndOfData how;
};
struct ScheduleRestart {
  Duration delay;
};  ///< answered by on_restart_due
struct EndJob {
  JobState state;
};
using Effect =
    std::variant<DeployTasks, OpenTasks, StartTasks, CommitTasks, CancelTasks, StopSources, ScheduleRestart, EndJob>;

/// How many failures a job's history keeps.
inline constexpr std::size_t max_failure_records = 64;
/// So often in a row the same failure of user code, or of a job with an end, is taken for bad luck.
inline constexpr std::size_t max_same_failures = 4;

class ExecutionGraph {
 public:
  explicit ExecutionGraph(JobGraphPtr graph);

  // Events. Those of an attempt that is not the current one are ignored: it is fenced.
  std::vector<Effect> start(Timestamp now);
  std::vector<Effect> on_deployed(std::uint32_t attempt, SubtaskId id);
  std::vector<Effect> on_opened(std::uint32_t attempt, SubtaskId id);
  std::vector<Effect> on_prepared(std::uint32_t attempt, SubtaskId id);
  std::vector<Effect> on_finished(std::uint32_t attempt, SubtaskId id);
  /// A subtask failed, or something without subtask did (`message` says what).
  std::vector<Effect> on_failed(std::uint32_t attempt, std::optional<SubtaskId> id, const Error& error, Timestamp now);
  /// A subtask of the attempt exists no more.
  std::vector<Effect> on_gone(std::uint32_t attempt, SubtaskId id);
  std::vector<Effect> on_restart_due();
  std::vector<Effect> stop(EndOfData how);
  std::vector<Effect> cancel();

  [[nodiscard]] JobState state() const { return state_; }
  [[nodiscard]] std::uint32_t attempt() const { return attempt_; }
  [[nodiscard]] std::uint32_t restarts() const { return restarts_; }
  [[nodiscard]] const std::vector<FailureRecord>& failures() const { return failures_; }
  /// The error that failed the job, when it has.
  [[nodiscard]] const std::optional<Error>& error() const { return error_; }
  [[nodiscard]] ExecutionState state(SubtaskId id) const { return executions_[index(id)]; }
  [[nodiscard]] const JobGraphPtr& graph() const { return graph_; }
  /// Every subtask, vertex by vertex.
  [[nodiscard]] std::vector<SubtaskId> subtasks() const;

 private:
  [[nodiscard]] std::size_t index(SubtaskId id) const { return first_of_vertex_[id.vertex] + id.subtask; }
  [[nodiscard]] bool all(ExecutionState state) const;
  [[nodiscard]] bool current(std::uint32_t attempt) const { return attempt == attempt_; }
  /// Moves one subtask on; true when it was the last one to get there.
  bool advance(SubtaskId id, ExecutionState from, ExecutionState to);
  std::vector<Effect> cancel_all(JobState next);
  /// Why a restart would not help; empty when it might.
  [[nodiscard]] std::string hopeless(const Error& error) const;
  std::vector<Effect> after_all_gone();
  std::vector<Effect> end(JobState state);

  JobGraphPtr graph_;
  std::vector<std::size_t> first_of_vertex_;
  std::vector<ExecutionState> executions_;
  RestartStrategy strategy_;
  JobState state_ = JobState::created;
  std::uint32_t attempt_ = 0;
  std::uint32_t restarts_ = 0;
  bool has_run_ = false;  ///< some attempt had all subtasks running
  bool committing_ = false;
  std::optional<Duration> restart_delay_;  ///< while restarting
  std::optional<EndOfData> stop_;          ///< asked for; also by attempts that start later
  std::optional<Error> error_;
  std::vector<FailureRecord> failures_;  ///< the newest max_failure_records
};

}  // namespace dataflow
