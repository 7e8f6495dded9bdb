#include "libdataflow/process/key_owner.hpp"

#include <dataflow/rows.hpp>

#include "serialization/key_hash.hpp"

namespace dataflow {

Result<std::uint32_t> subtask_of_key(const JobGraph& graph, NodeId node, std::string_view key_json) {
  return subtask_of_key(graph, node, key_json, graph.vertices[graph.vertex_of_node[node]].parallelism);
}

Result<std::uint32_t> subtask_of_key(const JobGraph& graph, NodeId node, std::string_view key_json,
                                     std::uint32_t parallelism) {
  const StreamNode& keyed = graph.node(node);
  if (keyed.inputs.empty() || keyed.inputs.front().key_fields.empty()) {
    return fail(ErrorCode::invalid_argument,
                "\"" + keyed.name + "\" has no key; leave --key out to reach every subtask of it");
  }
  const StreamEdge& edge = keyed.inputs.front();
  const Schema& input = *graph.node(edge.from).outputs[edge.output].schema;
  std::vector<Field> fields;
  for (std::size_t i = 0; i < edge.key_fields.size(); ++i) {
    const std::string name = edge.key_fields.size() == 1 ? "value" : "key" + std::to_string(i + 1);
    fields.push_back({name, input[edge.key_fields[i]].type});
  }
  const auto row = row_from_json(make_schema(std::move(fields)), key_json);
  if (!row) return fail(row.error().within("the key"));
  std::vector<const Column*> columns;
  for (const ColumnPtr& column : (*row)->columns()) columns.push_back(column.get());
  std::vector<std::uint64_t> hashes;
  hash_rows(columns, 1, hashes);
  return subtask_of_key_group(key_group_of(hashes.front(), graph.max_parallelism), graph.max_parallelism, parallelism);
}

}  // namespace dataflow
