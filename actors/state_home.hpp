#pragma once
// Where a process that runs subtasks keeps their state, when it is not in memory, or not all of it.

#include "libdataflow/graph/stream_graph.hpp"
#include "libdataflow/state/state_backend.hpp"

namespace dataflow {

/// The environment variable that names the folder: a TaskManager sets it for its workers.
inline constexpr const char* state_folder_variable = "DATAFLOW_STATE_DIR";

/// What the job's [state] table asks for; null: state is in memory. A batch with state on the heap gets a place for
/// what merges. The folder is the one of the environment, else below /var/tmp; the backend has one of its own in it.
/// Errors: io.
Result<StateBackendPtr> open_state_backend(const StreamGraph& job);

}  // namespace dataflow
