#include "libdataflow/formats/record_decoder.hpp"

#include "libdataflow/formats/csv_decoder.hpp"
#include "libdataflow/formats/json_decoder.hpp"
#include "libdataflow/formats/lines_decoder.hpp"

namespace dataflow {

std::string_view to_string(TextFormat format) {
  switch (format) {
    case TextFormat::csv: return "csv";
    case TextFormat::json: return "json";
    case TextFormat::lines: return "lines";
  }
  return "?";
}

Result<TextFormat> parse_text_format(std::string_view name) {
  for (const TextFormat format : {TextFormat::csv, TextFormat::json, TextFormat::lines}) {
    if (name == to_string(format)) return format;
  }
  return fail(ErrorCode::invalid_argument, "unknown format \"" + std::string{name} + "\": csv, json or lines");
}

std::unique_ptr<RecordDecoder> make_decoder(const DecoderOptions& options) {
  switch (options.format) {
    case TextFormat::csv: return std::make_unique<CsvDecoder>(options);
    case TextFormat::json: return std::make_unique<JsonDecoder>(options);
    case TextFormat::lines: return std::make_unique<LinesDecoder>(options);
  }
  return nullptr;
}

SchemaPtr schema_of(const std::vector<SourceField>& fields) {
  std::vector<Field> plain;
  plain.reserve(fields.size());
  for (const SourceField& f : fields) plain.push_back(f.field);
  return make_schema(std::move(plain));
}

std::optional<std::size_t> byte_order_mark(std::string_view window, bool last) {
  constexpr std::string_view mark = "\xEF\xBB\xBF";
  if (window.starts_with(mark)) return mark.size();
  // A shorter window may still become a mark.
  if (!last && window.size() < mark.size() && mark.starts_with(window)) return std::nullopt;
  return 0;
}

std::string excerpt(std::string_view text) {
  constexpr std::size_t most = 40;
  if (text.size() <= most) return std::string{text};
  std::size_t end = most;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return std::string{text.substr(0, end)} + "...";
}

std::string describe_bad_value(const SourceField& field, std::string_view text) {
  std::string message = "field \"" + field.field.name + "\": \"" + excerpt(text) + "\" is not ";
  if (field.field.type.kind() != TypeKind::timestamp) {
    const std::string type = to_string(field.field.type);
    return message + (type.starts_with("int") || type.starts_with("array") ? "an " : "a ") + type;
  }
  switch (field.timestamp_encoding) {
    case TimestampEncoding::iso8601: return message + "a timestamp such as 2010-01-01T01:00:00";
    case TimestampEncoding::epoch_s: return message + "a timestamp in whole seconds since 1970";
    case TimestampEncoding::epoch_ms: return message + "a timestamp in whole milliseconds since 1970";
    case TimestampEncoding::epoch_us: return message + "a timestamp in whole microseconds since 1970";
  }
  return message;
}

}  // namespace dataflow
