#pragma once
// Bugs that a test plants, to prove that they are found: each is in the simulation's own glue, where the engine's
// actors would have it.

#include "libdataflow/checkpoint/job_checkpoints.hpp"
#include "libdataflow/checkpoint/state_file.hpp"
#include "libdataflow/simulation/world.hpp"

namespace dataflow::simulation {

/// For forgotten_state and lost_watermark: damages what a subtask is about to give to a checkpoint.
void plant_in_snapshot(World& world, CapturedStates& states);

/// For older_checkpoint: an attempt goes on from the one before the latest, where there are two.
void plant_older_checkpoint(RestorePoint& point, const CheckpointStoragePtr& storage, const std::string& lineage);

/// For missing_fence: `storage` as one coordinator sees it that is blind for the epochs after its own.
CheckpointStoragePtr without_later_epochs(CheckpointStoragePtr storage);

}  // namespace dataflow::simulation
