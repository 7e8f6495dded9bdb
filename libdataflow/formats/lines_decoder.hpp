#pragma once
// Plain text: one line, one row, with one string (or bytes) field. A line ends with LF or CRLF.

#include "libdataflow/formats/record_decoder.hpp"

namespace dataflow {

/// What a source of lines gives when it says no schema: { line string }.
std::vector<SourceField> lines_fields();

class LinesDecoder final : public RecordDecoder {
 public:
  /// `options` has exactly one field, string or bytes (asserted).
  explicit LinesDecoder(const DecoderOptions& options);

  Result<std::optional<std::size_t>> start(std::string_view window, bool last) override;
  DecodedRecords decode(std::string_view window, bool last, std::uint32_t max_rows) override;
  [[nodiscard]] const SchemaPtr& schema() const override { return schema_; }

 private:
  SourceField field_;
  SchemaPtr schema_;
};

}  // namespace dataflow
