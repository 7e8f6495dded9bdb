#pragma once
// select: new columns from expressions; columns that are only passed on or renamed are shared, not copied.

#include <vector>

#include "libdataflow/expressions/expression.hpp"
#include "libdataflow/operators/operator.hpp"

namespace dataflow {

/// One expression for each field of `output`, in order, of that field's type.
OperatorFactoryPtr make_select(std::vector<Expression> expressions, SchemaPtr output,
                               ErrorPolicy policy = ErrorPolicy::fail, std::size_t errors_output = 1);

}  // namespace dataflow
