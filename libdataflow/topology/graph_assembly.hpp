#pragma once
// Declared nodes become the nodes of a StreamGraph: inputs are found, cycles refused, and each node is built by its
// type once the schemas of its inputs are known. What stands behind a broken node is left alone: its mistakes could
// only follow from the first one.

#include <vector>

#include "libdataflow/graph/stream_graph.hpp"
#include "libdataflow/topology/declared_node.hpp"
#include "libdataflow/topology/substitution.hpp"

namespace dataflow {

/// The nodes of the graph in the order in which they are built; complete only when there is no error in `diagnostics`.
std::vector<StreamNode> assemble_graph(std::vector<DeclaredNode>& declared, const JobSettings& job,
                                       const Secrets& secrets, std::vector<Diagnostic>& diagnostics);

}  // namespace dataflow
