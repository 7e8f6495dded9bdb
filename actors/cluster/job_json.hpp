#pragma once
// A job as `dfnode show` has it, in JSON.

#include <optional>
#include <string>
#include <vector>

#include "actors/messages.hpp"
#include "libdataflow/master/slot_allocator.hpp"
#include "libdataflow/master/stored_job.hpp"
#include "libdataflow/topology/substitution.hpp"

namespace dataflow {

/// The execution graph with each subtask's state, node and numbers, and the history of failures; without `secrets`.
std::string job_as_json(const std::string& job_id, const JobGraph& graph, const msg::JobView& view,
                        const Secrets& secrets);

/// The same of a job that has no master to ask: as its last one has left it, or what is in its record.
std::string job_as_json(const StoredJob& job);

/// `job`, as job_as_json gives it, with these among its failures.
std::string with_master_losses(std::string job, const std::vector<MasterLoss>& losses);

/// `job`, as job_as_json gives it, with each subtask's slot on its node. `slots` are the job's, by their numbers in it.
std::string with_slots(std::string job, const std::vector<std::optional<SlotId>>& slots);

}  // namespace dataflow
