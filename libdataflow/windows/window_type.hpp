#pragma once
// The topology's `window` node: its options, how they are checked, and the WindowSpec that they become.

#include "libdataflow/topology/node_type.hpp"

namespace dataflow {

NodeType window_type();

}  // namespace dataflow
