#include "libdataflow/topology/source_settings.hpp"

#include "libdataflow/topology/nearest_name.hpp"

namespace dataflow {

namespace {

Result<SourceField> parse_source_field(const std::string& name, const std::string& type) {
  constexpr std::pair<std::string_view, TimestampEncoding> epochs[] = {{"timestamp_s", TimestampEncoding::epoch_s},
                                                                       {"timestamp_ms", TimestampEncoding::epoch_ms},
                                                                       {"timestamp_us", TimestampEncoding::epoch_us}};
  for (const auto& [epoch, encoding] : epochs)
    if (type == epoch) return SourceField{{name, TypeKind::timestamp}, encoding};
  auto parsed = parse_data_type(type);
  if (!parsed) return fail(parsed.error());
  if (parsed->is_nested()) return fail(ErrorCode::unsupported, "arrays, maps and rows cannot be read by this version");
  return SourceField{{name, std::move(*parsed)}};
}

ErrorPolicy error_policy(const std::string& choice) {
  return choice == "skip" ? ErrorPolicy::skip : choice == "side_output" ? ErrorPolicy::side_output : ErrorPolicy::fail;
}

/// Whether the key is the common one of sources: a type may declare one of the same name and other meaning.
bool is_common(const DeclaredNode& declared, std::string_view key) {
  for (const Option& option : declared.type->options)
    if (option.name == key) return false;
  return declared.settings.has(key);
}

void set_event_time(const DeclaredNode& declared, FileNodeBuilder& builder) {
  const Settings& settings = declared.settings.table("event_time");
  StreamOutput& output = builder.node().outputs.front();
  const std::string field = settings.text("field");
  const auto index = output.schema->find(field);
  if (!index) {
    builder.error("event_time.field", "no column \"" + field + "\" in the schema of \"" + declared.name + "\"",
                  did_you_mean(field, field_names(*output.schema)));
    return;
  }
  const DataType& type = (*output.schema)[*index].type;
  if (type.kind() != TypeKind::timestamp) {
    builder.error("event_time.field", "event time must be a timestamp, \"" + field + "\" is " + to_string(type),
                  "in the schema: timestamp, timestamp_s, timestamp_ms or timestamp_us");
    return;
  }
  EventTimeSpec event_time{*index, settings.duration("out_of_orderness"), std::nullopt};
  if (event_time.out_of_orderness < Duration{0})
    builder.error("event_time.out_of_orderness", "\"out_of_orderness\" must not be negative");
  if (settings.has("idle_after")) {
    event_time.idle_after = settings.duration("idle_after");
    if (*event_time.idle_after <= Duration{0})
      builder.error("event_time.idle_after", "\"idle_after\" must be more than 0s");
  }
  builder.node().source->event_time = event_time;
  output.event_time = true;
}

}  // namespace

std::vector<SourceField> read_source_schema(const DeclaredNode& declared, std::vector<Diagnostic>& diagnostics) {
  std::vector<SourceField> fields;
  if (!is_common(declared, "schema")) return fields;
  const TomlValue& schema = *declared.member->value.find("schema");
  if (schema.members.empty())
    diagnostics.push_back(diagnose(Severity::error, schema.place, "a schema needs at least one field"));
  for (const TomlMember& member : schema.members) {
    if (member.key.empty()) {
      diagnostics.push_back(diagnose(Severity::error, member.key_place, "a field needs a name"));
      continue;
    }
    auto field = parse_source_field(member.key, member.value.text);
    if (field) {
      fields.push_back(std::move(*field));
    } else {
      diagnostics.push_back(
          diagnose(Severity::error, place_within(member.value, 0, member.value.text.size()), field.error().message()));
    }
  }
  return fields;
}

void finish_source(const DeclaredNode& declared, FileNodeBuilder& builder) {
  StreamNode& node = builder.node();
  if (!node.source || node.outputs.empty()) return;
  if (is_common(declared, "event_time")) set_event_time(declared, builder);
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
