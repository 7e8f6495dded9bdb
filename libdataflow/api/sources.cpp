// The built-in sources as the C++ API adds them.

#include <algorithm>
#include <chrono>
#include <cmath>

#include "dataflow/nexmark.hpp"
#include "dataflow/plan.hpp"
#include "libdataflow/sources/collection_source.hpp"
#include "libdataflow/sources/file_source.hpp"
#include "libdataflow/sources/nexmark_source.hpp"

namespace dataflow {

NodeId add_collection(Plan& plan, SchemaPtr schema, std::vector<BatchPtr> batches, const Plan::Place& where) {
  std::size_t rows = 0;
  for (const BatchPtr& batch : batches) rows += batch->rows();
  SourceSpec spec;
  spec.factory = make_collection_source(std::move(batches));
  return plan.add({.type = "collection",
                   .details = std::to_string(rows) + " records",
                   .outputs = {{.name = {}, .schema = std::move(schema)}},
                   .source = std::move(spec)},
                  nullptr, where);
}

NodeId add_file_source(Plan& plan, const RecordInfo& record, std::string_view path, std::string_view format,
                       const ReadOptions& options, const Plan::Place& where) {
  FileSourceSpec file{.path = std::string{path}, .decoder = {}};
  const auto known = parse_text_format(format);
  if (known) {
    file.decoder.format = *known;
  } else {
    plan.mistake(where, known.error().message());
  }
  for (const Field& field : record.schema->fields()) file.decoder.fields.push_back({field});
  SourceSpec spec;
  spec.factory = make_file_source(std::move(file));
  spec.on_error = options.on_error;
  std::vector<StreamOutput> outputs{{.name = {}, .schema = record.schema}};
  if (options.on_error == ErrorPolicy::side_output) {
    outputs.push_back({.name = "errors", .schema = source_error_schema()});
  }
  return plan.add({.type = "file",
                   .details = std::string{path} + " (" + std::string{format} + ")",
                   .outputs = std::move(outputs),
                   .source = std::move(spec)},
                  nullptr, where);
}

namespace {

std::optional<NexmarkKind> kind_of(NexmarkStream stream) {
  switch (stream) {
    case NexmarkStream::person: return NexmarkKind::person;
    case NexmarkStream::auction: return NexmarkKind::auction;
    case NexmarkStream::bid: return NexmarkKind::bid;
    case NexmarkStream::all: break;
  }
  return std::nullopt;
}

/// How far an event may be behind the newest one before it: not as far as its group lasts. Times are whole
/// milliseconds.
Duration disorder_of(const NexmarkSettings& events) {
  if (events.out_of_order_group <= 1) return Duration{0};
  const double seconds = static_cast<double>(events.out_of_order_group) / events.events_per_second;
  constexpr double at_most = 1e12;  // of which the microseconds can be counted
  return std::chrono::milliseconds{static_cast<std::int64_t>(std::ceil(std::min(seconds * 1000, at_most)))};
}

}  // namespace

NodeId add_nexmark(Plan& plan, const NexmarkOptions& options, const Plan::Place& where) {
  NexmarkSourceSpec nexmark{.events = {.seed = options.seed,
                                       .start = options.start,
                                       .events_per_second = options.event_rate,
                                       .out_of_order_group = options.out_of_order_group},
                            .count = std::nullopt,
                            .only = kind_of(options.stream)};
  if (options.events) {
    if (*options.events < 0) plan.mistake(where, "events must not be negative");
    nexmark.count = static_cast<std::uint64_t>(std::max<std::int64_t>(0, *options.events));
  }
  const std::vector<NexmarkMistake> mistakes = mistakes_of(nexmark.events);
  for (const NexmarkMistake& mistake : mistakes) {
    plan.mistake(where, std::string{mistake.setting} + " " + mistake.message);
  }
  if (!mistakes.empty()) nexmark.events = {};  // with which the graph can be built up to its refusal
  SchemaPtr schema = nexmark_schema(nexmark.only);
  SourceSpec spec;
  spec.event_time = EventTimeSpec{*schema->find("date_time"), disorder_of(nexmark.events), std::nullopt};
  std::string details = describe_nexmark(nexmark);
  spec.factory = make_nexmark_source(std::move(nexmark));
  return plan.add({.type = "nexmark",
                   .details = std::move(details),
                   .outputs = {{.name = {}, .schema = std::move(schema), .event_time = true}},
                   .source = std::move(spec)},
                  nullptr, where);
}

}  // namespace dataflow
