#pragma once
// Kernels of length(): of a text, and of a text in which something would be replaced, which nobody makes for that.

#include <string_view>

#include "libdataflow/expressions/node.hpp"

namespace dataflow::expr {

/// Characters of each text.
ColumnPtr lengths_of_texts(KernelCall& call);

/// length(replace(s, from, to)) as a kernel over s alone. That is how SQL counts what occurs in a text:
/// `length(s) - length(replace(s, 'c', ''))`. Empty when the text must be made all the same.
Kernel length_of_replaced(std::string_view from, std::string_view to);

}  // namespace dataflow::expr
