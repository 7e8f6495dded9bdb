#pragma once
// Where a CSV file may be cut into splits: whether a byte is inside of quotes, for bytes that come in chunks.
// The rules are CsvIndex's; here only quotes are looked at, and the byte before each.

#include <cstddef>
#include <string_view>

namespace dataflow {

class CsvQuoteScan {
 public:
  explicit CsvQuoteScan(char delimiter) : delimiter_{delimiter} {}

  /// Runs through the next bytes.
  void pass(std::string_view bytes);
  /// Runs to the first newline outside of quotes and behind it; the bytes used, or npos when all of them were
  /// passed without one.
  std::size_t pass_to_row_end(std::string_view bytes);

  static constexpr std::size_t npos = std::string_view::npos;

 private:
  enum class Field : unsigned char {
    start,   ///< at a field's first byte
    plain,   ///< in a field that does not begin with a quote
    inside,  ///< in a quoted field, between quotes
    closed,  ///< in a quoted field, behind a closing quote
  };

  char delimiter_;
  Field field_ = Field::start;
};

}  // namespace dataflow
