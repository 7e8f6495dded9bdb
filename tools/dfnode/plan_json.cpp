#include <nlohmann/json.hpp>

#include "tools/dfnode/plan_edges.hpp"
#include "tools/dfnode/plan_text.hpp"

namespace dataflow::cli {

namespace {

using Json = nlohmann::ordered_json;

Json schema_as_json(const Schema& schema) {
  Json fields = Json::array();
  for (const Field& field : schema.fields()) fields.push_back({{"name", field.name}, {"type", to_string(field.type)}});
  return fields;
}

Json node_as_json(const JobGraph& plan, const StreamNode& node) {
  Json json = {{"name", node.name},
               {"role", role_of(node)},
               {"type", node.type},
               {"uid", node.uid},
               {"task", plan.vertex_of_node[node.id] + 1},
               {"parallelism", plan.vertices[plan.vertex_of_node[node.id]].parallelism},
               {"details", node.details},
               {"defined_at", node.defined_at}};
  Json inputs = Json::array();
  for (const PlannedEdge& edge : planned_inputs(plan, node)) {
    Json input = {{"from", edge.name}, {"partitioning", to_string(edge.partitioning)}, {"chained", edge.chained}};
    if (!edge.keys.empty()) input["keys"] = edge.keys;
    if (!edge.as.empty()) input["as"] = edge.as;
    inputs.push_back(std::move(input));
  }
  Json outputs = Json::array();
  for (const StreamOutput& output : node.outputs) {
    outputs.push_back({{"name", output.name},
                       {"schema", schema_as_json(*output.schema)},
                       {"event_time", output.event_time},
                       {"changelog", to_string(output.changelog)}});
  }
  json["inputs"] = std::move(inputs);
  json["outputs"] = std::move(outputs);
  return json;
}

}  // namespace

std::string plan_as_json(const JobGraph& plan) {
  Json tasks = Json::array();
  for (const JobVertex& vertex : plan.vertices) {
    Json chain = Json::array();
    for (const NodeId id : vertex.chain) chain.push_back(plan.node(id).name);
    tasks.push_back(
        {{"id", vertex.id + 1}, {"name", vertex.name}, {"parallelism", vertex.parallelism}, {"chain", chain}});
  }
  Json nodes = Json::array();
  for (const StreamNode& node : plan.stream->nodes) nodes.push_back(node_as_json(plan, node));
  const Json json = {
      {"name", plan.stream->name},    {"bounded", plan.stream->bounded()}, {"max_parallelism", plan.max_parallelism},
      {"slots", plan.slots_needed()}, {"tasks", std::move(tasks)},         {"nodes", std::move(nodes)}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace dataflow::cli
