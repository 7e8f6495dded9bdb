#pragma once
// A store's checkpoint as a store again, for a subtask that may own other key groups than those that wrote it.

#include <string_view>

#include "libdataflow/state/snapshot.hpp"
#include "libdataflow/state/state_backend.hpp"
#include "serialization/schema.hpp"

namespace dataflow {

/// The store of the largest part of the table, its files taken as they are, without the key groups of others, and with
/// this subtask's key groups of the other parts. Null when there is no such table, or any part of it is no store of the
/// backend's kind with this schema: then its rows are to be read. Errors: io, malformed_data.
Result<OwnedStorePtr> restore_store(const StateBackendPtr& backend, StateReader& state, std::string_view table,
                                    const Schema& schema);

}  // namespace dataflow
