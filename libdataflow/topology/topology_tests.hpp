#pragma once
// The `[[tests]]` of a topology file: rows for some nodes, rows expected of others, typed by those nodes' schemas.

#include <vector>

#include "libdataflow/topology/document.hpp"
#include "libdataflow/topology/topology.hpp"

namespace dataflow {

/// A literal of the file as a value of `type`: timestamps are ISO 8601 texts, integers widen, NULL is an absent key.
/// Errors: invalid_argument saying what was expected.
Result<Value> typed_literal(const TomlValue& literal, const DataType& type);

/// Reads the tests of `root` against a graph without errors. Mistakes are appended to `diagnostics`.
std::vector<TopologyTest> read_tests(const TomlValue& root, const StreamGraph& graph,
                                     std::vector<Diagnostic>& diagnostics);

}  // namespace dataflow
