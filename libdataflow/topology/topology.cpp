#include "libdataflow/topology/topology.hpp"

#include <algorithm>
#include <map>

#include "libdataflow/topology/declared_node.hpp"
#include "libdataflow/topology/did_you_mean.hpp"
#include "libdataflow/topology/document.hpp"
#include "libdataflow/topology/graph_assembly.hpp"
#include "libdataflow/topology/job_settings.hpp"
#include "libdataflow/topology/text_file.hpp"
#include "libdataflow/topology/topology_tests.hpp"

namespace dataflow {

namespace {

Diagnostic about_file(const std::filesystem::path& file, std::string message) {
  return {Severity::error, std::move(message), file.string(), {0, 0, 0}, {}, {}};
}

/// Whether `--set operators.hot.where=...` would make a node up: the file has no such node.
bool names_unknown_node(const TomlValue& root, std::string_view override_text, Diagnostic& diagnostic) {
  for (const NodeRole role : {NodeRole::source, NodeRole::transform, NodeRole::sink}) {
    const std::string prefix = std::string{section_name(role)} + ".";
    if (override_text.substr(0, prefix.size()) != prefix) continue;
    const std::string_view rest = override_text.substr(prefix.size());
    const std::string name{rest.substr(0, rest.find_first_of(".= "))};
    const TomlValue* section = root.find(section_name(role));
    std::vector<std::string> known;
    if (section != nullptr)
      for (const TomlMember& member : section->members) known.push_back(member.key);
    if (std::count(known.begin(), known.end(), name) > 0 || !is_node_name(name)) return false;
    diagnostic = {Severity::error,
                  "no node \"" + name + "\" in [" + std::string{section_name(role)} + "]",
                  "--set",
                  {1, static_cast<std::uint32_t>(prefix.size() + 1), static_cast<std::uint32_t>(name.size())},
                  std::string{override_text},
                  did_you_mean(name, known)};
    return true;
  }
  return false;
}

void apply_overrides(TomlValue& root, const std::vector<std::string>& overrides, std::vector<Diagnostic>& diagnostics) {
  for (const std::string& text : overrides) {
    Diagnostic unknown;
    if (names_unknown_node(root, text, unknown)) {
      diagnostics.push_back(std::move(unknown));
      continue;
    }
    if (auto applied = apply_override(root, text); !applied) diagnostics.push_back(applied.error());
  }
}

void refuse_standard_input(const std::vector<DeclaredNode>& declared, std::vector<Diagnostic>& diagnostics) {
  for (const DeclaredNode& node : declared) {
    if (node.type == nullptr || node.role != NodeRole::source || node.type->name != "stdin") continue;
    const TomlValue* const type = node.member->value.find("type");
    diagnostics.push_back(
        diagnose(Severity::error, type != nullptr ? type->place : node.member->key_place,
                 "\"" + node.name + "\" reads standard input, which a cluster's processes do not have",
                 "run it here with `dfnode run`, or read a file"));
  }
}

/// In the order of the file, what comes from the command line first.
void sort_by_place(std::vector<Diagnostic>& diagnostics) {
  std::stable_sort(diagnostics.begin(), diagnostics.end(), [](const Diagnostic& a, const Diagnostic& b) {
    return std::tuple{a.file != "--set", a.span.line, a.span.column} <
           std::tuple{b.file != "--set", b.span.line, b.span.column};
  });
}

}  // namespace

LoadedTopology parse_topology(std::string_view text, const std::string& name, const std::filesystem::path& base_folder,
                              const LoadOptions& options) {
  LoadedTopology result;
  auto root = parse_toml(name, std::string{text});
  if (!root) {
    result.diagnostics.push_back(root.error());
    return result;
  }
  Topology topology;
  std::vector<Diagnostic>& diagnostics = result.diagnostics;
  apply_overrides(*root, options.overrides, diagnostics);
  substitute(*root, options.environment, base_folder, topology.secrets, diagnostics);

  JobHeader job = read_job_settings(*root, std::filesystem::path{name}.stem().string(), base_folder, diagnostics);
  topology.graph.name = std::move(job.name);
  topology.graph.settings = job.settings;
  std::vector<DeclaredNode> declared = declare_nodes(*root, base_folder, diagnostics);
  if (options.runs_elsewhere) refuse_standard_input(declared, diagnostics);
  if (declared.empty() && !has_errors(diagnostics))
    diagnostics.push_back(diagnose(Severity::error, root->place, "the topology has no nodes",
                                   "it needs a [sources.NAME] and a [sinks.NAME]"));
  topology.graph.nodes = assemble_graph(declared, topology.graph.settings, topology.secrets, diagnostics);
  // Tests are read against the nodes' schemas: of a graph with holes they would report what follows from others.
  if (!has_errors(diagnostics)) topology.tests = read_tests(*root, topology.graph, diagnostics);

  for (Diagnostic& diagnostic : diagnostics) {
    diagnostic.message = topology.secrets.redact(std::move(diagnostic.message));
    diagnostic.suggestion = topology.secrets.redact(std::move(diagnostic.suggestion));
  }
  sort_by_place(diagnostics);
  if (!has_errors(diagnostics)) result.topology = std::move(topology);
  return result;
}

LoadedTopology load_topology(const std::filesystem::path& file, const LoadOptions& options) {
  const auto text = read_text_file(file, "topology file");
  if (!text) return {std::nullopt, {about_file(file, text.error().message())}};
  std::error_code error;
  std::filesystem::path folder = std::filesystem::absolute(file, error).parent_path();
  return parse_topology(*text, file.string(), folder, options);
}

}  // namespace dataflow
