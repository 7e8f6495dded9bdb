// env.topology("part.toml"): a topology file inside of a C++ job.

#include "dataflow/environment.hpp"
#include "libdataflow/artifact/job_artifact.hpp"
#include "libdataflow/artifact/job_files.hpp"
#include "libdataflow/topology/topology.hpp"

namespace dataflow {

namespace {

/// From where it is, or as it came with the job; its relative paths start where it was.
LoadedTopology load_part(const std::string& path) {
  const std::string file = absolute_job_file(path);
  const std::string place = place_of_job_file(file);
  const auto text = place == file ? fail(ErrorCode::not_found, file) : read_artifact(place);
  LoadOptions options;
  options.environment = job_variable;
  // A file that is not there is told as load_topology does.
  LoadedTopology loaded = text ? parse_topology(*text, path, std::filesystem::path{file}.parent_path(), options)
                               : load_topology(path, options);
  if (loaded.topology) note_job_file(file);
  return loaded;
}

}  // namespace

TopologyPart Environment::topology(std::string_view path, Place where) {
  LoadedTopology loaded = load_part(std::string{path});
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
