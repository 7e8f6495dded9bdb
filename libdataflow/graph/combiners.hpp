#pragma once
// Combiners in front of exchanges: see operators/combines_input.hpp.

#include <cstdint>
#include <vector>

#include "libdataflow/graph/stream_graph.hpp"

namespace dataflow {

/// Puts a combiner before each exchange by key whose receivers take one, where there are several senders and several
/// receivers. Nodes get other ids. `parallelism`: of each node, and then of each node of the new graph.
void put_combiners(StreamGraph& graph, std::vector<std::uint32_t>& parallelism);

}  // namespace dataflow
