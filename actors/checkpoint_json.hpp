#pragma once
// A job's checkpoints and savepoints as `dfnode checkpoints --json`, `show --json` and the summary of a run have them.

#include <string>

#include "actors/local_run.hpp"
#include "libdataflow/topology/substitution.hpp"

namespace dataflow {

/// {"completed": N, "failed": N, "newest": [...], "savepoints": [...]}; without `secrets`. Times are seconds, sizes
/// bytes.
std::string checkpoints_as_json(const CheckpointStatus& status, const Secrets& secrets);

}  // namespace dataflow
