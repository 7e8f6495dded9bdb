#pragma once
// filter: the rows for which a condition is true.

#include "libdataflow/expressions/expression.hpp"
#include "libdataflow/operators/operator.hpp"

namespace dataflow {

/// `errors_output`: the side output for failing rows when `policy` is side_output.
OperatorFactoryPtr make_filter(Expression where, ErrorPolicy policy = ErrorPolicy::fail, std::size_t errors_output = 1);

}  // namespace dataflow
