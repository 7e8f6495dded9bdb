#include "libdataflow/graph/combiners.hpp"

#include <algorithm>
#include <utility>

#include "libdataflow/operators/combines_input.hpp"

namespace dataflow {

namespace {

/// The graph node by node, each behind the combiners of its inputs.
class CombinerPlacement {
 public:
  CombinerPlacement(const StreamGraph& graph, const std::vector<std::uint32_t>& parallelism)
      : graph_{graph}, parallelism_{parallelism}, new_ids_(graph.nodes.size()) {}

  void place() {
    for (const StreamNode& node : graph_.nodes) place(node);
  }
  [[nodiscard]] std::vector<StreamNode> take_nodes() { return std::move(nodes_); }
  [[nodiscard]] std::vector<std::uint32_t> take_parallelism() { return std::move(new_parallelism_); }

 private:
  void place(StreamNode node) {
    const std::optional<Combiner> combiner = combiner_of(node);
    std::size_t combined = 0;
    for (StreamEdge& edge : node.inputs) {
      const std::uint32_t senders = parallelism_[edge.from];
      const bool combines = combiner && senders > 1 && edge.partitioning == Partitioning::hash;
      const bool event_time = graph_.nodes[edge.from].outputs[edge.output].event_time;
      edge.from = new_ids_[edge.from];
      if (!combines) continue;
      StreamNode before;
      const std::string suffix = combined++ == 0 ? ".combine" : ".combine-" + std::to_string(combined);
      before.name = node.name + suffix;
      before.uid = node.state_id() + suffix;
      before.type = node.type;
      before.details = combiner->details;
      before.defined_at = node.defined_at;
      before.inputs = {{.from = edge.from, .output = edge.output, .partitioning = {}, .key_fields = {}}};
      before.outputs = {{.name = "", .schema = combiner->schema, .event_time = event_time}};
      before.factory = combiner->factory;
      edge.from = add(std::move(before), senders);
      edge.output = 0;
    }
    const NodeId id = node.id;
    new_ids_[id] = add(std::move(node), parallelism_[id]);
  }

  NodeId add(StreamNode node, std::uint32_t parallelism) {
    node.id = static_cast<NodeId>(nodes_.size());
    new_parallelism_.push_back(parallelism);
    nodes_.push_back(std::move(node));
    return nodes_.back().id;
  }

  [[nodiscard]] std::optional<Combiner> combiner_of(const StreamNode& node) const {
    const auto* combines = dynamic_cast<const CombinesInput*>(node.factory.get());
    if (combines == nullptr || parallelism_[node.id] == 1) return std::nullopt;
    // Rows that take others back stay as they are, all of them.
    for (const StreamEdge& edge : node.inputs) {
      if (graph_.nodes[edge.from].outputs[edge.output].changelog != ChangelogMode::append_only) return std::nullopt;
    }
    auto combiner = combines->combiner(graph_.settings.buffer_timeout);
    if (!combiner) return std::nullopt;
    const bool lost = std::any_of(combiner->lost_outputs.begin(), combiner->lost_outputs.end(),
                                  [&](std::size_t output) { return is_read(node.id, output); });
    return lost ? std::nullopt : std::move(combiner);
  }

  [[nodiscard]] bool is_read(NodeId node, std::size_t output) const {
    return std::any_of(graph_.nodes.begin(), graph_.nodes.end(), [&](const StreamNode& reader) {
      return std::any_of(reader.inputs.begin(), reader.inputs.end(),
                         [&](const StreamEdge& edge) { return edge.from == node && edge.output == output; });
    });
  }

  const StreamGraph& graph_;
  const std::vector<std::uint32_t>& parallelism_;
  std::vector<NodeId> new_ids_;  ///< by old id
  std::vector<StreamNode> nodes_;
  std::vector<std::uint32_t> new_parallelism_;
};

}  // namespace

void put_combiners(StreamGraph& graph, std::vector<std::uint32_t>& parallelism) {
  CombinerPlacement placement{graph, parallelism};
  placement.place();
  graph.nodes = placement.take_nodes();
  parallelism = placement.take_parallelism();
}

}  // namespace dataflow
