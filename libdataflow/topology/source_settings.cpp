#include "libdataflow/topology/source_settings.hpp"

#include <algorithm>

#include "libdataflow/topology/did_you_mean.hpp"

namespace dataflow {

namespace {

struct WrittenType {
  DataType type;
  TimestampEncoding encoding = TimestampEncoding::iso8601;
};

/// Nothing when `text` names no type; `why` says so.
std::optional<WrittenType> parse_written_type(std::string_view text, std::string& why) {
  if (text == "timestamp_s") return WrittenType{TypeKind::timestamp, TimestampEncoding::epoch_s};
  if (text == "timestamp_ms") return WrittenType{TypeKind::timestamp, TimestampEncoding::epoch_ms};
  if (text == "timestamp_us") return WrittenType{TypeKind::timestamp, TimestampEncoding::epoch_us};
  const auto parsed = parse_data_type(text);
  if (parsed && !parsed->is_nested()) return WrittenType{*parsed};
  why = parsed ? "arrays, maps and rows cannot be read by this version" : parsed.error().message();
  return std::nullopt;
}

ErrorPolicy error_policy(const std::string& choice) {
  return choice == "skip" ? ErrorPolicy::skip : choice == "side_output" ? ErrorPolicy::side_output : ErrorPolicy::fail;
}

const std::vector<Option>& event_time_options() {
  const std::vector<Option>& options = common_options(NodeRole::source);
  return std::find_if(options.begin(), options.end(), [](const Option& o) { return o.name == "event_time"; })->nested;
}

/// Whether the key is the common one of sources: a type may declare one of the same name and other meaning.
bool is_common(const DeclaredNode& declared, std::string_view key) {
  for (const Option& option : declared.type->options)
    if (option.name == key) return false;
  return declared.settings.has(key);
}

}  // namespace

std::optional<EventTimeSpec> read_event_time(const DeclaredNode& declared, const Schema& schema,
                                             std::vector<Diagnostic>& diagnostics) {
  if (!is_common(declared, "event_time")) return std::nullopt;
  const Settings& settings = declared.settings.table("event_time");
  const TomlValue& table = *declared.member->value.find("event_time");
  const std::size_t diagnostics_before = diagnostics.size();
  const auto error = [&](std::string_view key, std::string message, std::string suggestion = {}) {
    const TomlValue& value = *table.find(key);
    diagnostics.push_back(diagnose(Severity::error, place_within(value, 0, value.text.size()), std::move(message),
                                   std::move(suggestion)));
  };
  const auto check_type = [&](std::string_view key, const std::string& what, const DataType& type) {
    if (type.kind() == TypeKind::timestamp) return;
    error(key, "event time must be a timestamp, " + what + " is " + to_string(type),
          "in the schema: timestamp, timestamp_s, timestamp_ms or timestamp_us");
  };
  EventTimeSpec event_time;
  event_time.out_of_orderness = settings.duration("out_of_orderness");
  if (settings.has("field") == settings.has("expression")) {
    if (has_unknown_key(table, event_time_options())) return std::nullopt;
    diagnostics.push_back(diagnose(Severity::error, table.place, "event time needs either a field or an expression",
                                   "{ field = \"date\" }"));
  } else if (settings.has("field")) {
    const std::string field = settings.text("field");
    if (const auto index = schema.find(field)) {
      check_type("field", "\"" + field + "\"", schema[*index].type);
      event_time.field = *index;
    } else {
      error("field", "no column \"" + field + "\" in the schema of \"" + declared.name + "\"",
            did_you_mean(field, field_names(schema)));
    }
  } else if (auto compiled = Expression::compile(settings.text("expression"), schema, declared.name)) {
    check_type("expression", "this", compiled->type());
    event_time.expression = *std::move(compiled);
  } else {
    const ExpressionError& mistake = compiled.error();
    diagnostics.push_back(diagnose(Severity::error,
                                   place_within(*table.find("expression"), mistake.offset, mistake.length),
                                   mistake.message, mistake.suggestion));
  }
  if (event_time.out_of_orderness < Duration{0}) error("out_of_orderness", "\"out_of_orderness\" must not be negative");
  if (settings.has("idle_after")) {
    event_time.idle_after = settings.duration("idle_after");
    if (*event_time.idle_after <= Duration{0}) error("idle_after", "\"idle_after\" must be more than 0s");
  }
  if (diagnostics.size() != diagnostics_before) return std::nullopt;
  return event_time;
}

std::vector<SourceField> read_source_schema(const DeclaredNode& declared, std::vector<Diagnostic>& diagnostics) {
  std::vector<SourceField> fields;
  if (!is_common(declared, "schema")) return fields;
  const TomlValue& schema = *declared.member->value.find("schema");
  if (schema.members.empty())
    diagnostics.push_back(diagnose(Severity::error, schema.place, "a schema needs at least one field"));
  for (const TomlMember& member : schema.members) {
    std::string why;
    if (const auto type = parse_written_type(member.value.text, why)) {
      fields.push_back({{member.key, type->type}, type->encoding});
    } else {
      diagnostics.push_back(
          diagnose(Severity::error, place_within(member.value, 0, member.value.text.size()), std::move(why)));
    }
  }
  return fields;
}

void finish_source(const DeclaredNode& declared, const std::optional<EventTimeSpec>& event_time,
                   FileNodeBuilder& builder) {
  StreamNode& node = builder.node();
  if (!node.source || node.outputs.empty()) return;
  if (event_time) node.source->event_time = event_time;
  // One with a mistake too: what reads the source would seem to lack it.
  if (is_common(declared, "event_time")) node.outputs.front().event_time = true;
  if (is_common(declared, "rate_limit")) {
    const double rate = declared.settings.number("rate_limit");
    if (!(rate > 0)) builder.error("rate_limit", "\"rate_limit\" must be more than 0 records a second");
    node.source->rate_limit_per_second = rate;
  }
  if (is_common(declared, "on_error")) node.source->on_error = error_policy(declared.settings.text("on_error"));
  if (node.source->on_error == ErrorPolicy::side_output)
    node.outputs.push_back({.name = "errors", .schema = source_error_schema()});
}

}  // namespace dataflow
