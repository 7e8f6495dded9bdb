#include "libdataflow/master/failover_region.hpp"

#include <numeric>

namespace dataflow {

std::vector<std::uint32_t> failover_regions(const JobGraph& graph) {
  // Union-find over the edges; a component's root is its first vertex.
  std::vector<std::uint32_t> root(graph.vertices.size());
  std::iota(root.begin(), root.end(), 0U);
  const auto find = [&](std::uint32_t vertex) {
    while (root[vertex] != vertex) vertex = root[vertex] = root[root[vertex]];
    return vertex;
  };
  for (const JobEdge& edge : graph.edges) {
    const std::uint32_t a = find(edge.from_vertex);
    const std::uint32_t b = find(edge.to_vertex);
    root[std::max(a, b)] = std::min(a, b);
  }
  std::vector<std::uint32_t> regions(root.size());
  std::uint32_t count = 0;
  for (std::uint32_t vertex = 0; vertex < root.size(); ++vertex) {
    const std::uint32_t first = find(vertex);
    regions[vertex] = first == vertex ? count++ : regions[first];
  }
  return regions;
}

}  // namespace dataflow
