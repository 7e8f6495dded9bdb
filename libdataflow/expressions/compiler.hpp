#pragma once
// From checked trees to Expressions.

#include "libdataflow/expressions/cast.hpp"
#include "libdataflow/expressions/checker.hpp"

namespace dataflow {

/// Compiles one expression over one schema; used once.
class ExpressionCompiler {
 public:
  ExpressionCompiler(const Schema& input, std::string_view input_name) : checker_{input, input_name} {}

  /// Null on a mistake: then `error()` says which.
  expr::NodePtr check(const expr::Syntax& syntax) { return checker_.check(syntax); }
  [[nodiscard]] const ExpressionError& error() const { return checker_.error(); }
  /// An expression from a node that `check` made.
  Expression finish(expr::NodePtr node, std::string text);

  tl::expected<Expression, ExpressionError> compile(const expr::Syntax& syntax, std::string_view text);
  /// The same for a condition; `what` names it when it is no bool.
  tl::expected<Expression, ExpressionError> compile_condition(const expr::Syntax& syntax, std::string text,
                                                              std::string_view what);

 private:
  expr::Checker checker_;
};

namespace expr {
/// The number that a constant expression has; nothing when it is not constant or no number.
std::optional<double> constant_double(const Syntax& syntax, const Schema& input);

void add_aggregate_docs(std::vector<FunctionDoc>& docs);
}  // namespace expr

}  // namespace dataflow
