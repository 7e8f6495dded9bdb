#pragma once
// Text formats turned into batches: the interface of the CSV, JSON and lines decoders.
//
// A decoder is handed a window of bytes that begins at a record and says how many of them it has turned into
// rows; the caller keeps the rest, appends to it and calls again (sources/record_reader.hpp). So a decoder holds
// no half record between calls, and the same bytes give the same rows however they were cut into chunks.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libdataflow/sources/source.hpp"
#include "serialization/batch.hpp"
#include "serialization/result.hpp"

namespace dataflow {

enum class TextFormat : std::uint8_t {
  csv,    ///< RFC 4180 with a header, columns matched by name
  json,   ///< one object a line
  lines,  ///< one string a line
};

std::string_view to_string(TextFormat format);
/// Errors: invalid_argument with the known names.
Result<TextFormat> parse_text_format(std::string_view name);

/// How bytes become rows. A schema's field names must be unique; nested types cannot be read yet.
struct DecoderOptions {
  TextFormat format = TextFormat::csv;
  std::vector<SourceField> fields;  ///< what to produce, in this order; other columns and members are skipped
  char delimiter = ',';             ///< CSV only
  /// Which fields somebody reads, one for each; the others come as unread_column. Empty: all of them.
  std::vector<bool> read{};

  [[nodiscard]] bool reads(std::size_t field) const { return read.empty() || read[field]; }
};

/// A record that is no row: `raw` lies in the window.
struct MalformedRecord {
  std::size_t offset = 0;  ///< of its first byte in the window
  std::string_view raw;    ///< without its line end
  std::string error;
};

/// What one call came to.
struct DecodedRecords {
  std::size_t consumed = 0;                ///< bytes of whole records, blank lines and malformed records
  BatchPtr batch;                          ///< null when there was no row
  std::vector<MalformedRecord> malformed;  ///< in the order of the window
};

/// Bytes behind a window that must be readable; their content has no meaning.
inline constexpr std::size_t decode_padding = 64;

class RecordDecoder {
 public:
  virtual ~RecordDecoder() = default;
  /// Once at the start of the data: skips a byte order mark and, for CSV, reads the header. Gives the bytes it
  /// took, or nothing when the window is too short to say. Errors: malformed_data (also a column that the
  /// header lacks). Data of nothing but a mark and blank lines has no
  /// records and needs no header.
  virtual Result<std::optional<std::size_t>> start(std::string_view window, bool last) = 0;
  /// Decodes whole records from the start of `window`, at most `max_rows` of them and about a batch's bytes. With
  /// `last`, nothing follows the window, which then ends with a newline; all of it is consumed by repeated calls.
  virtual DecodedRecords decode(std::string_view window, bool last, std::uint32_t max_rows) = 0;
  [[nodiscard]] virtual const SchemaPtr& schema() const = 0;
  /// Whether a line may be the middle of a record.
  [[nodiscard]] virtual bool records_span_lines() const { return false; }
};

std::unique_ptr<RecordDecoder> make_decoder(const DecoderOptions& options);

/// The schema of decoded batches.
SchemaPtr schema_of(const std::vector<SourceField>& fields);

/// Length of a UTF-8 byte order mark at the start of `window` (0 or 3); nothing while that cannot be said.
std::optional<std::size_t> byte_order_mark(std::string_view window, bool last);

/// `field "temperature": "warm" is not a float64`, with long values cut.
std::string describe_bad_value(const SourceField& field, std::string_view text);
/// A value for a message: at most 40 bytes of it, never the middle of a UTF-8 sequence.
std::string excerpt(std::string_view text);

}  // namespace dataflow
