#include "libdataflow/topology/declared_node.hpp"

#include <algorithm>
#include <map>

#include "libdataflow/topology/did_you_mean.hpp"

namespace dataflow {

namespace {

constexpr NodeRole roles[] = {NodeRole::source, NodeRole::transform, NodeRole::sink};

std::string_view role_noun(NodeRole role) {
  switch (role) {
    case NodeRole::source: return "source";
    case NodeRole::transform: return "operator";
    case NodeRole::sink: return "sink";
  }
  return "";
}

std::string with_article(std::string_view noun) {
  const bool vowel = !noun.empty() && std::string_view{"aeiou"}.find(noun[0]) != std::string_view::npos;
  return (vowel ? "an " : "a ") + std::string{noun};
}

/// `Temperature Max` -> `temperature_max`, for the suggestion.
std::string as_node_name(std::string_view name) {
  std::string valid;
  for (const char c : name) {
    const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    const bool letter = lower >= 'a' && lower <= 'z';
    const bool digit = lower >= '0' && lower <= '9';
    if (letter || (!valid.empty() && (digit || lower == '_'))) {
      valid += lower;
    } else if (!valid.empty() && valid.back() != '_') {
      valid += '_';
    }
  }
  while (!valid.empty() && valid.back() == '_') valid.pop_back();
  return valid;
}

class Declarer {
 public:
  Declarer(const std::filesystem::path& base_folder, std::vector<Diagnostic>& diagnostics)
      : base_folder_{base_folder}, diagnostics_{diagnostics} {}

  std::vector<DeclaredNode> declare(const TomlValue& root) {
    for (const NodeRole role : roles) {
      const TomlMember* section = root.find_member(section_name(role));
      if (section == nullptr) continue;
      if (section->value.kind != TomlValue::Kind::table) {
        error(section->value.place, "\"" + section->key + "\" must be a table",
              "write [" + section->key + ".NAME] for each " + std::string{role_noun(role)});
        continue;
      }
      for (const TomlMember& member : section->value.members) declare_node(role, member);
    }
    return std::move(nodes_);
  }

 private:
  void error(const SourceSpan& place, std::string message, std::string suggestion = {}) {
    diagnostics_.push_back(diagnose(Severity::error, place, std::move(message), std::move(suggestion)));
  }

  void declare_node(NodeRole role, const TomlMember& member) {
    DeclaredNode node;
    node.name = member.key;
    node.role = role;
    node.member = &member;
    if (!is_node_name(member.key)) {
      const std::string valid = as_node_name(member.key);
      error(member.key_place,
            "\"" + member.key + "\" is no name for a node: small letters, digits and \"_\" only, a letter first",
            valid.empty() ? std::string{} : "for example \"" + valid + "\"");
      node.broken = true;
    }
    const auto [first, is_new] = sections_by_name_.emplace(member.key, role);
    if (!is_new) {
      error(member.key_place, "\"" + member.key + "\" is already the name of " +
                                  with_article(role_noun(first->second)) + ": names are unique in the file");
      node.broken = true;
    }
    if (member.value.kind != TomlValue::Kind::table) {
      error(member.value.place,
            "\"" + member.key + "\" must be a table, not " + std::string{describe(member.value.kind)},
            "write [" + std::string{section_name(role)} + "." + member.key + "]");
      node.broken = true;
      nodes_.push_back(std::move(node));
      return;
    }
    find_type(node);
    if (node.type != nullptr) check_node_settings(node);
    if (role != NodeRole::source) read_inputs(node);
    nodes_.push_back(std::move(node));
  }

  void find_type(DeclaredNode& node) {
    const TomlValue* type = node.member->value.find("type");
    if (type == nullptr || type->kind != TomlValue::Kind::text) {
      error(type ? type->place : node.member->key_place, "\"" + node.name + "\" needs a type: `type = \"...\"`",
            "types of " + std::string{section_name(node.role)} + ": " + types_of(node.role));
      node.broken = true;
      return;
    }
    node.type = find_node_type(node.role, type->text);
    if (node.type != nullptr) return;
    node.broken = true;
    const SourceSpan place = place_within(*type, 0, type->text.size());
    for (const NodeRole other : roles) {
      if (find_node_type(other, type->text) == nullptr) continue;
      error(
          place,
          "\"" + type->text + "\" is " + with_article(role_noun(other)) + ", not " + with_article(role_noun(node.role)),
          "put it under [" + std::string{section_name(other)} + "]");
      return;
    }
    std::string suggestion = did_you_mean(type->text, type_names(node.role));
    if (suggestion.empty()) suggestion = "types: " + types_of(node.role);
    error(place, "unknown type \"" + type->text + "\" of " + std::string{role_noun(node.role)}, std::move(suggestion));
  }

