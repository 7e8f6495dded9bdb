#pragma once
// The node types of the stateless built-in operators, for the registry.

#include "libdataflow/topology/node_type.hpp"

namespace dataflow {

NodeType filter_type();
NodeType select_type();
NodeType route_type();

}  // namespace dataflow
