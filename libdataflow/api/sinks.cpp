// The built-in sinks as the C++ API adds them.

#include "dataflow/plan.hpp"
#include "libdataflow/sinks/discard_sink.hpp"
#include "libdataflow/sinks/print_sink.hpp"

namespace dataflow {

namespace {

std::optional<OutputFormat> find_format(std::string_view name) {
  for (const OutputFormat format : {OutputFormat::json, OutputFormat::csv, OutputFormat::table}) {
    if (to_string(format) == name) return format;
  }
  return std::nullopt;
}

}  // namespace

NodeId add_print(Plan& plan, const StreamInfo& stream, std::string_view format, const Plan::Place& where) {
  const auto known = find_format(format);
  if (!known) plan.mistake(where, "print knows \"json\", \"csv\" and \"table\", not \"" + std::string{format} + "\"");
  auto factory = make_print_sink({.schema = stream.schema,
                                  .format = known.value_or(OutputFormat::json),
                                  .changelog = stream.changelog != ChangelogMode::append_only});
  return plan.add({.type = "print", .details = std::string{format}, .factory = std::move(factory)}, &stream, where);
}

NodeId add_discard(Plan& plan, const StreamInfo& stream, const Plan::Place& where) {
  return plan.add({.type = "discard", .factory = make_discard_sink()}, &stream, where);
}

}  // namespace dataflow
