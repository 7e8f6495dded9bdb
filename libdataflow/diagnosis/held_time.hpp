#pragma once
// Why a window, a join or a pattern has not fired: which operators wait for event time, and whose records hold it back.
// What `dfnode why` and `dfnode show --json` say of a running job.
//
// Event time at an operator is the least watermark of what comes to it, so that there is always one source, subtask and
// split that holds it: following the least watermark from the operator back through its inputs leads there. On the way
// there may be an operator that makes time anew (event_time behind a map), or keeps it back itself (calls under way).

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "libdataflow/graph/job_graph.hpp"
#include "libdataflow/runtime/stage.hpp"

namespace dataflow {

/// The newest numbers of the nodes in one subtask.
struct SubtaskMetrics {
  std::uint32_t subtask = 0;
  std::vector<NodeMetrics> nodes;
};

/// An operator that gives something once event time is at `waits_for`, and is not there yet.
struct HeldTime {
  NodeId node = 0;
  std::uint32_t subtask = 0;  ///< the one that waits for the earliest time
  Timestamp waits_for{};
  Timestamp watermark = Timestamp::min();  ///< min: it has not been given one yet
  /// Of an operator with several inputs, which one is behind: the node that it comes from.
  std::optional<NodeId> input;
  // Who holds it back: a source, or an operator on the way.
  NodeId holder = 0;
  std::uint32_t holder_subtask = 0;
  std::string split;                    ///< that a source reads; empty: none at present
  Timestamp newest = Timestamp::min();  ///< event time that it has read; min: none
  std::string advice;                   ///< what releases it, for people
};

/// One for each operator that waits, in the order of the graph.
std::vector<HeldTime> held_time(const JobGraph& graph, const std::vector<SubtaskMetrics>& subtasks);

}  // namespace dataflow
