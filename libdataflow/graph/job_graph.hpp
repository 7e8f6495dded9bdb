#pragma once
// The JobGraph: a StreamGraph's nodes gathered into vertices. Nodes joined by forward edges of equal parallelism are
// chained into one vertex, whose subtasks hand batches on by a call instead of a message (Flink's operator chains).

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "libdataflow/graph/stream_graph.hpp"

namespace dataflow {

using StreamGraphPtr = std::shared_ptr<const StreamGraph>;

/// An exchange between two vertices.
struct JobEdge {
  std::uint32_t id = 0;  ///< its index in JobGraph::edges
  std::uint32_t from_vertex = 0;
  NodeId from_node = 0;
  std::size_t output = 0;  ///< of from_node
  std::uint32_t to_vertex = 0;
  std::size_t input = 0;  ///< of the target vertex's first node
  Partitioning partitioning = Partitioning::forward;
  std::vector<std::size_t> key_fields;  ///< for hash
  SchemaPtr schema;
};

/// A chain of nodes that runs as one task per subtask.
struct JobVertex {
  std::uint32_t id = 0;  ///< its index in JobGraph::vertices
  std::string name;      ///< "readings -> hot -> alerts"
  std::uint32_t parallelism = 1;
  std::vector<NodeId> chain;           ///< inputs before their users; the first is a source or reads the vertex's edges
  std::vector<std::uint32_t> inputs;   ///< edge ids
  std::vector<std::uint32_t> outputs;  ///< edge ids
};

struct JobGraph {
  StreamGraphPtr stream;
  std::vector<JobVertex> vertices;  ///< inputs before their users
  std::vector<JobEdge> edges;
  std::uint32_t max_parallelism = 128;
  std::vector<std::uint32_t> vertex_of_node;  ///< by NodeId

  [[nodiscard]] const StreamNode& node(NodeId id) const { return stream->nodes[id]; }
  /// The slots that the job needs: its widest vertex, since slots are shared by one subtask of each vertex.
  [[nodiscard]] std::uint32_t slots_needed() const;
};

using JobGraphPtr = std::shared_ptr<const JobGraph>;

/// Whether nodes may be joined into chains; `never` is for measurements.
enum class Chaining : std::uint8_t { where_possible, never };

/// Chains the graph, has its sources leave out the columns that nobody reads, leaves out exchanges that change
/// nothing and puts combiners in front of others: nodes have other ids than in `stream`. `default_parallelism` is used
/// where neither node nor job says one. A node that does not say its own parallelism and has no keyed input takes its
/// inputs' (so that records keep their order and chains stay whole); sources and keyed nodes take the job's. Errors:
/// invalid_argument when a parallelism exceeds the maximum.
Result<JobGraph> build_job_graph(const StreamGraphPtr& stream, std::uint32_t default_parallelism,
                                 Chaining chaining = Chaining::where_possible);

/// One end-to-end pipe between two subtasks.
struct ChannelId {
  std::uint32_t edge = 0;
  std::uint32_t from_subtask = 0;
  std::uint32_t to_subtask = 0;
  friend auto operator<=>(const ChannelId&, const ChannelId&) = default;
};

/// The channels that a subtask reads, edge by edge in JobVertex::inputs' order, then by sender.
std::vector<ChannelId> input_channels(const JobGraph& graph, std::uint32_t vertex, std::uint32_t subtask);
/// The channels that a subtask writes, edge by edge in JobVertex::outputs' order, then by receiver.
std::vector<ChannelId> output_channels(const JobGraph& graph, std::uint32_t vertex, std::uint32_t subtask);
/// Where the channel is among those that its receiver reads, and among those that its sender writes.
std::size_t place_among_inputs(const JobGraph& graph, const ChannelId& channel);
std::size_t place_among_outputs(const JobGraph& graph, const ChannelId& channel);

}  // namespace dataflow
