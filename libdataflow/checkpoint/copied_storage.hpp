#pragma once
// A storage some of whose files are also on this machine.

#include "libdataflow/checkpoint/storage.hpp"
#include "libdataflow/state/local_copies.hpp"

namespace dataflow {

/// `storage`, with copies of the stores' files that had to be copied there, or were fetched by copying. Where the
/// storage takes files by giving them a second name there are none, and need not be.
CheckpointStoragePtr with_local_copies(CheckpointStoragePtr storage, LocalCopiesPtr copies);

}  // namespace dataflow
