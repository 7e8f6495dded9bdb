#include "libdataflow/graph/column_pruning.hpp"

#include <algorithm>

#include "libdataflow/operators/filter.hpp"

namespace dataflow {

namespace {

/// Which fields are read, by output of a node.
using Needs = std::vector<std::vector<bool>>;

void add(std::vector<bool>& needed, const std::vector<bool>& more) {
  for (std::size_t i = 0; i < needed.size(); ++i) needed[i] = needed[i] || more[i];
}

/// What `node`, whose own outputs' needs are known, needs of its input `input`, which has `fields` fields.
std::vector<bool> needs_of_input(const StreamNode& node, std::size_t input, const Needs& outputs, std::size_t fields) {
  const auto use = node.factory->field_use_of(input);
  if (!use) return std::vector<bool>(fields, true);
  std::vector<bool> needed(fields, false);
  for (const std::size_t field : use->reads) needed[field] = true;
  for (const std::size_t output : use->passing_outputs) {
    if (output < outputs.size()) add(needed, outputs[output]);
  }
  return needed;
}

}  // namespace

void prune_unread_columns(StreamGraph& graph) {
  std::vector<Needs> needs(graph.nodes.size());
  for (const StreamNode& node : graph.nodes) {
    for (const StreamOutput& output : node.outputs) needs[node.id].emplace_back(output.schema->size(), false);
  }
  // Users come after their inputs, so going backwards every node's outputs are settled before its inputs are asked for.
  for (auto node = graph.nodes.rbegin(); node != graph.nodes.rend(); ++node) {
    for (const StreamEdge& edge : node->inputs) {
      std::vector<bool>& needed = needs[edge.from][edge.output];
      add(needed, needs_of_input(*node, edge.input, needs[node->id], needed.size()));
      for (const std::size_t key : edge.key_fields) needed[key] = true;
    }
    if (node->outputs.empty()) continue;
    if (node->factory) {
      if (auto filter = filter_for_readers(*node->factory, needs[node->id][0])) node->factory = std::move(filter);
    }
    if (!node->is_source()) continue;
    // Which records are left out must not depend on what is done with the others.
    if (node->source->on_error != ErrorPolicy::fail) continue;
    std::vector<bool>& needed = needs[node->id][0];
    if (const auto& event_time = node->source->event_time) {
      if (event_time->expression) {
        for (const std::size_t field : event_time->expression->fields_used()) needed[field] = true;
      } else {
        needed[event_time->field] = true;
      }
    }
    if (std::find(needed.begin(), needed.end(), false) == needed.end()) continue;
    if (auto pruned = node->source->factory->reading(needed)) node->source->factory = std::move(pruned);
  }
}

}  // namespace dataflow
