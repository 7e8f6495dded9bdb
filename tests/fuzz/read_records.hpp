#pragma once
// Reads any bytes as records of a text format, for the fuzzers of the decoders. The window is a copy of exactly its
// size and padding, so that a read beyond them is caught.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "libdataflow/formats/record_decoder.hpp"

namespace dataflow::fuzz {

inline void require(bool condition) {
  if (!condition) std::abort();
}

inline DecoderOptions options(TextFormat format) {
  return {format,
          {SourceField{Field{"a", TypeKind::string}}, SourceField{Field{"b", TypeKind::int64}},
           SourceField{Field{"c", TypeKind::float64}}, SourceField{Field{"d", DataType::decimal(10, 2)}},
           SourceField{Field{"e", TypeKind::timestamp}}, SourceField{Field{"f", TypeKind::boolean}}}};
}

/// Reads `text` from start to end in batches of at most `max_rows`; the rows as JSON, or why it did not start.
inline std::string read_all(TextFormat format, std::string_view text, std::uint32_t max_rows) {
  const std::unique_ptr<char[]> window{new char[text.size() + decode_padding]};
  std::memcpy(window.get(), text.data(), text.size());
  std::memset(window.get() + text.size(), '"', decode_padding);
  const auto decoder = make_decoder(options(format));
  std::string out;
  const auto started = decoder->start({window.get(), text.size()}, true);
  if (!started) return started.error().message();
  require(started->has_value());
  for (std::size_t at = **started; at < text.size();) {
    const DecodedRecords decoded = decoder->decode({window.get() + at, text.size() - at}, true, max_rows);
    require(decoded.consumed > 0 && at + decoded.consumed <= text.size());
    for (std::uint32_t row = 0; decoded.batch && row < decoded.batch->rows(); ++row) {
      append_row_json(*decoded.batch, row, out);
    }
    for (const MalformedRecord& bad : decoded.malformed) require(bad.offset + bad.raw.size() <= decoded.consumed);
    at += decoded.consumed;
  }
  return out;
}

}  // namespace dataflow::fuzz
