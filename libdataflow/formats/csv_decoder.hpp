#pragma once
// CSV as RFC 4180 has it, column by column: CsvIndex finds where the fields of a block of rows end, then each wanted
// column is converted in one loop over the rows; columns that nobody reads are never looked at.
//
// The header is matched by name. An empty field is NULL; a quoted empty one is an empty string for string and bytes,
// NULL for other types. Bytes are the field's bytes as they are. A blank line is no record (with a single column it
// is a NULL). Lines end with LF or CRLF. A row with another number of fields than the header, text behind a closing
// quote, invalid UTF-8 in a string, or a value that is none of its type makes that record malformed.

#include <string>
#include <string_view>
#include <vector>

#include "libdataflow/formats/csv_index.hpp"
#include "libdataflow/formats/record_decoder.hpp"

namespace dataflow {

class CsvDecoder final : public RecordDecoder {
 public:
  explicit CsvDecoder(const DecoderOptions& options);

  Result<std::optional<std::size_t>> start(std::string_view window, bool last) override;
  DecodedRecords decode(std::string_view window, bool last, std::uint32_t max_rows) override;
  [[nodiscard]] const SchemaPtr& schema() const override { return schema_; }
  [[nodiscard]] bool records_span_lines() const override { return true; }

  /// The header's names, after `start`.
  [[nodiscard]] const std::vector<std::string>& header() const { return header_; }

 private:
  struct BadRow {
    std::uint32_t row;
    std::string error;
  };

  Status match_header();
  ColumnPtr convert(std::string_view window, std::size_t field);
  template <class T, class Parse>
  ColumnPtr convert_fixed(std::string_view window, std::size_t field, Parse parse);
  ColumnPtr convert_text(std::string_view window, std::size_t field);
  void check_utf8(const Column& column, std::size_t field);
  template <class Take>
  void for_each_field(std::string_view window, std::size_t column, Take take) const;
  bool unquote(std::string_view& text);
  void bad_quotes(std::size_t row, std::size_t field);
  void drop_bad_rows(std::string_view window, DecodedRecords& result);

  DecoderOptions options_;
  SchemaPtr schema_;
  std::size_t max_block_bytes_;
  std::vector<std::string> header_;
  std::vector<std::size_t> columns_;  ///< of each field in the header
  CsvIndex index_;
  std::vector<BadRow> bad_rows_;  ///< of the block being converted
  std::string scratch_;           ///< a field without its doubled quotes, and padding
};

}  // namespace dataflow
