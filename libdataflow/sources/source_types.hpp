#pragma once
// The built-in sources as a topology knows them: each function declares one type's options and builds its node.

#include "libdataflow/topology/node_type.hpp"

namespace dataflow {

/// A file, a folder or a glob of CSV, JSON or plain lines; .gz and .zst by name; may be watched for new files.
NodeType file_source_type();
/// Records from standard input.
NodeType stdin_source_type();
/// Rows written down in the topology itself.
NodeType collection_source_type();
/// Rows computed from a sequence number and a seed.
NodeType generate_source_type();
/// The events of the Nexmark benchmark.
NodeType nexmark_source_type();

}  // namespace dataflow
