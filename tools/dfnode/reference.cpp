#include "tools/dfnode/reference.hpp"

#include <algorithm>

#include "libdataflow/topology/declared_node.hpp"
#include "libdataflow/topology/job_settings.hpp"

namespace dataflow::cli {

namespace {

std::string padded_apart(std::string text, std::size_t width) {
  text.append(text.size() < width ? width - text.size() : 1, ' ');
  return text;
}

/// `text` in lines of at most 100 characters, each but the first behind `indent` spaces.
std::string wrapped(std::string_view text, std::size_t indent) {
  constexpr std::size_t width = 100;
  std::string out;
  std::size_t column = indent;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    const std::string_view word = text.substr(at, end - at);
    if (column > indent && column + 1 + word.size() > width) {
      out += "\n" + std::string(indent, ' ');
      column = indent;
    } else if (column > indent) {
      out += ' ';
      ++column;
    }
    out += word;
    column += word.size();
    at = end + 1;
  }
  return out;
}

void append_options(const std::vector<Option>& options, std::size_t indent, std::string& out) {
  std::size_t width = 0;
  for (const Option& option : options) width = std::max(width, option.name.size() + 2);
  for (const Option& option : options) {
    std::string head = std::string(indent, ' ') + padded_apart(option.name, width);
    std::string notes = kind_in_words(option);
    if (option.required) notes += ", required";
    if (!option.default_value.empty()) notes += ", default " + option.default_value;
    if (option.changeable) notes += ", may be changed while the job runs";
    out += head + wrapped(notes, indent + width) + "\n";
    out += std::string(indent + width, ' ') + wrapped(option.help, indent + width) + "\n";
    if (!option.example.empty() && option.nested.empty())
      out += std::string(indent + width, ' ') + option.name + " = " + option.example + "\n";
    append_options(option.nested, indent + width, out);
  }
}

std::string indented(std::string_view text, std::size_t indent) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    out += std::string(indent, ' ') + std::string{text.substr(at, end - at)} + "\n";
    at = end + 1;
  }
  return out;
}

std::string type_in_words(const NodeType& type) {
  std::string out = "[" + std::string{section_name(type.role)} + ".NAME] type = \"" + type.name + "\"\n  " +
                    wrapped(type.summary, 2) + "\n";
  if (!type.side_outputs.empty()) {
    out += "  Side outputs:";
    for (const std::string& output : type.side_outputs) out += " NAME." + output;
    out += "\n";
  }
  if (!type.options.empty()) {
    out += "\n  Keys\n";
    append_options(type.options, 4, out);
  }
  out += "\n  Keys of all " + std::string{section_name(type.role)} + "\n";
  append_options(common_options_of(type), 4, out);
  return out + "\n  Example\n" + indented(type.example, 4);
}

std::string function_in_words(const FunctionDoc& function) {
  std::string out;
  for (const std::string& signature : function.signatures) out += signature + "\n";
  out += "  " + wrapped(function.help, 2) + "\n";
  if (!function.example.empty()) out += "  " + function.example + "\n";
  return out;
}

std::string functions_in_words() {
  std::string out;
  std::string group;
  for (const FunctionDoc& function : function_docs()) {
    if (function.group != group) out += (out.empty() ? "" : "\n") + (group = function.group) + "\n";
    out += "  " + padded_apart(function.name, 22) + wrapped(function.help, 24) + "\n";
  }
  return out;
}

}  // namespace

std::string kind_in_words(const Option& option) {
  switch (option.kind) {
    case OptionKind::text: return "text";
    case OptionKind::choice: {
      std::string words;
      for (const std::string& choice : option.choices) words += (words.empty() ? "\"" : " | \"") + choice + "\"";
      return words;
    }
    case OptionKind::integer: return "integer";
    case OptionKind::number: return "number";
    case OptionKind::flag: return "true | false";
    case OptionKind::duration: return "duration";
    case OptionKind::size: return "size";
    case OptionKind::path: return "path";
    case OptionKind::expression: return "expression";
    case OptionKind::text_list: return "text or array of texts";
    case OptionKind::text_table: return "table of texts";
    case OptionKind::table: return "table";
    case OptionKind::rows: return "array of tables";
  }
  return "";
}

std::string_view heading(NodeRole role) {
  switch (role) {
    case NodeRole::source: return "Sources";
    case NodeRole::transform: return "Operators";
    case NodeRole::sink: return "Sinks";
  }
  return "";
}

std::string reference_overview() {
  std::string out;
  for (const NodeRole role : roles) {
    out += std::string{heading(role)} + "\n";
    for (const NodeType& type : node_types())
      if (type.role == role) out += "  " + padded_apart(type.name, 12) + wrapped(type.summary, 14) + "\n";
    out += "\n";
  }
  return out +
         "dfnode docs TYPE        a node type: its keys, their defaults, an example\n"
         "dfnode docs job         the keys of the file's top level\n"
         "dfnode docs functions   the functions of expressions; `dfnode docs FUNCTION` shows one\n";
}

std::optional<std::string> reference_of(std::string_view name) {
  if (name == "functions") return functions_in_words();
  std::string out;
  if (name == "job") {
    out = "The top level of a topology\n\n";
    append_options(job_options(), 2, out);
  }
  for (const NodeType& type : node_types())
    if (type.name == name) out += (out.empty() ? "" : "\n") + type_in_words(type);
  for (const FunctionDoc& function : function_docs())
    if (function.name == name) out += (out.empty() ? "" : "\n") + function_in_words(function);
  if (out.empty()) return std::nullopt;
  return out;
}

std::vector<std::string> reference_names() {
  std::vector<std::string> names = {"job", "functions"};
  for (const NodeType& type : node_types()) names.push_back(type.name);
  for (const FunctionDoc& function : function_docs()) names.push_back(function.name);
  return names;
}

}  // namespace dataflow::cli