  static std::vector<std::string> type_names(NodeRole role) {
    std::vector<std::string> names;
    for (const NodeType& type : node_types())
      if (type.role == role) names.push_back(type.name);
    return names;
  }

  static std::string types_of(NodeRole role) {
    std::string list;
    for (const std::string& name : type_names(role)) list += (list.empty() ? "" : ", ") + name;
    return list;
  }

  void check_node_settings(DeclaredNode& node) {
    SettingsRules rules;
    for (const Option& option : node.type->options) rules.options.push_back(&option);
    for (const Option& option : common_options(node.role)) {
      if (option.name == "input" && !node.type->has_common_input()) continue;
      const auto same = [&](const Option* o) { return o->name == option.name; };
      if (std::none_of(rules.options.begin(), rules.options.end(), same)) rules.options.push_back(&option);
    }
    rules.elsewhere = {"type"};
    rules.what = "\"" + node.name + "\" (" + std::string{role_noun(node.role)} + " of type " + node.type->name + ")";
    rules.extra_keys = node.type->extra_keys;
    SettingsCheck check = check_settings(node.member->value, node.member->key_place, rules, base_folder_, diagnostics_);
    node.settings = std::move(check.settings);
    if (!check.ok) node.broken = true;
    if (node.settings.has("uid") && node.settings.text("uid").empty()) {
      error(node.member->value.find("uid")->place, "\"uid\" is empty", "without it the node's name is its identity");
      node.broken = true;
    }
    if (node.settings.has("parallelism") && node.settings.integer("parallelism") < 1) {
      error(node.member->value.find("parallelism")->place, "\"parallelism\" must be at least 1");
      node.broken = true;
    }
  }

  /// A wrong kind has been reported with the settings.
  static void read_inputs(DeclaredNode& node) {
    static const std::vector<std::string> of_unknown_type{"input"};
    const std::vector<std::string>& keys = node.type != nullptr ? node.type->inputs : of_unknown_type;
    for (std::size_t i = 0; i < keys.size(); ++i) read_input(node, keys[i], i);
  }

  static void read_input(DeclaredNode& node, const std::string& key, std::size_t index) {
    const TomlValue* input = node.member->value.find(key);
    if (input == nullptr) return;
    const auto add = [&](const TomlValue& value) {
      if (value.kind != TomlValue::Kind::text || value.unresolved) return;
      const std::size_t dot = value.text.find('.');
      InputReference reference{
          index, value.text, value.text.substr(0, dot), {}, place_within(value, 0, value.text.size())};
      if (dot != std::string::npos) reference.output = value.text.substr(dot + 1);
      node.inputs.push_back(std::move(reference));
    };
    if (input->kind == TomlValue::Kind::array) {
      for (const TomlValue& item : input->items) add(item);
    } else {
      add(*input);
    }
  }

  const std::filesystem::path& base_folder_;
  std::vector<Diagnostic>& diagnostics_;
  std::vector<DeclaredNode> nodes_;
  std::map<std::string, NodeRole> sections_by_name_;
};

}  // namespace

std::string_view section_name(NodeRole role) {
  switch (role) {
    case NodeRole::source: return "sources";
    case NodeRole::transform: return "operators";
    case NodeRole::sink: return "sinks";
  }
  return "";
}

bool is_node_name(std::string_view name) {
  if (name.empty() || name[0] < 'a' || name[0] > 'z') return false;
  return std::all_of(name.begin(), name.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; });
}

std::vector<DeclaredNode> declare_nodes(const TomlValue& root, const std::filesystem::path& base_folder,
                                        std::vector<Diagnostic>& diagnostics) {
  return Declarer{base_folder, diagnostics}.declare(root);
}

}  // namespace dataflow
