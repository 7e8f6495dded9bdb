#pragma once
// The topology's `join` and `lookup` nodes: their options, and how they are checked.

#include "libdataflow/topology/node_type.hpp"

namespace dataflow {

NodeType join_type();
NodeType lookup_type();

}  // namespace dataflow
