#include "libdataflow/graph/job_graph.hpp"

#include <algorithm>

#include "libdataflow/graph/column_pruning.hpp"
#include "libdataflow/graph/combiners.hpp"
#include "libdataflow/graph/kept_partitions.hpp"

namespace dataflow {

namespace {

/// Chooses parallelism and vertex for each node, in an order where inputs come first.
class JobGraphBuilder {
 public:
  JobGraphBuilder(std::shared_ptr<StreamGraph> stream, std::uint32_t default_parallelism, Chaining chaining)
      : stream_{std::move(stream)}, chaining_{chaining} {
    // A machine may have more cores than the job has key groups.
    job_parallelism_ =
        stream_->settings.parallelism.value_or(std::min(default_parallelism, stream_->settings.max_parallelism));
    graph_.max_parallelism = stream_->settings.max_parallelism;
    parallelism_.resize(stream_->nodes.size());
  }

  Result<JobGraph> build() {
    for (const StreamNode& node : stream_->nodes) {
      parallelism_[node.id] = choose_parallelism(node);
      if (parallelism_[node.id] == 0 || parallelism_[node.id] > graph_.max_parallelism) {
        return fail(ErrorCode::invalid_argument, "\"" + node.name + "\" has parallelism " +
                                                     std::to_string(parallelism_[node.id]) +
                                                     "; it must be between 1 and max_parallelism, which is " +
                                                     std::to_string(graph_.max_parallelism));
      }
    }
    keep_partitions(*stream_, parallelism_);
    put_combiners(*stream_, parallelism_);
    graph_.vertex_of_node.resize(stream_->nodes.size());
    for (const StreamNode& node : stream_->nodes) place(node);
    graph_.stream = std::move(stream_);
    return std::move(graph_);
  }

 private:
  [[nodiscard]] std::uint32_t choose_parallelism(const StreamNode& node) const {
    std::uint32_t chosen = job_parallelism_;
    if (node.parallelism) {
      chosen = *node.parallelism;
    } else if (!node.is_source()) {
      const bool keyed = std::any_of(node.inputs.begin(), node.inputs.end(), [](const StreamEdge& e) {
        return e.partitioning && *e.partitioning != Partitioning::forward;
      });
      if (!keyed) {
        chosen = 1;
        for (const StreamEdge& edge : node.inputs) chosen = std::max(chosen, parallelism_[edge.from]);
      }
    }
    if (node.max_parallelism) chosen = std::min(chosen, *node.max_parallelism);
    if (node.is_source()) {
      if (const auto readers = node.source->factory->max_readers()) chosen = std::min(chosen, *readers);
    }
    return chosen;
  }

  [[nodiscard]] Partitioning resolve(const StreamNode& node, const StreamEdge& edge) const {
    const std::uint32_t from = parallelism_[edge.from];
    const std::uint32_t to = parallelism_[node.id];
    if (from == 1 && to == 1) return Partitioning::forward;  // whatever is asked for, there is one way to go
    if (!edge.partitioning) return from == to ? Partitioning::forward : Partitioning::rebalance;
    if (*edge.partitioning == Partitioning::forward && from != to) return Partitioning::rebalance;
    return *edge.partitioning;
  }

  void place(const StreamNode& node) {
    const bool chained = chaining_ == Chaining::where_possible && node.inputs.size() == 1 &&
                         parallelism_[node.inputs[0].from] == parallelism_[node.id] &&
                         resolve(node, node.inputs[0]) == Partitioning::forward;
    if (chained) {
      JobVertex& vertex = graph_.vertices[graph_.vertex_of_node[node.inputs[0].from]];
      graph_.vertex_of_node[node.id] = vertex.id;
      vertex.chain.push_back(node.id);
      vertex.name += " -> " + node.name;
      return;
    }
    const auto id = static_cast<std::uint32_t>(graph_.vertices.size());
    graph_.vertex_of_node[node.id] = id;
    graph_.vertices.push_back({.id = id, .name = node.name, .parallelism = parallelism_[node.id], .chain = {node.id}});
    for (const StreamEdge& edge : node.inputs) connect(node, edge, id);
  }

