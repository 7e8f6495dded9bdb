#pragma once
// filter: the rows for which a condition is true.

#include <vector>

#include "libdataflow/expressions/expression.hpp"
#include "libdataflow/operators/operator.hpp"

namespace dataflow {

/// `where` is compiled over `input`. `errors_output`: the side output for failing rows when `policy` is side_output.
/// A running filter takes the message `set` with `{"where": "..."}`, which replaces its condition.
OperatorFactoryPtr make_filter(Expression where, SchemaPtr input, ErrorPolicy policy = ErrorPolicy::fail,
                               std::size_t errors_output = 1);

/// `filter` for a job in which nobody reads the other fields of what it gives: those are not copied with the rows that
/// pass, and arrive as unread_column. Null when it is no filter.
OperatorFactoryPtr filter_for_readers(const OperatorFactory& filter, const std::vector<bool>& fields_read);

}  // namespace dataflow
