#pragma once
// Runs a topology's tests on virtual time in one thread: given rows take the place of nodes, everything that the
// expected nodes do not need is left out, and what leaves them is compared row by row.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "libdataflow/topology/topology.hpp"

namespace dataflow {

struct Collected;

/// How one expectation of a test came out. Rows are JSON objects of the fields that were compared.
struct NodeComparison {
  std::string node;  ///< "daily.late"
  std::vector<std::string> matched;
  std::vector<std::string> missing;     ///< expected, but did not come
  std::vector<std::string> unexpected;  ///< came, but was not expected: all fields
  bool order_differs = false;           ///< the rows came, in another order than `ordered` wants

  [[nodiscard]] bool passed() const { return missing.empty() && unexpected.empty() && !order_differs; }
};

struct TestOutcome {
  std::vector<NodeComparison> comparisons;
  std::optional<Error> error;  ///< the job failed, or the test cannot be run

  [[nodiscard]] bool passed() const;
};

/// Runs `test` of `topology`. Sources that the test does not give have no records. Each given row is a batch of its
/// own, so that watermarks move as they would when the rows came one by one.
TestOutcome run_topology_test(const Topology& topology, const TopologyTest& test);

/// The part of `graph` that a test needs: given nodes replaced by sources of their rows, parallelism 1, and behind
/// each expected output a sink that collects into `collected`, in the order of test.expect.
/// Errors: invalid_argument when the event time of given rows cannot be told.
Result<StreamGraph> test_graph(const StreamGraph& graph, const TopologyTest& test,
                               std::vector<std::shared_ptr<Collected>>& collected);

/// Compares what came out of a node with what a test expects there.
NodeComparison compare_rows(const TestRows& expected, const std::vector<BatchPtr>& actual, const Schema& schema,
                            bool ordered);

}  // namespace dataflow
