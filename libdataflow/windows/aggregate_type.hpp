#pragma once
// The `aggregate` node of topologies: running aggregates per key.

#include "libdataflow/topology/node_type.hpp"

namespace dataflow {

NodeType aggregate_type();

}  // namespace dataflow