  void connect(const StreamNode& node, const StreamEdge& edge, std::uint32_t to_vertex) {
    const auto id = static_cast<std::uint32_t>(graph_.edges.size());
    const std::uint32_t from_vertex = graph_.vertex_of_node[edge.from];
    graph_.edges.push_back({.id = id,
                            .from_vertex = from_vertex,
                            .from_node = edge.from,
                            .output = edge.output,
                            .to_vertex = to_vertex,
                            .input = edge.input,
                            .partitioning = resolve(node, edge),
                            .key_fields = edge.key_fields,
                            .schema = stream_->nodes[edge.from].outputs[edge.output].schema});
    graph_.vertices[from_vertex].outputs.push_back(id);
    graph_.vertices[to_vertex].inputs.push_back(id);
  }

  std::shared_ptr<StreamGraph> stream_;
  Chaining chaining_;
  std::uint32_t job_parallelism_ = 1;
  std::vector<std::uint32_t> parallelism_;  // by NodeId
  JobGraph graph_;
};

}  // namespace

std::uint32_t JobGraph::slots_needed() const {
  std::uint32_t widest = 1;
  for (const JobVertex& vertex : vertices) widest = std::max(widest, vertex.parallelism);
  return widest;
}

Result<JobGraph> build_job_graph(const StreamGraphPtr& stream, std::uint32_t default_parallelism, Chaining chaining) {
  for (const StreamNode& node : stream->nodes) {
    if (stream->settings.mode != ExecutionMode::batch || !node.is_source() || node.source->factory->bounded()) continue;
    return fail(ErrorCode::invalid_argument, "\"" + node.name +
                                                 "\" has no end, and a job in batch mode gives its results " +
                                                 "at the end of its input: give it an end, or let the job stream");
  }
  auto pruned = std::make_shared<StreamGraph>(*stream);
  prune_unread_columns(*pruned);
  return JobGraphBuilder{std::move(pruned), default_parallelism, chaining}.build();
}

std::vector<ChannelId> input_channels(const JobGraph& graph, std::uint32_t vertex, std::uint32_t subtask) {
  std::vector<ChannelId> channels;
  for (const std::uint32_t id : graph.vertices[vertex].inputs) {
    const JobEdge& edge = graph.edges[id];
    if (edge.partitioning == Partitioning::forward) {
      channels.push_back({id, subtask, subtask});
      continue;
    }
    for (std::uint32_t from = 0; from < graph.vertices[edge.from_vertex].parallelism; ++from) {
      channels.push_back({id, from, subtask});
    }
  }
  return channels;
}

std::vector<ChannelId> output_channels(const JobGraph& graph, std::uint32_t vertex, std::uint32_t subtask) {
  std::vector<ChannelId> channels;
  for (const std::uint32_t id : graph.vertices[vertex].outputs) {
    const JobEdge& edge = graph.edges[id];
    if (edge.partitioning == Partitioning::forward) {
      channels.push_back({id, subtask, subtask});
      continue;
    }
    for (std::uint32_t to = 0; to < graph.vertices[edge.to_vertex].parallelism; ++to) {
      channels.push_back({id, subtask, to});
    }
  }
  return channels;
}

namespace {

/// Where a channel is among those of `edges` that a subtask has: each edge has one if it is forward, else one for every
/// subtask at its other end. `there` is the channel's own subtask at that end, `far` gives an edge's vertex there.
std::size_t place_among(const JobGraph& graph, const std::vector<std::uint32_t>& edges, std::uint32_t own,
                        std::uint32_t there, std::uint32_t JobEdge::*far) {
  std::size_t place = 0;
  for (const std::uint32_t id : edges) {
    const JobEdge& edge = graph.edges[id];
    const bool forward = edge.partitioning == Partitioning::forward;
    if (id == own) return place + (forward ? 0 : there);
    place += forward ? 1 : graph.vertices[edge.*far].parallelism;
  }
  return place;
}

}  // namespace

std::size_t place_among_inputs(const JobGraph& graph, const ChannelId& channel) {
  const JobVertex& reader = graph.vertices[graph.edges[channel.edge].to_vertex];
  return place_among(graph, reader.inputs, channel.edge, channel.from_subtask, &JobEdge::from_vertex);
}

std::size_t place_among_outputs(const JobGraph& graph, const ChannelId& channel) {
  const JobVertex& writer = graph.vertices[graph.edges[channel.edge].from_vertex];
  return place_among(graph, writer.outputs, channel.edge, channel.to_subtask, &JobEdge::to_vertex);
}

}  // namespace dataflow
