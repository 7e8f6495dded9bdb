#pragma once
// Checkpoints on the simulated disk, by the same steps as in a folder of a real one: written under a hidden name,
// synced, given its own name, the folder synced.

#include "libdataflow/checkpoint/storage.hpp"
#include "libdataflow/simulation/disk.hpp"

namespace dataflow::simulation {

/// `disk` outlives the storage and its files.
CheckpointStoragePtr make_disk_storage(Disk& disk, std::string folder);

}  // namespace dataflow::simulation
