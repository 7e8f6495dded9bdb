#pragma once
// The nodes that a topology file declares, with their settings checked and their inputs named, before any of them
// is built.

#include <filesystem>
#include <string>
#include <vector>

#include "libdataflow/topology/checked_settings.hpp"
#include "libdataflow/topology/document.hpp"

namespace dataflow {

/// One name in a node's `input`: "readings", "daily.late".
struct InputReference {
  std::size_t input = 0;  ///< which of the type's inputs
  std::string text;
  std::string node;    ///< the part before the dot
  std::string output;  ///< the part after it, or empty
  SourceSpan place;
  std::size_t target = 0;  ///< index of the declared node, when `resolved`
  bool resolved = false;
};

struct DeclaredNode {
  std::string name;
  NodeRole role = NodeRole::transform;
  const TomlMember* member = nullptr;
  const NodeType* type = nullptr;  ///< null when the file names no known type
  CheckedSettings settings;
  std::vector<InputReference> inputs;
  bool broken = false;  ///< it has a mistake, reported; it is not built, and neither is what follows it
};

/// The section of the file in which nodes of a role stand: "sources", "operators", "sinks".
std::string_view section_name(NodeRole role);

/// Whether `name` matches [a-z][a-z0-9_]*.
bool is_node_name(std::string_view name);

/// Reads the three sections of `root`, in the order of the file. Mistakes are appended to `diagnostics`.
std::vector<DeclaredNode> declare_nodes(const TomlValue& root, const std::filesystem::path& base_folder,
                                        std::vector<Diagnostic>& diagnostics);

}  // namespace dataflow
