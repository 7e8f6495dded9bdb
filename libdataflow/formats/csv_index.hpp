#pragma once
// The first half of reading CSV: where every field of a block of rows ends.
//
// Idea (Langdale and Lemire, "Parsing Gigabytes of JSON per Second", VLDB Journal 2019): compare 64 bytes at a time
// with the few structural characters, and walk the set bits of the masks instead of the bytes. Blocks without a
// quote, which is nearly all, take their delimiters and newlines as they are; in the others each quote is looked at.
//
// Quoting: a field is quoted when its first byte is a quote; every further quote in it toggles, so that a doubled
// quote is inside again. Delimiters and newlines count outside of quotes only. A quote in the middle of a field that
// does not begin with one is an ordinary byte.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace dataflow {

/// A row whose number of fields is not the header's.
struct RaggedRow {
  std::size_t start = 0;
  std::size_t end = 0;  ///< its newline
  std::size_t fields = 0;
};

class CsvIndex {
 public:
  explicit CsvIndex(char delimiter) : delimiter_{delimiter} {}

  /// Indexes whole rows of `fields` fields from the start of `window` until `max_rows` rows or, after at least one,
  /// `max_bytes` bytes. Reads up to decode_padding bytes behind the window.
  void build(std::string_view window, std::size_t fields, std::size_t max_rows, std::size_t max_bytes);

  /// Rows with the right number of fields.
  [[nodiscard]] std::size_t rows() const { return rows_; }
  [[nodiscard]] const std::vector<RaggedRow>& ragged() const { return ragged_; }
  /// Bytes of whole rows and blank lines.
  [[nodiscard]] std::size_t consumed() const { return consumed_; }
  /// Whether a quote opened a field anywhere in the block.
  [[nodiscard]] bool quotes() const { return quotes_; }
  [[nodiscard]] std::uint32_t row_start(std::size_t row) const { return row_starts_[row]; }
  /// Position of the newline that ends the row.
  [[nodiscard]] std::uint32_t row_end(std::size_t row) const { return ends_[row * fields_ + fields_ - 1]; }
  [[nodiscard]] std::size_t fields() const { return fields_; }
  /// Where fields end, row by row: one past the last byte, a carriage return before the newline included.
  [[nodiscard]] const std::uint32_t* ends() const { return ends_.data(); }

 private:
  void find_ends(std::string_view window, std::size_t max_rows, std::size_t max_bytes);
  std::uint64_t outside_quotes(const char* block, std::size_t base, std::uint64_t separators, std::uint64_t quotes);
  bool group_regular(const char* data, std::size_t max_rows);
  void group_ragged(const char* data, std::size_t max_rows);

  char delimiter_;
  std::size_t fields_ = 0;
  std::size_t rows_ = 0;
  std::size_t newlines_ = 0;  ///< row ends among the found ends
  std::size_t found_ = 0;     ///< used entries of ends_
  std::size_t consumed_ = 0;
  bool quotes_ = false;
  bool inside_ = false;        ///< scanning: between an opening quote and its closing one
  bool quoted_field_ = false;  ///< scanning: the current field began with a quote
  std::vector<std::uint32_t> ends_;
  std::vector<std::uint32_t> row_starts_;
  std::vector<RaggedRow> ragged_;
};

}  // namespace dataflow
