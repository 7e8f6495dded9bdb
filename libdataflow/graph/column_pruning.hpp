#pragma once
// Leaves out what nobody reads: a source decodes only the fields that some operator behind it looks at, and a filter
// copies only those that some operator behind the filter does.

#include "libdataflow/graph/stream_graph.hpp"

namespace dataflow {

/// Replaces the sources and filters of `graph` that can leave fields out by ones that do. Fields keep their places;
/// those that are left out arrive as unread_column, and a value in them that would not decode is no error. What a sink
/// or any operator that does not declare its FieldUse receives is read.
void prune_unread_columns(StreamGraph& graph);

}  // namespace dataflow
