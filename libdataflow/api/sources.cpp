// The built-in sources as the C++ API adds them.

#include "dataflow/plan.hpp"
#include "libdataflow/sources/collection_source.hpp"
#include "libdataflow/sources/file_source.hpp"

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

}  // namespace dataflow
