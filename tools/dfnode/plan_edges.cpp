#include "tools/dfnode/plan_edges.hpp"

#include "libdataflow/topology/node_type.hpp"

namespace dataflow::cli {

std::vector<PlannedEdge> planned_inputs(const JobGraph& plan, const StreamNode& node) {
  std::vector<PlannedEdge> inputs;
  const std::uint32_t vertex = plan.vertex_of_node[node.id];
  for (const StreamEdge& edge : node.inputs) {
    PlannedEdge planned;
    planned.from = &plan.node(edge.from);
    planned.output = &planned.from->outputs[edge.output];
    planned.name = planned.from->name + (planned.output->name.empty() ? "" : "." + planned.output->name);
    planned.chained = true;
    for (const JobEdge& exchange : plan.edges) {
      if (exchange.from_node != edge.from || exchange.output != edge.output || exchange.to_vertex != vertex ||
          exchange.input != edge.input)
        continue;
      planned.chained = false;
      planned.partitioning = exchange.partitioning;
      break;
    }
    const NodeType* type = find_node_type(NodeRole::transform, node.type);
    if (type != nullptr && type->inputs.size() > 1 && edge.input < type->inputs.size()) {
      planned.as = type->inputs[edge.input];
    }
    for (const std::size_t key : edge.key_fields) planned.keys.push_back((*planned.output->schema)[key].name);
    inputs.push_back(std::move(planned));
  }
  return inputs;
}

std::string describe(const PlannedEdge& edge) {
  if (edge.chained) return "chained";
  std::string text{to_string(edge.partitioning)};
  if (edge.partitioning != Partitioning::hash) return text;
  text += "(";
  for (std::size_t i = 0; i < edge.keys.size(); ++i) text += (i > 0 ? ", " : "") + edge.keys[i];
  return text + ")";
}

std::string_view role_of(const StreamNode& node) {
  return node.is_source() ? "source" : node.is_sink() ? "sink" : "operator";
}

}  // namespace dataflow::cli
