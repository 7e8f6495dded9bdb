#include "libdataflow/artifact/job_artifact.hpp"

#include <xxhash.h>

#include <fstream>
#include <sstream>

#include "libdataflow/artifact/job_files.hpp"
#include "libdataflow/artifact/job_library.hpp"
#include "libdataflow/topology/topology.hpp"

namespace dataflow {

Result<std::string> read_artifact(const std::filesystem::path& file) {
  std::ifstream in{file, std::ios::binary};
  std::ostringstream content;
  content << in.rdbuf();
  if (!in) return fail(ErrorCode::io, "cannot read " + file.string());
  return std::move(content).str();
}

namespace {

Result<std::pair<StreamGraph, Secrets>> load_text(const JobArtifact& artifact) {
  const auto text = read_artifact(artifact.file);
  if (!text) return fail(text.error());
  LoadOptions options;
  options.overrides = artifact.overrides;
  options.environment = [&](const std::string& name) -> std::optional<std::string> {
    const auto found = artifact.environment.find(name);
    return found == artifact.environment.end() ? std::nullopt : std::optional{found->second};
  };
  LoadedTopology loaded = parse_topology(*text, artifact.file_name, artifact.base_folder, options);
  if (loaded.topology) return std::pair{std::move(loaded.topology->graph), std::move(loaded.topology->secrets)};
  std::string all;
  for (const Diagnostic& diagnostic : loaded.diagnostics) {
    if (diagnostic.severity != Severity::warning) all += (all.empty() ? "" : "\n") + render(diagnostic);
  }
  return fail(ErrorCode::invalid_argument, all);
}

/// Whoever submitted the job knows none of the paths at which its files are kept here.
Error by_given_names(const Error& error, const JobArtifact& artifact) {
  std::string message = error.message();
  const auto rename = [&](const std::string& from, const std::string& to) {
    if (from.empty()) return;
    for (std::size_t at = 0; (at = message.find(from, at)) != std::string::npos; at += to.size()) {
      message.replace(at, from.size(), to);
    }
  };
  rename(artifact.file.string(), artifact.file_name);
  for (const auto& [path, place] : artifact.libraries) rename(place, path);
  return {error.code(), std::move(message)};
}

}  // namespace

Result<BuiltJob> build_artifact(const JobArtifact& artifact) {
  set_job_files({artifact.base_folder.string(), artifact.libraries, artifact.environment});
  Result<std::pair<StreamGraph, Secrets>> loaded = fail(ErrorCode::internal, "");
  if (artifact.file_name.ends_with(".so")) {
    auto graph = load_job_library(artifact.file, artifact.arguments);
    if (!graph) return fail(by_given_names(graph.error(), artifact));
    Secrets secrets;
    for (const auto& [name, value] : artifact.environment) secrets.add(value, "${" + name + "}");
    loaded = std::pair{std::move(*graph), std::move(secrets)};
  } else {
    loaded = load_text(artifact);
  }
  if (!loaded) return fail(by_given_names(loaded.error(), artifact));
  auto graph = build_job_graph(std::make_shared<const StreamGraph>(std::move(loaded->first)), artifact.parallelism);
  if (!graph) return fail(Error{graph.error().code(), loaded->second.redact(graph.error().message())});
  return BuiltJob{std::make_shared<const JobGraph>(std::move(*graph)), std::move(loaded->second)};
}

std::uint64_t graph_hash(const JobGraph& graph) {
  std::string text = graph.stream->name + "\n" + std::to_string(graph.max_parallelism) + "\n";
  for (const StreamNode& node : graph.stream->nodes) {
    text += node.name + "|" + node.uid + "|" + node.type + "|" + node.details + "\n";
  }
  for (const JobVertex& vertex : graph.vertices) {
    text += vertex.name + "|" + std::to_string(vertex.parallelism);
    for (const NodeId node : vertex.chain) text += "," + std::to_string(node);
    text += "\n";
  }
  for (const JobEdge& edge : graph.edges) {
    text += std::to_string(edge.from_vertex) + ">" + std::to_string(edge.to_vertex) + "|" +
            std::to_string(edge.output) + "|" + std::to_string(edge.input) + "|" +
            std::string{to_string(edge.partitioning)};
    for (const std::size_t field : edge.key_fields) text += "," + std::to_string(field);
    text += "|" + to_string(*edge.schema) + "\n";
  }
  return XXH3_64bits(text.data(), text.size());
}

}  // namespace dataflow
