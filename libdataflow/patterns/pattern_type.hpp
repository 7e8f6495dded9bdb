#pragma once
// The `pattern` node of a topology: SQL's MATCH_RECOGNIZE.

#include "libdataflow/topology/node_type.hpp"

namespace dataflow {

NodeType pattern_type();

}  // namespace dataflow
