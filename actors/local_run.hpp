#pragma once
// A job in this process: the JobSupervisor and one Worker, the same actors as a cluster's. This header is what `dfnode
// run` and programs with a job inside use; it shows no CAF.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libdataflow/checkpoint/job_checkpoints.hpp"
#include "libdataflow/graph/job_graph.hpp"
#include "libdataflow/master/execution_graph.hpp"
#include "libdataflow/runtime/task.hpp"
#include "libdataflow/topology/substitution.hpp"

namespace dataflow {

struct LocalRunOptions {
  std::uint32_t slots = 0;  ///< 0: as many as the machine has cores, or as the graph needs if that is more
  Chaining chaining = Chaining::where_possible;
  StartPoint start;
};

/// A job's checkpoints as they stand.
struct CheckpointStatus {
  std::uint64_t completed = 0;
  std::uint64_t failed = 0;
  std::uint64_t resumed_from = 0;           ///< the number of the one that the job went on from; 0: from nothing
  std::vector<CheckpointRecord> records;    ///< the newest, oldest first
  std::vector<SavepointRecord> savepoints;  ///< likewise
};

/// A job as it stands.
struct JobStatus {
  JobState state = JobState::created;
  std::uint32_t restarts = 0;
  std::optional<Error> error;           ///< why it failed
  std::vector<FailureRecord> failures;  ///< also those that a restart has mended
  CheckpointStatus checkpoints;
  /// By node name, summed over subtasks; complete once the job has finished.
  std::map<std::string, NodeMetrics> nodes;
};

/// A running job. All calls may be made from any thread; destroying it cancels the job and waits for its end.
class LocalJob {
 public:
  /// From then on a crash of user code is reported to standard error before it ends the process, if nothing else
  /// handles its signal. Errors: those of build_job_graph.
  static Result<std::unique_ptr<LocalJob>> start(StreamGraph graph, LocalRunOptions options = {});
  ~LocalJob();
  LocalJob(const LocalJob&) = delete;
  LocalJob& operator=(const LocalJob&) = delete;

  [[nodiscard]] const JobGraphPtr& graph() const;
  /// Sources end, what is in flight finishes, sinks commit. `drain`: open windows fire.
  void stop(EndOfData how);
  /// What is not committed is undone.
  void cancel();
  /// A savepoint below `target`, or, when that is empty, below the job's checkpoints; with `stop` the job ends with it.
  /// Waits until it is there; its path. Errors: why there is none.
  Result<std::string> take_savepoint(const std::string& target, std::optional<EndOfData> stop);
  /// Errors: io when the job does not answer within seconds.
  Result<JobStatus> status();
  /// As job_as_json gives it. Errors: as for status.
  Result<std::string> show(const Secrets& secrets);
  /// Waits at most `timeout` for the end; the status then, or nothing.
  std::optional<JobStatus> wait(Duration timeout);

  /// A message to every subtask of `node`, or, with a key, to the one that owns it; a JSON array of their answers.
  Result<std::string> send(std::string_view node, std::string_view message, std::string_view json,
                           std::string_view key_json = {});
  /// The declared state of a key.
  Result<std::string> ask(std::string_view node, std::string_view state, std::string_view key_json);

 private:
  struct Impl;
  explicit LocalJob(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace dataflow
