#pragma once
// A job's sources as its master has them: an enumerator for each, made anew for each attempt of its region and asked
// for splits by its subtasks; and what else has to be true of the outside world before an attempt. Kept by the master,
// in one thread.

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "libdataflow/checkpoint/restored_checkpoint.hpp"
#include "libdataflow/graph/job_graph.hpp"
#include "libdataflow/master/execution.hpp"
#include "libdataflow/sources/source.hpp"

namespace dataflow {

class ExecutionGraph;

class JobSources {
 public:
  explicit JobSources(JobGraphPtr graph) : graph_{std::move(graph)} {}

  /// When nothing of the region runs: its operators clear away what attempts before left, but for what `restored`
  /// lists, and its sources' enumerators begin, or go on from there. `job_id`: as sinks know the job. `restored` is
  /// null for a start from nothing. Does I/O. Errors: those of operators and sources, naming them.
  Status prepare(RegionAttempt of, const ExecutionGraph& execution, const std::string& job_id,
                 const RestoredCheckpoint* restored);
  /// Of every source, by uid: what has not been handed out. Errors: one that cannot say it, naming it.
  [[nodiscard]] Result<std::map<std::string, std::string>> snapshot() const;
  /// For a subtask of a source. Errors: the enumerator's, naming the source.
  Result<SplitEnumerator::Next> next(SubtaskId id, Timestamp now);

 private:
  [[nodiscard]] const StreamNode& head(std::uint32_t vertex) const {
    return graph_->node(graph_->vertices[vertex].chain.front());
  }

  JobGraphPtr graph_;
  std::map<std::uint32_t, std::unique_ptr<SplitEnumerator>> enumerators_;  ///< by vertex
};

}  // namespace dataflow
