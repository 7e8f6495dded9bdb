#include "libdataflow/artifact/process_type.hpp"

#include "dataflow/job.hpp"
#include "libdataflow/artifact/job_library.hpp"
#include "libdataflow/batch/sorted_input.hpp"

namespace dataflow {

namespace {

/// The input's key fields by name, with the types that the function's key has. Nothing after a mistake.
std::optional<std::vector<std::size_t>> find_key(NodeBuilder& builder, const FunctionDescriptor& function) {
  std::vector<std::size_t> fields;
  const std::vector<DataType> types = function.key_types();
  const std::vector<std::string> names =
      builder.settings().has("key_by") ? builder.settings().text_list("key_by") : std::vector<std::string>{};
  const std::string quoted = "\"" + std::string{function.name} + "\"";
  if (names.empty()) {
    if (!function.keyed) return fields;
    builder.error("function", quoted + " keeps state for each key", "add key_by = [ ... ]");
    return std::nullopt;
  }
  if (!function.keyed) {
    builder.error("key_by", quoted + " is a function without key");
    return std::nullopt;
  }
  if (names.size() != types.size()) {
    builder.error("key_by", quoted + " has a key of " + std::to_string(types.size()) + " field" +
                                (types.size() == 1 ? "" : "s") + ", this names " + std::to_string(names.size()));
    return std::nullopt;
  }
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto field = builder.field("key_by", names[i]);
    if (!field) return std::nullopt;
    const DataType& type = (*builder.inputs()[0].schema)[*field].type;
    if (!(type == types[i])) {
      builder.error("key_by", "\"" + names[i] + "\" is " + to_string(type) + ", but the key of " + quoted + " is " +
                                  to_string(types[i]));
      return std::nullopt;
    }
    fields.push_back(*field);
  }
  return fields;
}

void build_process(NodeBuilder& builder) {
  const Settings& settings = builder.settings();
  const InputInfo& input = builder.inputs()[0];
  const auto library = FunctionLibrary::load(settings.text("library"));
  if (!library) return builder.error("library", library.error().message());
  const auto found = library->find(settings.text("function"));
  if (!found) return builder.error("function", found.error().message());
  const FunctionDescriptor& function = **found;
  auto plan = std::make_shared<ProcessPlan>();
  auto positions = match_fields(function.input(), *input.schema);
  if (!positions) return builder.error("function", positions.error().message());
  auto key = find_key(builder, function);
  if (!key) return;
  if (input.changelog != ChangelogMode::append_only) {
    return builder.error("function", "a process function takes an append-only stream, \"" + input.name + "\" is " +
                                         std::string{to_string(input.changelog)});
  }
  plan->positions = std::move(*positions);
  plan->key_fields = *key;
  plan->key_types = function.key_types();
  plan->optional_key = function.optional_key;
  plan->output = function.output().schema;
  plan->sides = std::make_shared<SideOutputs>(function.side_outputs());
  plan->event_time = input.event_time;

  StreamNode& node = builder.node();
  node.details = settings.text("function") + " of " + settings.text("library");
  node.stateful = function.keyed;
  node.outputs = {{.name = {}, .schema = plan->output, .event_time = input.event_time}};
  for (const SideOutput& side : *plan->sides) {
    node.outputs.push_back({.name = side.name, .schema = side.schema, .event_time = input.event_time});
  }
  try {
    node.factory = function.make(plan, settings.extra_keys_json());
  } catch (const std::exception& error) {
    return builder.error("function", error.what());
  }
  sort_input_in_batch(builder, input.schema, *key, KeyGrowth::with_rows);
  if (!key->empty()) builder.key_by(std::move(*key));
}

}  // namespace

NodeType process_type() {
  return {.name = "process",
          .role = NodeRole::transform,
          .summary = "Records through a C++ process function, with state and timers for each key.",
          .options = {{.name = "library",
                       .kind = OptionKind::path,
                       .help = "The shared library, made with dataflow_add_library.",
                       .example = "\"libmine.so\"",
                       .required = true},
                      {.name = "function",
                       .kind = OptionKind::text,
                       .help = "The name that DATAFLOW_FUNCTION gives it.",
                       .example = "\"enrich\"",
                       .required = true},
                      {.name = "key_by",
                       .kind = OptionKind::text_list,
                       .help = "The key's fields, for a KeyedProcess.",
                       .example = "[\"card\"]"}},
          .side_outputs = {},
          .example =
              "[operators.enriched]\n"
              "type     = \"process\"\n"
              "input    = \"payments\"\n"
              "library  = \"libmine.so\"\n"
              "function = \"enrich\"\n"
              "key_by   = [\"card\"]\n"
              "limit    = 500          # the function's own key\n",
          .extra_keys = true,
          .build = build_process};
}

}  // namespace dataflow
