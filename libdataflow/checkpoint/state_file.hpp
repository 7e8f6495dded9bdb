#pragma once
// The asynchronous part of a checkpoint: what the operators of a task have captured becomes one file, or, when it is
// little, bytes that travel with the acknowledgement (a file costs two fsyncs).

#include <string>
#include <utility>
#include <vector>

#include "libdataflow/checkpoint/storage.hpp"
#include "libdataflow/state/snapshot.hpp"
#include "serialization/checkpoint_metadata.hpp"

namespace dataflow {

/// State up to this size lies in the metadata.
inline constexpr std::size_t largest_inline_state = 16 * 1024;

/// The captured state of a chain's operators, by uid.
using CapturedStates = std::vector<std::pair<std::string, CapturedStatePtr>>;

/// Writes it to `folder`/`name` of the storage and says where everything lies. On any thread. Errors: of the storage;
/// internal when the name exists: it has to be this attempt's own.
Result<TaskState> write_task_state(CapturedStates states, CheckpointStorage& storage, const std::string& folder,
                                   const std::string& name);

/// The same without a storage: everything inline.
Result<TaskState> collect_task_state(CapturedStates states);

}  // namespace dataflow
