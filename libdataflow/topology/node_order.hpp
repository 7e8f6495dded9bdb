#pragma once
// The order in which nodes are built: inputs before their users, otherwise as in the file (Kahn, 1962). Cycles are
// found on the way and named.

#include <cstddef>
#include <vector>

namespace dataflow {

struct NodeOrder {
  std::vector<std::size_t> order;                ///< every node once; those of a cycle in its order
  std::vector<std::vector<std::size_t>> cycles;  ///< each in the direction of the records, its smallest index first
};

/// `inputs[i]` are the nodes that node i reads. O(n log n + edges) without cycles.
NodeOrder order_nodes(const std::vector<std::vector<std::size_t>>& inputs);

}  // namespace dataflow
