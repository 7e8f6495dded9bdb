#pragma once
// The topology's `window` node: its options, how they are checked, and the WindowSpec that they become.

#include <optional>
#include <string>
#include <vector>

#include "libdataflow/batch/key_growth.hpp"
#include "libdataflow/topology/node_type.hpp"
#include "libdataflow/windows/window_spec.hpp"

namespace dataflow {

NodeType window_type();

/// Reads the `aggregate` table of a node into the spec. False when something is wrong with it, which is reported.
bool read_aggregates(NodeBuilder& builder, WindowSpec& spec);

/// The keys of a `window` table, and what they say: for other node types that have windows. Nothing when there is a
/// mistake, which is reported.
std::vector<Option> window_table_options();
std::optional<WindowSpec> read_window_table(NodeBuilder& builder);
/// How a node of a batch sorts its input for such windows. Nothing: it does not, since it puts aside by itself what has
/// no room, or goes by the clock.
std::optional<KeyGrowth> growth_when_sorted(const WindowSpec& spec);
/// "tumbling 1d", for a plan.
std::string describe(const WindowSpec& spec);

}  // namespace dataflow
