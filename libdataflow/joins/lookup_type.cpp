#include <algorithm>

#include "libdataflow/joins/join_node.hpp"
#include "libdataflow/joins/join_types.hpp"

namespace dataflow {

namespace {

using joins::left_input;
using joins::right_input;

/// The table ends, is never taken back, and does not wait for the stream, which waits for it.
bool check_table(NodeBuilder& builder) {
  const InputInfo& stream = builder.inputs()[left_input];
  const InputInfo& table = builder.inputs()[right_input];
  bool good = joins::check_append_only(builder, right_input, "the table of a lookup");
  if (!table.bounded) {
    builder.error("table", "\"" + table.name + "\" never ends: the table of a lookup is read whole first",
                  "a join with as_of = true takes a table that changes");
    good = false;
  }
  for (const std::string& source : table.sources) {
    if (std::find(stream.sources.begin(), stream.sources.end(), source) == stream.sources.end()) continue;
    builder.error("table",
                  "\"" + table.name + "\" and the input both come from \"" + source +
                      "\", which cannot give the table whole before it gives the input",
                  "declare a second source for the table");
    return false;
  }
  return good;
}

void build_lookup(NodeBuilder& builder) {
  const bool table = check_table(builder);
  auto plan = joins::read_join(builder, false);
  if (!table || !plan) return;
  const InputInfo& stream = builder.inputs()[left_input];
  StreamNode& node = builder.node();
  node.stateful = true;
  node.details = builder.settings().text("kind") + " on " + builder.settings().text("on");
  joins::put_projections_before(builder, *plan);
  builder.broadcast(right_input);
  plan->spec.event_time = stream.event_time;
  node.outputs = {{.name = "",
                   .schema = plan->spec.output,
                   .event_time = stream.event_time,
                   .changelog = stream.changelog == ChangelogMode::append_only ? ChangelogMode::append_only
                                                                               : ChangelogMode::retract}};
  joins::declare_pair_errors(builder);
  node.factory = joins::make_lookup({std::move(plan->spec)});
}

}  // namespace

NodeType lookup_type() {
  return {.name = "lookup",
          .role = NodeRole::transform,
          .summary = "Rows with their match in a table that is read whole first; the input waits until it is.",
          .options = {{.name = "table",
                       .kind = OptionKind::text_list,
                       .help = "A node, or several with equal schemas, whose sources end.",
                       .example = "\"customers\"",
                       .required = true},
                      joins::on_option("\"input.customer = table.id\""),
                      {.name = "kind",
                       .kind = OptionKind::choice,
                       .help = "inner: rows that have a match; left: all rows, with NULL for the table's fields where "
                               "there is none. A row with several matches comes once with each.",
                       .example = "\"left\"",
                       .default_value = "inner",
                       .choices = {"inner", "left"}},
                      joins::fields_option("{ amount = \"amount\", name = \"table.name\" }"),
                      joins::pair_errors_option()},
          .example =
              "[operators.named]\ntype   = \"lookup\"\ninput  = \"payments\"\ntable  = \"customers\"\non     = "
              "\"payments.customer = customers.id\"\nfields = { amount = \"amount\", name = \"customers.name\" }\n",
          .build = build_lookup,
          .inputs = {"input", "table"}};
}

}  // namespace dataflow
