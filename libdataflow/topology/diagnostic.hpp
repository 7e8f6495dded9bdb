#pragma once
// Mistakes in a topology file, each with the place it was made, shown the way rustc does: the line, a caret under
// what is wrong, and beside it how to mend it.

#include <string>
#include <string_view>
#include <vector>

#include "libdataflow/topology/node_type.hpp"

namespace dataflow {

enum class Severity : std::uint8_t { error, warning };

std::string_view to_string(Severity severity);

struct Diagnostic {
  Severity severity = Severity::error;
  std::string message;
  std::string file;         ///< as the user named it, or "--set" for a value from the command line
  FileSpan span;            ///< line 0: the file as a whole
  std::string source_line;  ///< the text of that line, without its end; of a very long one the part around the place
  std::string suggestion;   ///< `did you mean "temperature"?`, or empty
  std::uint32_t source_column = 1;  ///< where source_line begins in the line
};

/// Several lines, ended by a newline:
///
///     error: no column "temprature" in "readings"
///       --> topology.toml:18:10
///        |
///     18 | where = "temprature > 25"
///        |          ^^^^^^^^^^ did you mean "temperature"?
std::string render(const Diagnostic& diagnostic);

/// A JSON array with an object for each: severity, message, file, line, column, length, suggestion.
std::string to_json(const std::vector<Diagnostic>& diagnostics);

[[nodiscard]] bool has_errors(const std::vector<Diagnostic>& diagnostics);

}  // namespace dataflow
