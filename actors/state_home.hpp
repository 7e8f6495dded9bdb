#pragma once
// Where a process that runs subtasks keeps their state, when it is not in memory, or not all of it.

#include <filesystem>
#include <set>
#include <string>

#include "libdataflow/graph/stream_graph.hpp"
#include "libdataflow/state/state_backend.hpp"

namespace dataflow {

/// The environment variable that names the folder: a TaskManager sets it for its workers.
inline constexpr const char* state_folder_variable = "DATAFLOW_STATE_DIR";

/// What the job's [state] table asks for; null: state is in memory. A batch with state on the heap gets a place for
/// what merges. The folder is the one of the environment, else below /var/tmp; the backend has one of its own in it.
/// With a `job_id` its local copies outlive this process, for the next one that works for the job; whoever names the
/// folder removes them. Errors: io.
Result<StateBackendPtr> open_state_backend(const StreamGraph& job, const std::string& job_id = {});

/// Removes the local copies of a job below the folder of states.
void remove_local_copies(const std::filesystem::path& states, const std::string& job_id);
/// Removes those of jobs that are not `live` and have not added any for some minutes: nobody has said that they ended,
/// and nobody has run them here again.
void remove_old_local_copies(const std::filesystem::path& states, const std::set<std::string>& live);

}  // namespace dataflow
