#pragma once
// Windows and running aggregates whose records are combined in front of the exchange: of a few batches, the records
// of a key become one row with what they come to. See combined_rows.hpp and docs/decisions/042.

#include "libdataflow/operators/combines_input.hpp"
#include "libdataflow/windows/window_spec.hpp"

namespace dataflow::windows {

/// Batches wait for others for at most `keeps_for`; 0: not at all. Nothing where the aggregates depend on the order of
/// the records, or are too large to be sent, and for windows of records or of all of time.
[[nodiscard]] std::optional<Combiner> combiner_of(const WindowSpec& spec, const SchemaPtr& input, Duration keeps_for);

}  // namespace dataflow::windows
