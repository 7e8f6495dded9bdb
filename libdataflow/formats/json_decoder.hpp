#pragma once
// JSON lines: one object a line, members matched to fields by name.
//
// simdjson's first stage (Langdale and Lemire, VLDB Journal 2019) indexes the tokens of a whole block of lines at
// once and checks its UTF-8; this decoder walks that index line by line, converting the wanted members straight into
// columns and stepping over the others. A line that simdjson refuses spoils its whole block, so such a block is halved
// until the line stands alone. Knowing each line's tokens, a broken line never reaches into its neighbour.
//
// A missing member or `null` is NULL. Numbers with an integral value are read into integer fields, integers into
// float64; decimals are exact, from a number or a string. Timestamps are ISO 8601 strings, or epoch numbers where the
// schema says so. Bytes are base64, as they are written. A number, boolean, object or array in a string field is its
// JSON text, exactly as written: 1.50 stays 1.50. Any other mismatch, a repeated member, or a line that is no object is
// a malformed record. Blank lines are none.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "libdataflow/formats/record_decoder.hpp"
#include "serialization/builder.hpp"

namespace dataflow {

class JsonDecoder final : public RecordDecoder {
 public:
  explicit JsonDecoder(const DecoderOptions& options);
  ~JsonDecoder() override;

  Result<std::optional<std::size_t>> start(std::string_view window, bool last) override;
  DecodedRecords decode(std::string_view window, bool last, std::uint32_t max_rows) override;
  [[nodiscard]] const SchemaPtr& schema() const override { return schema_; }

 private:
  struct Tokens;  ///< simdjson's index of a block, with a cursor

  static constexpr std::size_t no_field = SIZE_MAX;

  /// A member name met before at this place of an object, and the field it belongs to (or no_field).
  struct Guess {
    std::string name;             ///< as it was written, `"name":`, with eight bytes of padding
    std::size_t size = SIZE_MAX;  ///< without the padding
    std::size_t field = no_field;
  };

  enum class MemberEnd { comma, brace, wrong };

  void decode_lines(std::string_view window, std::size_t first, std::size_t last, DecodedRecords& result);
  bool decode_object(Tokens& tokens);
  MemberEnd decode_member(Tokens& tokens, std::size_t place);
  MemberEnd decode_any_member(Tokens& tokens, std::size_t place);
  std::size_t search_field(std::string_view raw_name, std::size_t place);
  bool append_member(Tokens& tokens, std::size_t field);
  bool first_of_object(std::size_t field);
  bool append_plain(std::string_view token, std::size_t field);
  bool append_string(std::string_view raw, std::size_t field);
  bool append_scalar(std::string_view token, std::size_t field);
  bool append_number(std::string_view token, std::size_t field);
  bool mistake(std::string message);
  bool wrong_type(std::size_t field, std::string_view value);

  BatchPtr finish_batch();

  SchemaPtr schema_;
  std::vector<SourceField> fields_;  ///< those that are read; indices of fields below are into these
  std::vector<std::size_t> places_;  ///< for each field of the schema its index in fields_, or no_field
  std::unique_ptr<Tokens> tokens_;
  BatchBuilder rows_;
  std::vector<std::size_t> line_ends_;  ///< of the block: its newlines
  std::vector<Guess> guesses_;          ///< by place in the object
  std::vector<std::uint64_t> seen_;     ///< for each field the number of the last object that had it
  std::uint64_t objects_ = 0;
  std::string error_;  ///< why the current object is malformed
  std::string scratch_;
};

}  // namespace dataflow
