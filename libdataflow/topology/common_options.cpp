// The keys that every node of a role takes beside its type's own.

#include "libdataflow/topology/node_type.hpp"

namespace dataflow {

namespace {

Option parallelism_option() {
  return {.name = "parallelism",
          .kind = OptionKind::integer,
          .help = "Number of subtasks; default: the job's.",
          .example = "4"};
}

Option uid_option() {
  return {.name = "uid", .help = "The identity of the node's state; default: its name.", .example = "\"daily-v1\""};
}

Option input_option() {
  return {.name = "input",
          .kind = OptionKind::text_list,
          .help = "A node, a side output as NODE.OUTPUT, or several with equal schemas: their union.",
          .example = "\"readings\"",
          .required = true};
}

Option event_time_option() {
  return {.name = "event_time",
          .kind = OptionKind::table,
          .help = "Where the records' time is and how far out of order they come.",
          .example = "{ field = \"date\", out_of_orderness = \"1h\" }",
          .nested = {{.name = "field", .help = "A timestamp field of the schema.", .example = "\"date\""},
                     {.name = "expression",
                      .kind = OptionKind::expression,
                      .help = "Instead of a field: a timestamp computed from the schema's fields.",
                      .example = "\"CAST(split_part(line, ' ', 1) AS timestamp)\""},
                     {.name = "out_of_orderness",
                      .kind = OptionKind::duration,
                      .help = "How much older than the newest record seen a record may be and not be late.",
                      .example = "\"1h\"",
                      .default_value = "0s"},
                     {.name = "idle_after",
                      .kind = OptionKind::duration,
                      .help = "A split silent for so long holds no window back.",
                      .example = "\"30s\""}}};
}

std::vector<Option> source_options() {
  return {{.name = "schema",
           .kind = OptionKind::text_table,
           .help = "Names and types of the fields: bool int32 int64 float64 decimal(p,s) string bytes timestamp; an "
                   "integer epoch is timestamp_s, timestamp_ms or timestamp_us.",
           .example = "{ date = \"timestamp\", temperature = \"float64\" }"},
          event_time_option(),
          {.name = "on_error",
           .kind = OptionKind::choice,
           .help = "What happens to a record that does not decode: the job fails, it is skipped and counted, or it "
                   "goes to NODE.errors (raw bytes, error string, position string). With fail, a field that nothing "
                   "reads is not decoded, so that what is wrong in it is not noticed; skip and side_output decode all.",
           .example = "\"skip\"",
           .default_value = "fail",
           .choices = {"fail", "skip", "side_output"}},
          {.name = "rate_limit",
           .kind = OptionKind::number,
           .help = "The most records a second, over all subtasks.",
           .example = "5000"},
          parallelism_option(),
          uid_option()};
}

}  // namespace

const std::vector<Option>& common_options(NodeRole role) {
  static const std::vector<Option> of_sources = source_options();
  static const std::vector<Option> of_others = {input_option(), parallelism_option(), uid_option()};
  return role == NodeRole::source ? of_sources : of_others;
}

std::vector<Option> common_options_of(const NodeType& type) {
  std::vector<Option> options = common_options(type.role);
  if (!type.has_common_input()) std::erase_if(options, [](const Option& option) { return option.name == "input"; });
  return options;
}

}  // namespace dataflow
