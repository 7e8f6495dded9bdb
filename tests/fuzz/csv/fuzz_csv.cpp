// Whatever bytes a CSV file holds, reading ends, and gives the same rows and errors in one window as in small batches.
// The window is a copy of exactly its size and padding, so that a read beyond them is caught.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "libdataflow/formats/record_decoder.hpp"

using namespace dataflow;

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

DecoderOptions options() {
  return {TextFormat::csv,
          {SourceField{Field{"a", TypeKind::string}}, SourceField{Field{"b", TypeKind::int64}},
           SourceField{Field{"c", TypeKind::float64}}, SourceField{Field{"d", DataType::decimal(10, 2)}},
           SourceField{Field{"e", TypeKind::timestamp}}, SourceField{Field{"f", TypeKind::boolean}}}};
}

std::string read_all(std::string_view text, std::uint32_t max_rows) {
  const std::unique_ptr<char[]> window{new char[text.size() + decode_padding]};
  std::memcpy(window.get(), text.data(), text.size());
  std::memset(window.get() + text.size(), '"', decode_padding);
  const auto decoder = make_decoder(options());
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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string text = "a,b,c,d,e,f\n";
  text.append(reinterpret_cast<const char*>(data), size);
  if (text.back() != '\n') text += '\n';
  require(read_all(text, 4096) == read_all(text, 1 + static_cast<std::uint32_t>(size % 5)));
  // And the bytes as a whole file, header and all.
  const std::string_view bytes{reinterpret_cast<const char*>(data), size};
  if (bytes.ends_with('\n')) read_all(bytes, 4096);
  return 0;
}
