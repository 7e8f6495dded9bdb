#pragma once
// A schema proposed from data: what `dfnode infer` prints.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libdataflow/formats/record_decoder.hpp"
#include "serialization/result.hpp"

namespace dataflow {

struct InferredSchema {
  TextFormat format = TextFormat::csv;
  char delimiter = ',';
  std::vector<SourceField> fields;  ///< in the order in which the data names them
  /// The field that most likely says when a record happened, of those that every record has.
  std::optional<std::size_t> event_time;
  std::size_t rows = 0;  ///< that were looked at
};

/// Looks at the first 1000 records of a CSV or JSON lines file (.gz and .zst too). A file whose first character is `{`
/// is JSON. Every value of a field must fit the type that is proposed; a field without values is a string. Errors:
/// not_found, io, malformed_data (no header, no object, a JSON array, no text, cut off, nothing in it) with the path.
Result<InferredSchema> infer_schema(const std::string& path);

/// The same for text that is at hand; `cut` when the last record may be incomplete.
Result<InferredSchema> infer_schema(std::string_view text, bool cut);

/// A type as a source's schema names it: `timestamp_ms`, `float64`.
std::string schema_type_name(const SourceField& field);

}  // namespace dataflow
