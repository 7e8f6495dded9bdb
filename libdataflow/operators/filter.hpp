#pragma once
// filter: the rows for which a condition is true.

#include "libdataflow/expressions/expression.hpp"
#include "libdataflow/operators/operator.hpp"

namespace dataflow {

/// `where` is compiled over `input`. `errors_output`: the side output for failing rows when `policy` is side_output.
/// A running filter takes the message `set` with `{"where": "..."}`, which replaces its condition.
OperatorFactoryPtr make_filter(Expression where, SchemaPtr input, ErrorPolicy policy = ErrorPolicy::fail,
                               std::size_t errors_output = 1);

}  // namespace dataflow
