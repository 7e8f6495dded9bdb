#pragma once
// route: each row to the first of several named conditions that is true, or to `default`.

#include <vector>

#include "libdataflow/expressions/expression.hpp"
#include "libdataflow/operators/operator.hpp"

namespace dataflow {

/// Output 0, the main one, stays empty; output i + 1 has the rows of routes[i], and the one after them the rest.
OperatorFactoryPtr make_route(std::vector<Expression> routes, ErrorPolicy policy = ErrorPolicy::fail);

}  // namespace dataflow
