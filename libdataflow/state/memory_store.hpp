#pragma once
// A store that holds everything in memory, for tests, simulation and state that is small: a sorted map. Its checkpoints
// have the shape of the others': each writes what has changed since the last one as one immutable sorted run, and lists
// the runs before it; when the runs have grown to twice the content, one new run holds all of it.

#include <filesystem>

#include "libdataflow/state/state_store.hpp"

namespace dataflow {

/// A store whose runs lie in `folder`: what restore_files put there, or nothing, when it is made. It is the store's
/// own. Errors: io; malformed_data when a run is damaged.
Result<StateStorePtr> open_memory_store(const std::filesystem::path& folder);

}  // namespace dataflow
