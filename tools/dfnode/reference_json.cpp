// The reference for programs: as JSON, and as a JSON Schema with which editors complete and check topology files.

#include <nlohmann/json.hpp>

#include "libdataflow/topology/declared_node.hpp"
#include "libdataflow/topology/job_settings.hpp"
#include "tools/dfnode/reference.hpp"

namespace dataflow::cli {

namespace {

using Json = nlohmann::ordered_json;

std::string_view kind_name(OptionKind kind) {
  switch (kind) {
    case OptionKind::text: return "text";
    case OptionKind::choice: return "choice";
    case OptionKind::integer: return "integer";
    case OptionKind::number: return "number";
    case OptionKind::flag: return "flag";
    case OptionKind::duration: return "duration";
    case OptionKind::size: return "size";
    case OptionKind::path: return "path";
    case OptionKind::expression: return "expression";
    case OptionKind::text_list: return "text_list";
    case OptionKind::text_table: return "text_table";
    case OptionKind::table: return "table";
    case OptionKind::rows: return "rows";
  }
  return "";
}

Json options_as_json(const std::vector<Option>& options) {
  Json list = Json::array();
  for (const Option& option : options) {
    Json json = {{"name", option.name}, {"kind", kind_name(option.kind)}, {"help", option.help}};
    if (!option.example.empty()) json["example"] = option.example;
    if (option.required) json["required"] = true;
    if (!option.default_value.empty()) json["default"] = option.default_value;
    if (!option.choices.empty()) json["choices"] = option.choices;
    if (!option.nested.empty()) json["nested"] = options_as_json(option.nested);
    if (option.changeable) json["changeable"] = true;
    list.push_back(std::move(json));
  }
  return list;
}

Json text_schema() {
  return {{"type", "string"}};
}

/// What `check` takes for the types of a source's fields, or a `${...}`.
Json type_name_schema() {
  return {{"type", "string"},
          {"pattern",
           "^ *(bool|int32|int64|float64|string|bytes|timestamp|decimal *\\( *[0-9]+ *(, *[0-9]+ *)?\\)) *$|"
           "^timestamp_(s|ms|us)$|\\$\\{"}};
}

/// Numbers and flags may also come out of a `${...}`, which is a text.
Json or_substituted(Json schema) {
  return {{"anyOf", Json::array({std::move(schema), {{"type", "string"}, {"pattern", "\\$\\{"}}})}};
}

Json table_schema(const std::vector<Option>& options);

Json option_schema(const Option& option) {
  Json schema;
  switch (option.kind) {
    case OptionKind::text:
    case OptionKind::path:
    case OptionKind::expression: schema = text_schema(); break;
    case OptionKind::choice: schema = or_substituted({{"enum", option.choices}}); break;
    case OptionKind::integer: schema = or_substituted({{"type", "integer"}}); break;
    case OptionKind::number: schema = or_substituted({{"type", "number"}}); break;
    case OptionKind::flag: schema = or_substituted({{"type", "boolean"}}); break;
    case OptionKind::duration:
      schema = or_substituted({{"type", "string"}, {"pattern", "^[+-]?[0-9]+(us|ms|s|m|h|d)$"}});
      break;
    case OptionKind::size:
      schema = {{"anyOf", Json::array({text_schema(), {{"type", "integer"}, {"minimum", 0}}})}};
      break;
    case OptionKind::text_list:
      schema = {
          {"anyOf", Json::array({text_schema(), {{"type", "array"}, {"items", text_schema()}, {"minItems", 1}}})}};
      break;
    case OptionKind::text_table: schema = {{"type", "object"}, {"additionalProperties", text_schema()}}; break;
    case OptionKind::table: schema = table_schema(option.nested); break;
    case OptionKind::rows: schema = {{"type", "array"}, {"items", {{"type", "object"}}}}; break;
  }
  if (option.name == "schema") schema["additionalProperties"] = type_name_schema();
  schema["description"] = option.help + (option.example.empty() ? "" : " Example: " + option.example);
  return schema;
}

void add_options(const std::vector<Option>& options, Json& properties, Json& required) {
  for (const Option& option : options) {
    if (properties.contains(option.name)) continue;  // a type's own key goes before a common one
    properties[option.name] = option_schema(option);
    if (option.required) required.push_back(option.name);
  }
}

Json table_schema(const std::vector<Option>& options) {
  Json properties = Json::object();
  Json required = Json::array();
  add_options(options, properties, required);
  Json schema = {{"type", "object"}, {"properties", std::move(properties)}, {"additionalProperties", false}};
  if (!required.empty()) schema["required"] = std::move(required);
  return schema;
}

Json type_schema(const NodeType& type) {
  Json properties = {{"type", {{"const", type.name}}}};
  Json required = {"type"};
  add_options(type.options, properties, required);
  add_options(common_options_of(type), properties, required);
  return {{"title", type.name},
          {"description", type.summary},
          {"type", "object"},
          {"properties", std::move(properties)},
          {"required", std::move(required)},
          {"additionalProperties", type.extra_keys}};
}

/// The type's name chooses the schema, so that an editor says what is wrong with a filter and not that the node is none
/// of twelve things.
Json section_schema(NodeRole role) {
  Json names = Json::array();
  Json choices = Json::array();
  for (const NodeType& type : node_types()) {
    if (type.role != role) continue;
    names.push_back(type.name);
    choices.push_back({{"if", {{"properties", {{"type", {{"const", type.name}}}}}, {"required", {"type"}}}},
                       {"then", type_schema(type)}});
  }
  return {{"type", "object"},
          {"propertyNames", {{"pattern", "^[a-z][a-z0-9_]*$"}}},
          {"additionalProperties",
           {{"type", "object"},
            {"required", {"type"}},
            {"properties", {{"type", {{"enum", std::move(names)}}}}},
            {"allOf", std::move(choices)}}}};
}

Json tests_schema() {
  return {{"type", "array"},
          {"items",
           {{"type", "object"},
            {"required", {"name", "expect"}},
            {"additionalProperties", false},
            {"properties",
             {{"name", text_schema()},
              {"given", {{"type", "object"}}},
              {"expect", {{"type", "object"}}},
              {"ordered", {{"type", "boolean"}}}}}}}};
}

Json type_as_json(const NodeType& type) {
  return {{"name", type.name},
          {"section", section_name(type.role)},
          {"summary", type.summary},
          {"side_outputs", type.side_outputs},
          {"options", options_as_json(type.options)},
          {"example", type.example}};
}

/// The functions called `name`, or all when it is empty.
Json functions_as_json(std::string_view name) {
  Json functions = Json::array();
  for (const FunctionDoc& function : function_docs()) {
    if (!name.empty() && function.name != name) continue;
    functions.push_back({{"name", function.name},
                         {"group", function.group},
                         {"signatures", function.signatures},
                         {"help", function.help},
                         {"example", function.example}});
  }
  return functions;
}

}  // namespace

std::string reference_as_json() {
  Json types = Json::array();
  for (const NodeType& type : node_types()) types.push_back(type_as_json(type));
  Json common = Json::object();
  for (const NodeRole role : roles) common[std::string{section_name(role)}] = options_as_json(common_options(role));
  const Json json = {{"job", options_as_json(job_options())},
                     {"common", std::move(common)},
                     {"types", std::move(types)},
                     {"functions", functions_as_json({})}};
  return json.dump(2) + "\n";
}

std::optional<std::string> reference_of_as_json(std::string_view name) {
  Json json = Json::object();
  if (name == "job") json["job"] = options_as_json(job_options());
  for (const NodeType& type : node_types()) {
    if (type.name != name) continue;
    // The keys that it has beside its own.
    json["common"][std::string{section_name(type.role)}] = options_as_json(common_options_of(type));
    json["types"].push_back(type_as_json(type));
  }
  Json functions = functions_as_json(name == "functions" ? std::string_view{} : name);
  if (!functions.empty()) json["functions"] = std::move(functions);
  if (json.empty()) return std::nullopt;
  return json.dump(2) + "\n";
}

std::string topology_json_schema() {
  Json properties = Json::object();
  Json required = Json::array();
  add_options(job_options(), properties, required);
  for (const NodeRole role : roles) properties[std::string{section_name(role)}] = section_schema(role);
  properties["tests"] = tests_schema();
  const Json json = {{"$schema", "http://json-schema.org/draft-07/schema#"},
                     {"title", "dataflow topology"},
                     {"type", "object"},
                     {"properties", std::move(properties)},
                     {"additionalProperties", false}};
  return json.dump(2) + "\n";
}

}  // namespace dataflow::cli
