#pragma once
// The topology's `process` node: a C++ process function from a shared library.

#include "libdataflow/topology/node_type.hpp"

namespace dataflow {

NodeType process_type();

}  // namespace dataflow
