#pragma once
// Rows with the window that they are in: what Flink's window table-valued functions give, for operators that keep rows
// of windows by a key that has the window's bounds.

#include "libdataflow/operators/operator.hpp"
#include "libdataflow/windows/window_spec.hpp"

namespace dataflow {

/// The input's fields, then window_start and window_end. Errors: invalid_argument when the input has one of these.
Result<SchemaPtr> row_windows_schema(const Schema& input);

/// Each row with its tumbling window, in event time; as a window's results have it, its time is then the window's last
/// microsecond. `output` is row_windows_schema.
OperatorFactoryPtr make_row_windows(const WindowSpec& window, SchemaPtr output);

}  // namespace dataflow
