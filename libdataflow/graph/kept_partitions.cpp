#include "libdataflow/graph/kept_partitions.hpp"

#include <algorithm>

#include "libdataflow/operators/keeps_keys.hpp"

namespace dataflow {

namespace {

/// Fields, in the order of a key's.
using Key = std::vector<std::size_t>;

bool is_by_key(const StreamEdge& edge) {
  return edge.partitioning && *edge.partitioning == Partitioning::hash;
}

bool passes_input(const OperatorFactory& factory) {
  const auto use = factory.field_use_of(0);
  return use && std::find(use->passing_outputs.begin(), use->passing_outputs.end(), 0U) != use->passing_outputs.end();
}

/// By which keys the main output's rows of `node` are with their subtasks. `keys`: the same of the nodes before it.
std::vector<Key> keys_of_output(const StreamNode& node, const std::vector<std::vector<Key>>& keys) {
  if (node.factory == nullptr) return {};
  if (const auto* keeps = dynamic_cast<const KeepsKeys*>(node.factory.get())) {
    // One that was made a forward edge here has its key still.
    const bool by_keys =
        std::all_of(node.inputs.begin(), node.inputs.end(), [](const StreamEdge& e) { return !e.key_fields.empty(); });
    return by_keys ? keeps->keys_in_output() : std::vector<Key>{};
  }
  if (node.inputs.size() != 1 || !passes_input(*node.factory)) return {};
  const StreamEdge& input = node.inputs.front();
  if (!input.key_fields.empty()) return {input.key_fields};
  const bool is_forward = !input.partitioning || *input.partitioning == Partitioning::forward;
  return is_forward && input.output == 0 ? keys[input.from] : std::vector<Key>{};
}

}  // namespace

void keep_partitions(StreamGraph& graph, const std::vector<std::uint32_t>& parallelism) {
  std::vector<std::vector<Key>> keys(graph.nodes.size());
  for (StreamNode& node : graph.nodes) {
    for (StreamEdge& edge : node.inputs) {
      if (!is_by_key(edge) || edge.output != 0 || parallelism[edge.from] != parallelism[node.id]) continue;
      const std::vector<Key>& kept = keys[edge.from];
      if (std::find(kept.begin(), kept.end(), edge.key_fields) != kept.end()) edge.partitioning = Partitioning::forward;
    }
    // With another parallelism the rows are not where they were.
    const bool stays = std::all_of(node.inputs.begin(), node.inputs.end(), [&](const StreamEdge& edge) {
      return is_by_key(edge) || parallelism[edge.from] == parallelism[node.id];
    });
    if (stays) keys[node.id] = keys_of_output(node, keys);
  }
}

}  // namespace dataflow
