#pragma once
// CAST and TRY_CAST, and the same conversions where types are widened without asking.
//
// As in Flink: to an integer the fraction is cut off; to a decimal it is rounded half away from zero; text may have
// white space around it. What does not fit is a row error (NULL for TRY_CAST).

#include "libdataflow/expressions/node.hpp"

namespace dataflow::expr {

/// The conversion, or nothing when the types have none. `from` and `to` differ and are not Kind::null.
Kernel cast_kernel(Type from, Type to);

/// `kernel` with its errors turned into NULLs.
Kernel or_null(Kernel kernel);

/// `node` as `to`; it is returned as it is when it has that type. The conversion must exist (asserted).
NodePtr convert(NodePtr node, Type to);

/// A float64 as text: the shortest that reads back as the same number, `2.0`, `1e+300`, `NaN`, `Infinity`.
void append_double(double value, std::string& out);

}  // namespace dataflow::expr
