#pragma once
// Text in, rows out as JSON lines: what the decoder tests compare.

#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "libdataflow/formats/record_decoder.hpp"

namespace dataflow::testing {

struct Decoded {
  std::string rows;                 ///< JSON lines
  std::vector<std::string> errors;  ///< "RAW: WHY"
  std::string failure;              ///< of the start
};

inline SourceField field(std::string name, DataType type, TimestampEncoding encoding = TimestampEncoding::iso8601) {
  return SourceField{Field{std::move(name), std::move(type)}, encoding};
}

/// Decodes all of `text` in calls of at most `max_rows` rows.
inline Decoded decode_all(const DecoderOptions& options, std::string_view text, std::uint32_t max_rows = 4096) {
  std::string padded{text};
  if (!padded.empty() && padded.back() != '\n') padded += '\n';
  const std::size_t size = padded.size();
  padded.append(decode_padding, '"');
  const auto decoder = make_decoder(options);
  Decoded result;
  const auto started = decoder->start({padded.data(), size}, true);
  if (!started) {
    result.failure = started.error().message();
    return result;
  }
  for (std::size_t at = started->value(); at < size;) {
    const DecodedRecords decoded = decoder->decode({padded.data() + at, size - at}, true, max_rows);
    if (decoded.consumed == 0) {
      result.failure = "stuck at byte " + std::to_string(at);
      return result;
    }
    for (std::uint32_t row = 0; decoded.batch && row < decoded.batch->rows(); ++row) {
      append_row_json(*decoded.batch, row, result.rows);
      result.rows += '\n';
    }
    for (const MalformedRecord& bad : decoded.malformed) {
      result.errors.push_back(std::string{bad.raw} + ": " + bad.error);
    }
    at += decoded.consumed;
  }
  return result;
}

}  // namespace dataflow::testing
