#pragma once
// Which subtask owns a key that somebody asks for from outside.

#include <cstdint>
#include <string_view>

#include "libdataflow/graph/job_graph.hpp"

namespace dataflow {

/// The subtask of keyed node `node` to which records with this key go. The key is a bare JSON value, or, for a key of
/// several fields, an object with the members "key1", "key2", ... in their order.
/// Errors: invalid_argument when the node is not keyed or the JSON is no such key.
Result<std::uint32_t> subtask_of_key(const JobGraph& graph, NodeId node, std::string_view key_json);
/// The same if the node had `parallelism` subtasks.
Result<std::uint32_t> subtask_of_key(const JobGraph& graph, NodeId node, std::string_view key_json,
                                     std::uint32_t parallelism);

}  // namespace dataflow
