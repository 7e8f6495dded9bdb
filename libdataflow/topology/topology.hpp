#pragma once
// A topology file becomes a StreamGraph, or a list of everything that is wrong with it: what can still be checked
// beside a mistake is checked, and what follows from a mistake is not reported again. The language is described in
// docs/topology.md, which is generated from the node types' own declarations.

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libdataflow/graph/stream_graph.hpp"
#include "libdataflow/topology/diagnostic.hpp"
#include "libdataflow/topology/substitution.hpp"
#include "serialization/value.hpp"

namespace dataflow {

/// Rows that a test feeds in at a node's output or expects there. A row has a value for each of `fields`.
struct TestRows {
  std::string node;                      ///< "daily"
  std::size_t output = 0;                ///< of the node
  std::string shown_name;                ///< as written: "daily.late"
  std::vector<std::vector<Value>> rows;  ///< a value for each field of the output's schema; NULL if not given
  std::vector<std::vector<std::size_t>> named_fields;  ///< for each row the fields that the file names, ascending
  std::vector<FileSpan> places;                        ///< where each row stands
};

/// One `[[tests]]` table.
struct TopologyTest {
  std::string name;
  std::vector<TestRows> given;
  std::vector<TestRows> expect;
  bool ordered = false;  ///< the expected rows come in this order
  FileSpan place;
};

struct Topology {
  StreamGraph graph;
  std::vector<TopologyTest> tests;
  Secrets secrets;  ///< to hide what ${...} put in from whatever is shown later
};

struct LoadOptions {
  std::vector<std::string> overrides;  ///< `operators.hot.where=temperature > 30`, the last of equal keys wins
  EnvironmentLookup environment = process_environment();
  /// Whether the job will run in other processes, whose standard input is not this one's: reading it is a mistake then.
  bool runs_elsewhere = false;
};

struct LoadedTopology {
  std::optional<Topology> topology;     ///< nothing when there is an error
  std::vector<Diagnostic> diagnostics;  ///< errors and warnings, in the order of the file
};

/// Reads and checks a file. Opens no source and no sink.
LoadedTopology load_topology(const std::filesystem::path& file, const LoadOptions& options = {});

/// The same for a text; `name` stands for the file in diagnostics, relative paths start at `base_folder`.
LoadedTopology parse_topology(std::string_view text, const std::string& name, const std::filesystem::path& base_folder,
                              const LoadOptions& options = {});

}  // namespace dataflow
