#include "libdataflow/graph/stream_graph.hpp"

#include <algorithm>

namespace dataflow {

std::string_view to_string(Partitioning p) {
  switch (p) {
    case Partitioning::forward: return "forward";
    case Partitioning::hash: return "hash";
    case Partitioning::rebalance: return "rebalance";
    case Partitioning::broadcast: return "broadcast";
  }
  return "unknown";
}

std::string_view to_string(ChangelogMode m) {
  switch (m) {
    case ChangelogMode::append_only: return "append-only";
    case ChangelogMode::upsert: return "upsert";
    case ChangelogMode::retract: return "retract";
  }
  return "unknown";
}

const StreamNode* StreamGraph::find(std::string_view node_name) const {
  const auto at = std::find_if(nodes.begin(), nodes.end(), [&](const StreamNode& n) { return n.name == node_name; });
  return at == nodes.end() ? nullptr : &*at;
}

bool StreamGraph::bounded() const {
  return std::all_of(nodes.begin(), nodes.end(),
                     [](const StreamNode& n) { return !n.is_source() || n.source->factory->bounded(); });
}

}  // namespace dataflow
