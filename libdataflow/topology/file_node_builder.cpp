#include "libdataflow/topology/file_node_builder.hpp"

#include <algorithm>
#include <charconv>

#include "libdataflow/topology/did_you_mean.hpp"

namespace dataflow {

FileNodeBuilder::FileNodeBuilder(const DeclaredNode& declared, const JobSettings& job, std::vector<InputInfo> inputs,
                                 std::vector<SourceField> source_schema, const Secrets& secrets,
                                 std::vector<Diagnostic>& diagnostics)
    : declared_{declared},
      job_{job},
      inputs_{std::move(inputs)},
      source_schema_{std::move(source_schema)},
      secrets_{secrets},
      diagnostics_{diagnostics} {
  node_.name = declared.name;
  node_.uid = declared.settings.has("uid") ? declared.settings.text("uid") : declared.name;
  node_.type = declared.type->name;
  if (declared.settings.has("parallelism"))
    node_.parallelism = static_cast<std::uint32_t>(declared.settings.integer("parallelism"));
  const SourceSpan& place = declared.member->key_place;
  node_.defined_at = (place.text ? place.text->name : "") + ":" + std::to_string(place.span.line);
}

void FileNodeBuilder::report(const TomlValue* value, const SourceSpan& place, std::string message,
                             std::string suggestion) {
  has_errors_ = true;
  if (value && value->substituted) message = secrets_.redact_pieces(std::move(message), value->written);
  diagnostics_.push_back(diagnose(Severity::error, place, std::move(message), std::move(suggestion)));
}

void FileNodeBuilder::error(std::string_view path, std::string message, std::string suggestion) {
  const TomlValue* value = path.empty() ? nullptr : find_path(declared_.member->value, path);
  if (follows_from_unknown_key(path, value)) {
    has_errors_ = true;
    return;
  }
  report(value, value ? place_within(*value, 0, value->text.size()) : declared_.member->key_place, std::move(message),
         std::move(suggestion));
}

bool FileNodeBuilder::follows_from_unknown_key(std::string_view option, const TomlValue* value) const {
  if (value == nullptr || value->kind != TomlValue::Kind::table) return false;
  const std::vector<Option>& options = declared_.type->options;
  const auto found = std::find_if(options.begin(), options.end(), [&](const Option& o) { return o.name == option; });
  return found != options.end() && found->kind == OptionKind::table && has_unknown_key(*value, found->nested);
}

void FileNodeBuilder::name_error(std::string_view path, std::string message, std::string suggestion) {
  const TomlMember* member = find_member_at(declared_.member->value, path);
  report(nullptr, member ? member->key_place : declared_.member->key_place, std::move(message), std::move(suggestion));
}

void FileNodeBuilder::error(std::string_view path, const ExpressionError& mistake) {
  const TomlValue* value = path.empty() ? nullptr : find_path(declared_.member->value, path);
  report(value, value ? place_within(*value, mistake.offset, mistake.length) : declared_.member->key_place,
         mistake.message, mistake.suggestion);
}

std::optional<Expression> FileNodeBuilder::compile(std::string_view path, std::string_view text, std::size_t input) {
  const InputInfo& info = inputs_.at(input);
  auto expression = Expression::compile(text, *info.schema, info.name);
  if (expression) return std::move(*expression);
  error(path, expression.error());
  return std::nullopt;
}

std::optional<std::size_t> FileNodeBuilder::field(std::string_view path, std::string_view field_name,
                                                  std::size_t input) {
  const InputInfo& info = inputs_.at(input);
  if (const auto found = info.schema->find(field_name)) return found;
  const TomlValue* value = path.empty() ? nullptr : find_path(declared_.member->value, path);
  if (value != nullptr && value->kind == TomlValue::Kind::array) {
    // The element that names the field, not the whole list.
    for (const TomlValue& item : value->items) {
      if (item.text != field_name) continue;
      value = &item;
      break;
    }
  }
  report(value, value ? place_within(*value, 0, value->text.size()) : declared_.member->key_place,
         "no column \"" + std::string{field_name} + "\" in \"" + info.name + "\"",
         did_you_mean(field_name, field_names(*info.schema)));
  return std::nullopt;
}

void FileNodeBuilder::key_by(std::vector<std::size_t> fields, std::size_t input) {
  keys_.emplace_back(input, std::move(fields));
}

const std::vector<std::size_t>* FileNodeBuilder::keys_of(std::size_t input) const {
  const auto found = std::find_if(keys_.rbegin(), keys_.rend(), [&](const auto& keys) { return keys.first == input; });
  return found != keys_.rend() ? &found->second : nullptr;
}

bool FileNodeBuilder::is_broadcast(std::size_t input) const {
  return std::find(broadcast_.begin(), broadcast_.end(), input) != broadcast_.end();
}

void FileNodeBuilder::put_before(std::size_t input, std::string_view suffix, StreamNode node) {
  node.name = node_.name + "." + std::string{suffix};
  node.uid = node_.uid + "." + std::string{suffix};
  node.parallelism.reset();
  node.defined_at = node_.defined_at;
  before_.emplace_back(input, std::move(node));
}

namespace {

/// Where a path leads: to a member of a table, or to an item of an array.
struct PathEnd {
  const TomlValue* value = nullptr;
  const TomlMember* member = nullptr;
};

PathEnd follow(const TomlValue& from, std::string_view path);

/// The item of an array that the first part of `path` counts from 0, or what the rest of the path names in it.
PathEnd follow_item(const TomlValue& array, std::string_view path) {
  const std::size_t dot = path.find('.');
  const std::string_view number = path.substr(0, dot);
  std::size_t index = array.items.size();
  std::from_chars(number.data(), number.data() + number.size(), index);
  if (index >= array.items.size()) return {};
  if (dot == std::string_view::npos) return {&array.items[index], nullptr};
  return follow(array.items[index], path.substr(dot + 1));
}

PathEnd follow(const TomlValue& from, std::string_view path) {
  if (from.kind == TomlValue::Kind::array) return follow_item(from, path);
  // A key may itself contain dots, so the longest key that matches is taken.
  if (const TomlMember* whole = from.find_member(path)) return {&whole->value, whole};
  for (std::size_t dot = path.rfind('.'); dot != std::string_view::npos && dot > 0; dot = path.rfind('.', dot - 1)) {
    if (const TomlMember* member = from.find_member(path.substr(0, dot))) {
      return follow(member->value, path.substr(dot + 1));
    }
  }
  return {};
}

}  // namespace

const TomlValue* find_path(const TomlValue& table, std::string_view path) {
  return follow(table, path).value;
}

const TomlMember* find_member_at(const TomlValue& table, std::string_view path) {
  return follow(table, path).member;
}

std::vector<std::string> field_names(const Schema& schema) {
  std::vector<std::string> names;
  for (const Field& field : schema.fields()) names.push_back(field.name);
  return names;
}

}  // namespace dataflow
