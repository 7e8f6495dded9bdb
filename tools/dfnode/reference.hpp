#pragma once
// The reference of topologies, made from what the node types, the job's settings and the functions declare: it cannot
// say anything else than what the parser does.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libdataflow/topology/node_type.hpp"

namespace dataflow::cli {

/// In the order in which they are listed.
inline constexpr NodeRole roles[] = {NodeRole::source, NodeRole::transform, NodeRole::sink};

/// Every node type and function group with a line on each.
std::string reference_overview();
/// The node types and functions of that name, or "job", "functions"; nothing when there is none.
std::optional<std::string> reference_of(std::string_view name);
/// What reference_of knows.
std::vector<std::string> reference_names();
/// The whole page docs/topology.md.
std::string reference_as_markdown();
/// Its parts on what reference_of knows by that name; nothing when there is none.
std::optional<std::string> reference_of_as_markdown(std::string_view name);
/// Node types, job settings and functions as one JSON object.
std::string reference_as_json();
/// Its parts on what reference_of knows by that name, as an object of the same members; nothing when there is none.
std::optional<std::string> reference_of_as_json(std::string_view name);
/// A JSON Schema (draft 7) of topology files, for editors.
std::string topology_json_schema();

/// What an option's value must be, in a word or as its choices: `duration`, `"csv" | "json"`.
std::string kind_in_words(const Option& option);
std::string_view heading(NodeRole role);  ///< "Sources", "Operators", "Sinks"

}  // namespace dataflow::cli
