#pragma once
// The SQL scalar expressions of a topology file and of `where("...")` in C++: text is checked against a schema
// once and becomes loops over whole columns. The rules are SQL's (precedence, three-valued logic).
//
// Idea: every node of the checked tree computes one column per batch (MonetDB/X100, CIDR 2005). A row that cannot
// be computed (overflow, division by zero, a failed cast) is poisoned: it is NULL in the result and listed as an
// error, and CASE, IF, COALESCE, AND and OR forget errors of what they did not choose.
//
// Types: int32 -> int64 -> decimal -> float64 widen implicitly. An integer literal is int64; one with a point and at
// most 18 digits is decimal, with more digits or an exponent float64. Integer division truncates toward zero, as do
// casts to integers. A decimal product has the sum of the scales, a quotient the scale max(left's, 6), rounded half
// away from zero; decimals beyond 18 digits are row errors. A string literal beside a timestamp is read as one.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

#include "serialization/batch.hpp"
#include "serialization/value.hpp"

namespace dataflow {

/// A mistake in an expression's text: `length` bytes at `offset`, a message, and how to mend it, or empty:
/// `no column "temprature" in "readings"`, `did you mean "temperature"?`.
struct ExpressionError {
  std::size_t offset = 0;
  std::size_t length = 0;
  std::string message;
  std::string suggestion;
};

/// One row that could not be computed: overflow, division by zero, a failed cast.
struct RowError {
  std::uint32_t row = 0;
  std::string message;
};

/// What an evaluation needs beside its batch. One per thread; may be reused for any batch and expression.
struct EvalContext {
  Timestamp processing_time;                ///< what now() returns for every row
  std::vector<std::uint32_t> scratch_rows;  ///< between calls of no meaning; kept to save allocations
};

struct EvalResult {
  ColumnPtr column;              ///< as many rows as the batch, of the expression's type
  std::vector<RowError> errors;  ///< rows in ascending order, one error a row; their value in `column` is NULL
};

/// A compiled expression: immutable, cheap to copy, may be evaluated by several threads at once.
///
///     auto hot = Expression::compile("temperature > 25 AND city IS NOT NULL", *batch->schema());
///     EvalContext context;
///     std::vector<std::uint32_t> rows;
///     std::vector<RowError> errors;
///     hot->select(*batch, context, rows, errors);
class Expression {
 public:
  /// Parses, checks and compiles `text` over the fields of `input`. `input_name` names the input in messages.
  /// Errors: the first mistake, with its place in `text`.
  static tl::expected<Expression, ExpressionError> compile(std::string_view text, const Schema& input,
                                                           std::string_view input_name = {});

  [[nodiscard]] const DataType& type() const;
  [[nodiscard]] const std::string& text() const;
  /// Indices of the input fields that are read, ascending.
  [[nodiscard]] std::vector<std::size_t> fields_used() const;
  /// The field's index when the whole expression is one column's name: evaluate then returns that column itself.
  [[nodiscard]] std::optional<std::size_t> as_field() const;

  /// The value for every row. `batch` must have the schema of compile (asserted where a field is read).
  [[nodiscard]] EvalResult evaluate(const Batch& batch, EvalContext& context) const;

  /// For a bool expression (asserted): appends the rows for which it is TRUE to `selected`, ascending; NULL, FALSE
  /// and errors are left out, and the errors appended to `errors`.
  void select(const Batch& batch, EvalContext& context, std::vector<std::uint32_t>& selected,
              std::vector<RowError>& errors) const;

 private:
  friend class ExpressionCompiler;
  struct Impl;
  explicit Expression(std::shared_ptr<const Impl> impl) : impl_{std::move(impl)} {}
  std::shared_ptr<const Impl> impl_;
};

/// One call such as `sum(x) FILTER (WHERE y > 0)`: checked here, computed by the window operators.
/// The argument is already widened to what the function adds up: sum, avg: int64, decimal or float64; stddev,
/// variance, approx_percentile: float64; the others: any type.
struct AggregateCall {
  std::string function;   ///< count sum min max avg stddev variance first last approx_count_distinct approx_percentile
  bool distinct = false;  ///< only with count(DISTINCT x)
  std::optional<Expression> argument;  ///< absent for count() and count(*)
  std::vector<Value> parameters;       ///< constants after the argument: the double 0.99 of approx_percentile(x, 0.99)
  std::optional<Expression> filter;    ///< a bool expression; only rows for which it is TRUE count
  DataType result_type;
  std::string text;  ///< the call as written, for plans
};

/// Arithmetic over aggregate calls, e.g. `sum(a) / count()`.
struct AggregateExpression {
  std::vector<AggregateCall> calls;  ///< each different call once
  Expression result;                 ///< over a schema of the calls' results: fields "$0", "$1", ...
};

/// Parses and checks an aggregate expression over the rows of `input`. Errors: as Expression::compile; also a column
/// outside of an aggregate, an aggregate inside of one, and an expression without any.
tl::expected<AggregateExpression, ExpressionError> compile_aggregate(std::string_view text, const Schema& input,
                                                                     std::string_view input_name = {});

/// What the reference pages and `dfnode docs` say about a function.
struct FunctionDoc {
  std::string name;
  std::string group;                    ///< "math", "text", ..., "aggregate"
  std::vector<std::string> signatures;  ///< `substring(s string, start int64[, count int64]) -> string`
  std::string help;
  std::string example;  ///< `substring('stream', 2, 3) = 'tre'`
};

/// Every function, aggregates included, by group and name.
std::vector<FunctionDoc> function_docs();

}  // namespace dataflow
