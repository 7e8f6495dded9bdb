#pragma once
// The `collection` source: rows that are written down in the job itself.

#include <vector>

#include "libdataflow/sources/source.hpp"
#include "serialization/batch.hpp"

namespace dataflow {

/// Gives the batches in order; each is a split. All have the schema of the source and no timestamps.
SourceFactoryPtr make_collection_source(std::vector<BatchPtr> batches);

}  // namespace dataflow
