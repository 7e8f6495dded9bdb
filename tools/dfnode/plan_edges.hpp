#pragma once
// An edge of a plan in words.

#include <string>
#include <vector>

#include "libdataflow/graph/job_graph.hpp"

namespace dataflow::cli {

/// How records come over an edge: its partitioning as it will be, and the names of the key fields.
struct PlannedEdge {
  const StreamNode* from = nullptr;
  const StreamOutput* output = nullptr;
  std::string name;  ///< "daily.late"
  std::string as;    ///< what the node's type calls the input, when it has several: "left"
  Partitioning partitioning = Partitioning::forward;
  bool chained = false;  ///< a call inside of one task
  std::vector<std::string> keys;
};

/// The inputs of a node, in its order.
std::vector<PlannedEdge> planned_inputs(const JobGraph& plan, const StreamNode& node);

/// `hash(city)`, `forward`, `chained`.
std::string describe(const PlannedEdge& edge);

/// "source", "operator" or "sink".
std::string_view role_of(const StreamNode& node);

}  // namespace dataflow::cli
