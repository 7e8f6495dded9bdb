#pragma once
// A job as `dfnode show` has it, in JSON.

#include <string>

#include "actors/messages.hpp"
#include "libdataflow/topology/substitution.hpp"

namespace dataflow {

/// The execution graph with each subtask's state, node and numbers, and the history of failures; without `secrets`.
std::string job_as_json(const std::string& job_id, const JobGraph& graph, const msg::JobView& view,
                        const Secrets& secrets);

}  // namespace dataflow
