#pragma once
// Exchanges that would send every record to the subtask that it is in.

#include <cstdint>
#include <vector>

#include "libdataflow/graph/stream_graph.hpp"

namespace dataflow {

/// Makes exchanges by a key forward ones where the sender's rows are with their keys' subtasks already: it has as many
/// subtasks, and has got what they come from by the same key. `parallelism`: of each node.
void keep_partitions(StreamGraph& graph, const std::vector<std::uint32_t>& parallelism);

}  // namespace dataflow
