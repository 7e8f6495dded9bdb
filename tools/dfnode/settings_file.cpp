#include "tools/dfnode/settings_file.hpp"

#include <optional>
#include <span>

#include "libdataflow/topology/did_you_mean.hpp"
#include "libdataflow/topology/text_file.hpp"

namespace dataflow::cli {

namespace {

const CLI::App* command_named(const CLI::App& app, const std::string& name) {
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    if (command->get_name() == name) return command;
  return nullptr;
}

/// Names of options as they stand in the file, and of the commands below.
std::vector<std::string> names_in(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::App* below : command.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(below->get_name());
  for (const CLI::Option* option : command.get_options()) {
    if (!option->get_configurable()) continue;
    for (const std::string& name : option->get_lnames()) names.push_back(name);
  }
  return names;
}

/// The option that CLI11 finds under a name, if it may stand in a file.
const CLI::Option* option_named(const CLI::App& command, const std::string& name) {
  for (const std::string& written : {"--" + name, name.size() == 1 ? "-" + name : name, name}) {
    const CLI::Option* option = command.get_option_no_throw(written);
    if (option != nullptr) return option->get_configurable() ? option : nullptr;
  }
  return nullptr;
}

/// A value as it would be written on the command line; nothing when it could not.
std::optional<std::string> as_argument(const TomlValue& value) {
  switch (value.kind) {
    case TomlValue::Kind::text:
    case TomlValue::Kind::datetime: return value.text;
    case TomlValue::Kind::integer: return std::to_string(value.integer);
    case TomlValue::Kind::boolean: return value.boolean ? "true" : "false";
    case TomlValue::Kind::number: {
      std::string text;
      append_json_double(value.number, text);
      return text;
    }
    case TomlValue::Kind::table:
    case TomlValue::Kind::array: break;
  }
  return std::nullopt;
}

std::optional<std::vector<std::string>> as_arguments(const TomlValue& value) {
  std::vector<std::string> arguments;
  const bool several = value.kind == TomlValue::Kind::array;
  for (const TomlValue& item : std::span{several ? value.items.data() : &value, several ? value.items.size() : 1}) {
    auto argument = as_argument(item);
    if (!argument) return std::nullopt;
    arguments.push_back(std::move(*argument));
  }
  return arguments;
}

}  // namespace

std::string SettingsFile::to_config(const CLI::App*, bool, bool, std::string) const {
  return {};
}

std::vector<CLI::ConfigItem> SettingsFile::from_config(std::istream&) const {
  const auto file = app_.get_config_ptr()->as<std::string>();
  auto text = read_text_file(file, "settings file");
  if (!text) {
    mistakes_ = render({Severity::error, text.error().message(), file, {0, 0, 0}, {}, {}});
    return {};
  }
  const auto root = parse_toml(file, std::move(*text));
  if (!root) {
    mistakes_ = render(root.error());
    return {};
  }
  std::vector<CLI::ConfigItem> found;
  read_table(*root, app_, {}, found);
  if (!mistakes_.empty()) found.clear();
  return found;
}

void SettingsFile::read_table(const TomlValue& table, const CLI::App& command, const std::vector<std::string>& parents,
                              std::vector<CLI::ConfigItem>& found) const {
  for (const TomlMember& member : table.members) {
    const CLI::App* below = command_named(command, member.key);
    if (below != nullptr && member.value.kind == TomlValue::Kind::table) {
      std::vector<std::string> path = parents;
      path.push_back(member.key);
      read_table(member.value, *below, path, found);
      continue;
    }
    if (below == nullptr && option_named(command, member.key) == nullptr) {
      const std::string suggestion = did_you_mean(member.key, names_in(command));
      if (parents.empty()) {
        refuse(member.key_place, "\"" + member.key + "\" is no command of dfnode",
               suggestion.empty() ? "options stand in the table of their command, such as [run]" : suggestion);
      } else {
        const std::string line = "dfnode " + CLI::detail::join(parents, " ");
        refuse(member.key_place, "`" + line + "` has no option \"" + member.key + "\"",
               suggestion.empty() ? "`" + line + " --help` lists them" : suggestion);
      }
      continue;
    }
    auto arguments = as_arguments(member.value);
    if (below != nullptr) {
      refuse(member.key_place, "\"" + member.key + "\" is a command and takes a table of its options, not a value", {});
    } else if (!arguments) {
      refuse(member.value.place, "an option takes a value, or an array of them, not a table", {});
    } else if (!arguments->empty()) {
      CLI::ConfigItem& item = found.emplace_back();
      item.parents = parents;
      item.name = member.key;
      item.inputs = std::move(*arguments);
    }
  }
}

void SettingsFile::refuse(const SourceSpan& place, std::string message, std::string suggestion) const {
  if (!mistakes_.empty()) mistakes_ += "\n";
  mistakes_ += render(diagnose(Severity::error, place, std::move(message), std::move(suggestion)));
}

}  // namespace dataflow::cli
