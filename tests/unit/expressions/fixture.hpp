#pragma once
// The batch that the tables of cases are evaluated over, and results in one line: `evaluated("i + 1")` is
// "2 -1 NULL !".

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

#include "libdataflow/expressions/expression.hpp"
#include "tests/support/batches.hpp"

namespace dataflow::expression_tests {

/// Row 0: ordinary values; 1: negative, FALSE, not ASCII; 2: NULLs; 3: the largest, zero and empty.
inline const BatchPtr& fixture() {
  using testing_support::make_batch;
  static const SchemaPtr schema = make_schema({{"i", TypeKind::int32},
                                               {"n", TypeKind::int64},
                                               {"x", TypeKind::float64},
                                               {"d", DataType::decimal(8, 2)},
                                               {"b", TypeKind::boolean},
                                               {"s", TypeKind::string},
                                               {"t", TypeKind::timestamp},
                                               {"y", TypeKind::bytes},
                                               {"count", TypeKind::int64},
                                               {"end", TypeKind::int64},
                                               {"temperature", TypeKind::float64},
                                               {"Mixed", TypeKind::int64},
                                               {"twin", TypeKind::int64},
                                               {"TWIN", TypeKind::int64},
                                               {"left.id", TypeKind::int64}});
  static const BatchPtr batch = make_batch(
      schema, {{1, 10, 1.5, 1234, true, "stream", parse_iso8601("2010-07-01T13:45:30.123456Z").value(), "ab", 1, 5,
                20.5, 7, 1, 2, 3},
               {-2, -3, -2.25, -50, false, "Zürich", parse_iso8601("1969-12-31T23:59:59Z").value(), "\xff", 2, 6, 25.5,
                8, 1, 2, 3},
               {nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, 3, 7, 26.0, 9, 1, 2, 3},
               {2147483647, INT64_MAX, 0.0, 99999999, true, "", parse_iso8601("2012-02-29T00:00:00Z").value(), "", 4, 8,
                25.0, 10, 1, 2, 3}});
  return batch;
}

inline std::string to_line(const EvalResult& result) {
  std::string line;
  std::size_t error = 0;
  for (std::uint32_t row = 0; row < result.column->rows; ++row) {
    if (row != 0) line += ' ';
    if (error < result.errors.size() && result.errors[error].row == row) {
      CHECK(result.column->is_null(row));
      line += '!';
      ++error;
    } else if (result.column->is_null(row)) {
      line += "NULL";
    } else {
      append_json(result.column->type, result.column->value(row), line);
    }
  }
  CHECK(error == result.errors.size());
  return line;
}

/// The values of all rows; `!` is a row error. A mistake is `offset+length: message (suggestion)`.
inline std::string evaluated(std::string_view text) {
  const auto expression = Expression::compile(text, *fixture()->schema(), "readings");
  if (!expression) {
    const ExpressionError& e = expression.error();
    std::string line = std::to_string(e.offset) + "+" + std::to_string(e.length) + ": " + e.message;
    return e.suggestion.empty() ? line : line + " (" + e.suggestion + ")";
  }
  EvalContext context;
  context.processing_time = parse_iso8601("2020-01-01T00:00:00Z").value();
  return to_line(expression->evaluate(*fixture(), context));
}

/// The message of row `row`, or "no error".
inline std::string row_error(std::string_view text, std::uint32_t row) {
  const auto expression = Expression::compile(text, *fixture()->schema());
  REQUIRE(expression.has_value());
  EvalContext context;
  for (const RowError& error : expression->evaluate(*fixture(), context).errors) {
    if (error.row == row) return error.message;
  }
  return "no error";
}

inline std::string type_of(std::string_view text) {
  const auto expression = Expression::compile(text, *fixture()->schema());
  return expression ? to_string(expression->type()) : expression.error().message;
}

struct Example {
  const char* text;
  const char* expected;
};

/// Checks each of a table of cases.
inline void check_all(const std::vector<Example>& cases) {
  for (const auto& [text, expected] : cases) {
    CAPTURE(text);
    CHECK(evaluated(text) == expected);
  }
}

}  // namespace dataflow::expression_tests
