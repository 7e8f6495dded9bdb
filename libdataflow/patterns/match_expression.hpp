#pragma once
// The expressions of a pattern: `define`, conditions on a row that may look at the rows matched so far, and `measures`,
// values of a whole match. What looks at several rows is taken out of the syntax tree (as aggregate.cpp does), and what
// is left is an ordinary expression over the results.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libdataflow/expressions/expression.hpp"
#include "libdataflow/patterns/program.hpp"

namespace dataflow::patterns {

/// What is kept of a row that may become part of a match: the values that some expression looks at, each once. Computed
/// once a batch, when the row arrives.
class KeptColumns {
 public:
  /// The place of the expression's value.
  std::size_t add(const Expression& expression);
  [[nodiscard]] const std::vector<Expression>& expressions() const { return expressions_; }

 private:
  std::vector<Expression> expressions_;
};

/// One look at the rows of a match: `first(a.x)`, `last(a.x, 1)`, `prev(x)`, `sum(a.x)`.
struct Term {
  enum class Kind : std::uint8_t {
    first,      ///< of the match's rows of `variables`, with `offset` of them in front
    last,       ///< with `offset` of them behind
    previous,   ///< of the key's rows, the one `offset` before the current one, in the match or not
    aggregate,  ///< `call`
  };
  Kind kind = Kind::last;
  Variables variables = ~Variables{0};
  std::uint32_t offset = 0;
  std::optional<std::size_t> column;  ///< in KeptColumns; absent for count()
  std::optional<std::size_t> filter;  ///< in KeptColumns: a bool
  std::optional<AggregateCall> call;
  DataType type;
};

/// An expression over terms, whose schema has fields "$0", "$1", ...
struct MatchExpression {
  std::vector<Term> terms;
  SchemaPtr schema;
  Expression result;
};

/// What makes a row one of a variable.
struct Definition {
  std::optional<Expression> of_row;         ///< over the input: looks at the row alone
  std::optional<MatchExpression> of_match;  ///< else; the row that is asked about is the last one of the match
};

/// Compiles the expressions of one pattern.
class MatchExpressions {
 public:
  MatchExpressions(const Schema& input, std::string_view input_name, std::vector<std::string> variables)
      : input_{input}, input_name_{input_name}, variables_{std::move(variables)} {}

  /// Errors: as Expression::compile; a variable that is unknown.
  tl::expected<Definition, ExpressionError> define(std::string_view text, Variable variable);
  /// Errors: likewise; prev.
  tl::expected<MatchExpression, ExpressionError> measure(std::string_view text);

  [[nodiscard]] const KeptColumns& kept() const { return kept_; }
  /// How many rows in front of the current one `prev` looks at, at most.
  [[nodiscard]] std::uint32_t rows_before() const { return rows_before_; }

 private:
  const Schema& input_;
  std::string input_name_;
  std::vector<std::string> variables_;
  KeptColumns kept_;
  std::uint32_t rows_before_ = 0;

  friend class TermExtraction;
};

}  // namespace dataflow::patterns
