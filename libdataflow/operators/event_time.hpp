#pragma once
// Event time for records that have none yet, or another: the operator takes it from a field and makes the watermarks,
// wherever it stands (Flink's assignTimestampsAndWatermarks,
// https://nightlies.apache.org/flink/flink-docs-stable/docs/dev/datastream/event-time/generating_watermarks/).
//
// It sees its subtask's records as one stream, so that the disorder of several splits or inputs counts as disorder; a
// source, which makes watermarks for each split, knows more. Watermarks and idleness from in front are not passed on,
// but for the end of time.

#include <cstddef>
#include <optional>

#include "libdataflow/operators/operator.hpp"

namespace dataflow {

struct EventTimeOperatorSpec {
  std::size_t field = 0;  ///< a timestamp
  Duration out_of_orderness{0};
  std::optional<Duration> idle_after;  ///< silent for so long, the subtask holds no watermark back
};

/// Gives the input's rows under the input's schema. Errors while running: malformed_data for a row whose field is NULL,
/// which is shown.
OperatorFactoryPtr make_event_time_operator(EventTimeOperatorSpec spec);

}  // namespace dataflow
