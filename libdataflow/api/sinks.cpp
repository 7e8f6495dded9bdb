// The built-in sinks as the C++ API adds them.

#include "dataflow/plan.hpp"
#include "libdataflow/sinks/discard_sink.hpp"
#include "libdataflow/sinks/file_sink.hpp"
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

NodeId add_file_sink(Plan& plan, const StreamInfo& stream, std::string_view path, std::string_view format,
                     std::string_view on_existing, const Plan::Place& where) {
  FileSinkSpec spec{.folder = std::string{path}, .uid = {}, .schema = stream.schema};
  if (const auto known = find_format(format)) spec.format = *known;
  if (on_existing == "append") {
    spec.on_existing = OnExisting::append;
  } else if (on_existing == "replace") {
    spec.on_existing = OnExisting::replace;
  } else if (on_existing != "error") {
    plan.mistake(where,
                 "on_existing is \"error\", \"append\" or \"replace\", not \"" + std::string{on_existing} + "\"");
  }
  if (stream.changelog != ChangelogMode::append_only) {
    plan.mistake(where, "a file takes append-only streams, this one is " + std::string{to_string(stream.changelog)});
  }
  return plan.add({.type = "file",
                   .details = std::string{path} + " (" + std::string{format} + ")",
                   .late_factory =
                       [spec](const StreamNode& node) {
                         FileSinkSpec named = spec;
                         named.uid = node.uid;
                         return make_file_sink(std::move(named));
                       }},
                  &stream, where);
}

NodeId add_discard(Plan& plan, const StreamInfo& stream, const Plan::Place& where) {
  return plan.add({.type = "discard", .factory = make_discard_sink()}, &stream, where);
}

}  // namespace dataflow
