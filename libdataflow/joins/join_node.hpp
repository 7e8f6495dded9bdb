#pragma once
// What the nodes `join` and `lookup` share: from a NodeBuilder to a JoinSpec and back to the node.

#include <optional>
#include <string>
#include <string_view>

#include "libdataflow/joins/join_plan.hpp"
#include "libdataflow/topology/node_type.hpp"

namespace dataflow::joins {

/// The option `fields`.
Option fields_option(std::string_view example);
/// The option `on`.
Option on_option(std::string_view example);

std::optional<JoinKind> parse_kind(std::string_view text);
std::string_view to_string(JoinKind kind);

/// Reads `on`, `kind` and `fields`, and what `interval` names, over the node's two inputs, which are called as the type
/// calls them. Nothing when there is a mistake, which is reported.
std::optional<JoinPlan> read_join(NodeBuilder& builder, bool windowed, IntervalTexts interval = {});

/// Whether rows of an input are never taken back; else reports that `what` ("a window join") needs it.
bool check_append_only(NodeBuilder& builder, std::size_t side, std::string_view what);

/// The option `on_error`, and the side output that it may ask for; it has no event time.
Option pair_errors_option();
void declare_pair_errors(NodeBuilder& builder);

/// Puts what has to be computed before the node in front of it.
void put_projections_before(NodeBuilder& builder, JoinPlan& plan);

}  // namespace dataflow::joins
