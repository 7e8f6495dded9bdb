#pragma once
// Rows with the window that they are in: what Flink's window table-valued functions give, for operators that keep rows
// of windows by a key that has the window's bounds.

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "libdataflow/operators/operator.hpp"
#include "libdataflow/windows/window_spec.hpp"

namespace dataflow {

/// The input's fields, then window_start and window_end. Errors: invalid_argument when the input has one of these.
Result<SchemaPtr> row_windows_schema(const Schema& input);

/// Which rows go on, of those that one subtask has put into their windows.
class RowChoice {
 public:
  virtual ~RowChoice() = default;
  /// Those of the batch, ascending, in `rows`; false: all of them. `watermark`: how far time is.
  [[nodiscard]] virtual bool choose(const BatchPtr& batch, Timestamp watermark, std::vector<std::uint32_t>& rows) = 0;
};
/// Makes one for each subtask.
using RowChoices = std::function<std::unique_ptr<RowChoice>()>;

/// Each row with its tumbling window, in event time; as a window's results have it, its time is then the window's last
/// microsecond. `output` is row_windows_schema. Without `choices` all rows go on.
OperatorFactoryPtr make_row_windows(const WindowSpec& window, SchemaPtr output, RowChoices choices = {});

}  // namespace dataflow
