#pragma once
// `x IN (literals)`: a search in the sorted literals instead of a comparison for each.

#include "libdataflow/expressions/node.hpp"

namespace dataflow::expr {

/// `list`: constants of the argument's type, NULLs among them. A value that is not found is FALSE, or NULL when the
/// list has a NULL.
Kernel in_list_kernel(Kind kind, std::span<const NodePtr> list);

}  // namespace dataflow::expr
