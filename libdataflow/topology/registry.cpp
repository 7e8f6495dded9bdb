#include <algorithm>

#include "libdataflow/artifact/process_type.hpp"
#include "libdataflow/joins/join_types.hpp"
#include "libdataflow/operators/operator_types.hpp"
#include "libdataflow/patterns/pattern_type.hpp"
#include "libdataflow/ranking/distinct.hpp"
#include "libdataflow/ranking/top.hpp"
#include "libdataflow/sinks/sink_types.hpp"
#include "libdataflow/sources/source_types.hpp"
#include "libdataflow/topology/node_type.hpp"
#include "libdataflow/windows/aggregate_type.hpp"
#include "libdataflow/windows/window_type.hpp"

namespace dataflow {

const std::vector<NodeType>& node_types() {
  static const std::vector<NodeType> types = {
      // Sources.
      file_source_type(),
      stdin_source_type(),
      collection_source_type(),
      generate_source_type(),
      nexmark_source_type(),
      // Operators.
      filter_type(),
      select_type(),
      route_type(),
      window_type(),
      aggregate_type(),
      top_type(),
      distinct_type(),
      pattern_type(),
      join_type(),
      lookup_type(),
      process_type(),
      // Sinks.
      print_sink_type(),
      file_sink_type(),
      discard_sink_type(),
  };
  return types;
}

bool NodeType::has_common_input() const {
  return std::find(inputs.begin(), inputs.end(), "input") != inputs.end();
}

const NodeType* find_node_type(NodeRole role, std::string_view name) {
  for (const NodeType& type : node_types())
    if (type.role == role && type.name == name) return &type;
  return nullptr;
}

}  // namespace dataflow
