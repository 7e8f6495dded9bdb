#pragma once
// The `discard` sink: takes every row and forgets it. For measuring, and for outputs that nobody wants.

#include "libdataflow/operators/operator.hpp"

namespace dataflow {

OperatorFactoryPtr make_discard_sink();

}  // namespace dataflow
