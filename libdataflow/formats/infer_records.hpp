#pragma once
// What the values of each field look like in the first records of a text: the evidence that infer.cpp judges.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "serialization/result.hpp"

namespace dataflow {

struct SeenField {
  std::string name;
  std::size_t values = 0;      ///< that are not NULL
  std::size_t integers = 0;    ///< of them in the range of int64
  std::size_t numbers = 0;     ///< of them numbers, integers included
  std::size_t booleans = 0;    ///< true or false
  std::size_t timestamps = 0;  ///< ISO 8601 with at least a date
  bool quoted_text = false;    ///< JSON said that it is text
  std::int64_t least = INT64_MAX;
  std::int64_t greatest = INT64_MIN;

  /// Takes a value's text into account.
  void see(std::string_view text);
};

struct SeenFields {
  std::vector<SeenField> fields;
  std::size_t rows = 0;
  char delimiter = ',';
};

/// Refuses what is no text: NUL bytes, and what is not UTF-8. `cut` when the last character may be incomplete. Errors:
/// malformed_data with the line.
Status check_is_text(std::string_view text, bool cut);

/// The first 1000 records of CSV with a header; the delimiter is the one of `, ; tab |` that the header has most of.
Result<SeenFields> look_at_csv(std::string_view text, bool cut);
/// The first 1000 lines that are JSON objects. Errors: malformed_data when the first is none.
Result<SeenFields> look_at_json(std::string_view text, bool cut);

}  // namespace dataflow
