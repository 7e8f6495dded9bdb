#pragma once
// A job's artifact becomes its JobGraph: a topology's text, or a shared library of C++ code. No closure is ever
// serialised; every process of a job builds the same graph from the same artifact and arguments, and a hash of the
// graph shows whether they have.

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "libdataflow/graph/job_graph.hpp"
#include "libdataflow/topology/substitution.hpp"
#include "serialization/result.hpp"

namespace dataflow {

struct JobArtifact {
  std::string file_name;       ///< "job.toml" or "fraud.so": what it is, and its name in errors
  std::filesystem::path file;  ///< where its content is
  /// Where a topology's relative paths start, or those of the topologies that a C++ job embeds.
  std::filesystem::path base_folder;
  /// Where the shared libraries of functions and the embedded topologies are, by the absolute path that the job names;
  /// those that are not here are where their paths say.
  std::map<std::string, std::string> libraries;
  std::vector<std::string> overrides;
  /// For the ${NAME} of a topology, or of those that a C++ job embeds; nothing else is looked at.
  std::map<std::string, std::string> environment;
  std::vector<std::string> arguments;  ///< of a C++ job
  std::uint32_t parallelism = 1;       ///< of nodes that say none
};

struct BuiltJob {
  JobGraphPtr graph;
  Secrets secrets;  ///< to hide from whatever is shown
};

/// Loads user code, if the job has any, into this process. Errors: those of load_topology (all of them, rendered), of
/// load_job_library and of build_job_graph; io when the file cannot be read.
Result<BuiltJob> build_artifact(const JobArtifact& artifact);

/// The content of a topology or library, as it is shipped to nodes. Errors: io.
Result<std::string> read_artifact(const std::filesystem::path& file);

/// Equal for equal graphs, in every process and on every machine.
std::uint64_t graph_hash(const JobGraph& graph);

}  // namespace dataflow
