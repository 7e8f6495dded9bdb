#include "libdataflow/formats/lines_decoder.hpp"

#include <simdjson.h>
#include <cassert>
#include <cstring>

#include "serialization/builder.hpp"

namespace dataflow {

std::vector<SourceField> lines_fields() {
  return {SourceField{Field{"line", TypeKind::string}}};
}

LinesDecoder::LinesDecoder(const DecoderOptions& options)
    : field_{options.fields.at(0)}, schema_{schema_of(options.fields)} {
  assert(options.fields.size() == 1 && field_.field.type.is_variable_width());
}

Result<std::optional<std::size_t>> LinesDecoder::start(std::string_view window, bool last) {
  return byte_order_mark(window, last);
}

DecodedRecords LinesDecoder::decode(std::string_view window, bool, std::uint32_t max_rows) {
  DecodedRecords result;
  ColumnBuilder lines{field_.field.type};
  const bool check = field_.field.type.kind() == TypeKind::string;
  while (lines.rows() + result.malformed.size() < max_rows && lines.byte_size() < max_batch_bytes) {
    const char* const start = window.data() + result.consumed;
    const auto* const end = static_cast<const char*>(std::memchr(start, '\n', window.size() - result.consumed));
    if (end == nullptr) break;
    std::string_view line{start, static_cast<std::size_t>(end - start)};
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!check || simdjson::validate_utf8(line.data(), line.size())) {
      lines.append_text(line);
    } else {
      result.malformed.push_back(
          {result.consumed, line,
           "field \"" + field_.field.name + "\" is not valid UTF-8; declare it as bytes to read it as it is"});
    }
    result.consumed = static_cast<std::size_t>(end - window.data()) + 1;
  }
  if (const std::uint32_t rows = lines.rows(); rows > 0) {
    result.batch = std::make_shared<Batch>(schema_, rows, std::vector<ColumnPtr>{lines.finish()});
  }
  return result;
}

}  // namespace dataflow
