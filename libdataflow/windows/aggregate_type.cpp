#include "libdataflow/windows/aggregate_type.hpp"

#include <string>
#include <utility>

#include "libdataflow/batch/sorted_input.hpp"
#include "libdataflow/operators/keyed_input.hpp"
#include "libdataflow/operators/row_errors.hpp"
#include "libdataflow/windows/aggregation.hpp"
#include "libdataflow/windows/window_spec.hpp"
#include "libdataflow/windows/window_type.hpp"

namespace dataflow {

namespace {

/// Whether every aggregate can do with the rows that the input takes back.
bool check_changelog(NodeBuilder& builder, const WindowSpec& spec) {
  const InputInfo& input = builder.inputs()[0];
  if (input.changelog == ChangelogMode::append_only) return true;
  for (const WindowAggregate& aggregate : spec.aggregates) {
    const auto call = windows::Aggregation{{aggregate}}.irrevocable();
    if (!call) continue;
    builder.error("aggregate." + aggregate.name,
                  *call + " cannot take back a row, and \"" + input.name + "\" is a changelog (" +
                      std::string{to_string(input.changelog)} + ")",
                  "count, sum and avg can");
    return false;
  }
  return true;
}

void build_aggregate(NodeBuilder& builder) {
  const InputInfo& input = builder.inputs()[0];
  WindowSpec spec;
  // At the end of all input there is nothing to take back, but from an input that does.
  const bool once = builder.job().mode == ExecutionMode::batch && input.changelog == ChangelogMode::append_only;
  spec.kind = once ? WindowKind::global : WindowKind::running;
  // Everything is read even when something is wrong, so that all mistakes show at once.
  auto keys = read_key_fields(builder);
  if (keys) spec.key_fields = std::move(*keys);
  const bool aggregates = read_aggregates(builder, spec) && check_changelog(builder, spec);
  const bool ttl = read_ttl(builder, spec.ttl);
  if (!keys || !aggregates || !ttl) return;
  if (once) spec.ttl.reset();
  const auto output = window_output_schema(spec, *input.schema);
  if (!output) return builder.error("aggregate", output.error().message());

  StreamNode& node = builder.node();
  node.stateful = true;
  node.details = once ? "at the end" : "running" + ttl_details(spec.ttl);
  node.outputs = {{.schema = *output,
                   .event_time = input.event_time,
                   .changelog = once ? ChangelogMode::append_only : ChangelogMode::retract}};
  declare_error_output(builder);
  spec.on_error = parse_error_policy(builder.settings().text("on_error"));
  send_by_key(builder, spec.key_fields);
  const WindowSpec of_node = spec;
  node.factory = make_window_operator(std::move(spec), input.schema);
  // Global windows put aside what they have of their keys themselves.
  if (!once && !of_node.ttl) sort_input_in_batch(builder, input.schema, of_node.key_fields, KeyGrowth::none);
}

}  // namespace

NodeType aggregate_type() {
  return {.name = "aggregate",
          .role = NodeRole::transform,
          .summary = "The values of aggregates per key so far, as a changelog.",
          .options = {{.name = "key_by",
                       .kind = OptionKind::text_list,
                       .help = "Fields by which records are grouped; without it there is one group.",
                       .example = "[\"city\"]"},
                      {.name = "aggregate",
                       .kind = OptionKind::text_table,
                       .help = "What is computed over all records of a key: a name and an aggregate expression. An "
                               "input that takes rows back allows count, sum and avg.",
                       .example = "{ hottest = \"max(temperature)\", n = \"count()\" }",
                       .required = true},
                      {.name = "ttl",
                       .kind = OptionKind::duration,
                       .help = "A key that no record came of for so long, by the clock, is forgotten, and its next "
                               "record is its first again; default: `ttl` of [state], or never.",
                       .example = "\"1d\""},
                      on_error_option()},
          .example =
              "[operators.totals]\ntype      = \"aggregate\"\ninput     = \"orders\"\nkey_by    = "
              "[\"customer\"]\naggregate = { spent = \"sum(amount)\", orders = \"count()\" }\n",
          .build = build_aggregate};
}

}  // namespace dataflow
