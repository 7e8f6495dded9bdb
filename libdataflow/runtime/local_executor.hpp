#pragma once
// Runs a whole job in the calling thread on virtual time: the same tasks as under actors, stepped in a fixed order, so
// that a run can be repeated exactly. For `dfnode test`, for tests of jobs, and as the reference of other tests.

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "libdataflow/graph/job_graph.hpp"
#include "libdataflow/runtime/task.hpp"

namespace dataflow {

class LocalExecutor {
 public:
  struct Options {
    std::uint32_t parallelism = 1;  ///< where the graph says none
    Chaining chaining = Chaining::where_possible;
    Timestamp start{};  ///< where virtual time begins
  };

  /// Errors: those of build_job_graph.
  static Result<std::unique_ptr<LocalExecutor>> create(StreamGraph graph, Options options);
  static Result<std::unique_ptr<LocalExecutor>> create(StreamGraph graph) {
    return create(std::move(graph), Options{});
  }
  ~LocalExecutor();

  /// Opens all tasks and runs until the job has ended, commits included. Virtual time jumps to the next timer when
  /// nothing else can be done. An unbounded job is stopped and drained when virtual time reaches `until`, by which a
  /// source that is always ready gives about a million records. Errors: the first failure, naming operator and
  /// position; internal when nothing can go on (a deadlock).
  Status run(std::optional<Timestamp> until = std::nullopt);

  [[nodiscard]] Timestamp now() const { return now_; }
  /// Summed over subtasks, by node name.
  [[nodiscard]] std::map<std::string, NodeMetrics> metrics() const;

 private:
  class Host;
  struct Enumerator;

  LocalExecutor(JobGraphPtr graph, Options options);
  Status open();
  Status run_to_end(std::optional<Timestamp> until);
  Status step_all(bool& progressed, bool& all_prepared, std::optional<Timestamp>& wake_at);
  Status answer_split_requests(bool& progressed, std::optional<Timestamp>& wake_at);
  Status commit();
  [[nodiscard]] std::uint64_t records_of_endless_sources() const;

  JobGraphPtr graph_;
  Timestamp now_;
  std::vector<std::unique_ptr<JobGuard>> guards_;
  std::vector<std::unique_ptr<Host>> hosts_;  ///< every subtask, vertex by vertex
  std::vector<std::unique_ptr<Enumerator>> enumerators_;
};

/// The failure as a person reads it: operator, subtask of how many, position, reason.
Error to_error(const TaskFailure& failure, std::uint32_t subtask, std::uint32_t parallelism);

}  // namespace dataflow
