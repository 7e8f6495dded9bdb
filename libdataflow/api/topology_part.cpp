// env.topology("part.toml"): a topology file inside of a C++ job.

#include "dataflow/environment.hpp"
#include "libdataflow/topology/topology.hpp"

namespace dataflow {

TopologyPart Environment::topology(std::string_view path, Place where) {
  LoadedTopology loaded = load_topology(std::string{path});
  std::string mistakes;
  for (const Diagnostic& diagnostic : loaded.diagnostics) {
    // What reaches no sink in the file may reach one of the job's.
    if (diagnostic.severity == Severity::error) mistakes += "\n" + render(diagnostic);
  }
  if (!loaded.topology) {
    plan_->mistake(where, "the topology \"" + std::string{path} + "\" cannot be embedded:" + mistakes);
  } else {
    plan_->embed(std::move(loaded.topology->graph), where);
  }
  return TopologyPart{plan_};
}

}  // namespace dataflow
