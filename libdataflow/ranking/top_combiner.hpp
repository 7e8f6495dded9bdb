#pragma once
// Private to this folder.
//
// Rows of windows' results that need not be sent to a top of each window: those that are behind as many others of their
// key, in one batch, as count (nexmark_q5: all but a few of 365 thousand).

#include <optional>

#include "libdataflow/operators/combines_input.hpp"
#include "libdataflow/ranking/top.hpp"

namespace dataflow {

/// Nothing for tops that give at once, whose changelog would be another, for such of many rows, and where the windows
/// are made in front of the exchange, which leaves out more (candidates.hpp).
[[nodiscard]] std::optional<Combiner> top_combiner_of(const TopSpec& top, const SchemaPtr& input);

}  // namespace dataflow
