#include "libdataflow/sources/decoder_settings.hpp"

#include "libdataflow/formats/lines_decoder.hpp"

namespace dataflow {

namespace {

/// The record reader's first buffer: a record that fits into it is never found to be too long.
constexpr std::uint64_t least_max_record_size = 256ULL << 10;

}  // namespace

std::vector<Option> decoder_options() {
  return {
      {.name = "format",
       .kind = OptionKind::choice,
       .help = "csv: with a header, columns matched by name; json: one object a line; lines: each line a string in "
               "the field \"line\".",
       .example = "\"csv\"",
       .required = true,
       .choices = {"csv", "json", "lines"}},
      {.name = "delimiter",
       .help = "The character between the fields of CSV; \"\\t\" for tabs.",
       .example = "\";\"",
       .default_value = ","},
      {.name = "max_record_size",
       .kind = OptionKind::size,
       .help = "A record that is longer does not decode (see on_error), and the rest of its line is skipped; at least "
               "256KiB, the size in which files are read.",
       .example = "\"256MiB\"",
       .default_value = "64MiB"}};
}

std::optional<DecoderOptions> read_decoder_options(NodeBuilder& builder) {
  const Settings& settings = builder.settings();
  const Result<TextFormat> format = parse_text_format(settings.text("format"));
  if (!format) {
    builder.error("format", format.error().message());
    return std::nullopt;
  }
  DecoderOptions options;
  options.format = *format;
  options.fields = builder.source_schema();
  bool good = true;
  const std::string delimiter = settings.text("delimiter");
  if (delimiter.size() != 1 || delimiter == "\"" || delimiter == "\n" || delimiter == "\r") {
    builder.error("delimiter", "the delimiter must be one ASCII character other than a quote or a line end");
    good = false;
  } else {
    options.delimiter = delimiter[0];
  }
  const std::uint64_t most = settings.size("max_record_size");
  if (most < least_max_record_size || most > (1ULL << 30)) {
    builder.error("max_record_size",
                  "must be between 256KiB and 1GiB: files are read in pieces of 256KiB, and no shorter record would be "
                  "refused");
    good = false;
  }
  if (*format == TextFormat::lines) {
    if (options.fields.empty()) options.fields = lines_fields();
    if (options.fields.size() != 1 || !options.fields[0].field.type.is_variable_width()) {
      builder.error("schema", "the format \"lines\" has one field, a string or bytes",
                    "schema = { line = \"string\" }");
      good = false;
    }
  } else if (options.fields.empty()) {
    builder.error("format", "a source of " + std::string{to_string(*format)} + " needs a schema",
                  "`dfnode infer DATA` prints one to paste");
    good = false;
  }
  for (const SourceField& field : options.fields) {
    if (!field.field.type.is_nested()) continue;
    builder.error("schema." + field.field.name, to_string(field.field.type) + " cannot be read yet",
                  "as a string it is read as its JSON text");
    good = false;
  }
  if (!good) return std::nullopt;
  return options;
}

void set_source(NodeBuilder& builder, SchemaPtr schema, SourceFactoryPtr factory) {
  StreamNode& node = builder.node();
  node.outputs = {{.name = {}, .schema = std::move(schema)}};
  node.source.emplace();
  node.source->factory = std::move(factory);
}

}  // namespace dataflow
