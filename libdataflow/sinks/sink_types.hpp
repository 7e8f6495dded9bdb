#pragma once
// The built-in sinks as a topology knows them: each function declares one type's options and builds its node.

#include "libdataflow/topology/node_type.hpp"

namespace dataflow {

/// Rows on standard output.
NodeType print_sink_type();
/// Part files in a folder, visible only once committed.
NodeType file_sink_type();
/// Rows that are counted and forgotten.
NodeType discard_sink_type();

}  // namespace dataflow
