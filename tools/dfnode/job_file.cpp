#include "tools/dfnode/job_file.hpp"

#include <algorithm>
#include <iostream>
#include <string_view>
#include <thread>
#include <utility>

#include "libdataflow/artifact/job_library.hpp"

namespace dataflow::cli {

namespace {

/// As of a topology, where the check of the file says it. What feeds something that reaches no sink is not named too.
std::vector<Diagnostic> warn_of_unread(const StreamGraph& graph, const std::string& file) {
  std::vector<bool> is_read(graph.nodes.size(), false);
  for (const StreamNode& node : graph.nodes) {
    for (const StreamEdge& edge : node.inputs) is_read[edge.from] = true;
  }
  std::vector<Diagnostic> warnings;
  for (const StreamNode& node : graph.nodes) {
    if (is_read[node.id] || node.is_sink()) continue;
    warnings.push_back(
        {.severity = Severity::warning,
         .message = node.defined_at + ": \"" + node.name + "\" reaches no sink: what it gives is thrown away",
         .file = file,
         .span = {.line = 0}});
  }
  return warnings;
}

LoadedJob load_library(const JobArguments& job) {
  const auto refuse = [&](std::string message) {
    return LoadedJob{std::nullopt, {{.message = std::move(message), .file = job.file, .span = {.line = 0}}}};
  };
  if (!job.overrides.empty()) return refuse("--set changes a topology; a C++ job takes arguments after `--`");
  auto graph = load_job_library(job.file, job.arguments);
  if (!graph) return refuse(graph.error().message());
  auto warnings = warn_of_unread(*graph, job.file);
  return {Topology{.graph = std::move(*graph)}, std::move(warnings)};
}

}  // namespace

LoadedJob load_job(const JobArguments& job, LoadOptions options) {
  if (std::string_view{job.file}.ends_with(".so")) return load_library(job);
  if (!job.arguments.empty()) {
    const std::string message = "a topology takes no arguments, and \"" + job.arguments.front() + "\" is one";
    return {std::nullopt,
            {{.message = message, .file = job.file, .span = {.line = 0}, .suggestion = "--set KEY=VALUE"}}};
  }
  options.overrides = job.overrides;
  LoadedTopology loaded = load_topology(job.file, options);
  return {std::move(loaded.topology), std::move(loaded.diagnostics)};
}

std::string diagnostics_as_json(bool ok, const std::vector<Diagnostic>& diagnostics) {
  return std::string{"{\"ok\":"} + (ok ? "true" : "false") + ",\"diagnostics\":" + to_json(diagnostics) + "}";
}

void explain_mistake(const std::string& file, const std::string& message, bool json) {
  if (json) {
    std::cerr << diagnostics_as_json(false, {{.message = message, .file = file, .span = {.line = 0}}}) << "\n";
  } else {
    std::cerr << "error: " << message << std::endl;
  }
}

std::optional<Topology> load_job_or_explain(const JobArguments& job, bool json, bool quiet, LoadOptions options) {
  LoadedJob loaded = load_job(job, std::move(options));
  if (quiet) {
    std::erase_if(loaded.diagnostics, [](const Diagnostic& d) { return d.severity == Severity::warning; });
  }
  if (json && !loaded.diagnostics.empty()) {
    std::cerr << diagnostics_as_json(loaded.topology.has_value(), loaded.diagnostics) << "\n";
  } else if (!json) {
    for (const Diagnostic& diagnostic : loaded.diagnostics) std::cerr << render(diagnostic) << "\n";
  }
  return std::move(loaded.topology);
}

std::uint32_t default_parallelism() {
  return std::max(1U, std::thread::hardware_concurrency());
}

}  // namespace dataflow::cli
