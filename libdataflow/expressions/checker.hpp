#pragma once
// Resolves names, finds types, inserts the widenings and makes the tree that is evaluated. The first mistake ends it.

#include <map>
#include <memory>
#include <set>
#include <string>

#include "libdataflow/expressions/ast.hpp"
#include "libdataflow/expressions/node.hpp"
#include "libdataflow/expressions/registry.hpp"
#include "serialization/schema.hpp"

namespace dataflow::expr {

class Checker {
 public:
  Checker(const Schema& input, std::string_view input_name) : input_{input}, input_name_{input_name} {}

  /// Null on a mistake: then `error()` says which.
  NodePtr check(const Syntax& syntax);
  /// As check; the result must be a bool (a bare NULL becomes one). `what` names it in the error.
  NodePtr check_condition(const Syntax& syntax, std::string_view what);

  [[nodiscard]] const ExpressionError& error() const { return *error_; }
  [[nodiscard]] const std::set<std::size_t>& fields() const { return fields_; }
  std::nullptr_t fail(Span span, std::string message, std::string suggestion = {});

 private:
  /// A node that is used several times and computed once.
  struct Shared {
    Type type;
    NodePtr value;  ///< null when copies of the node cost nothing
    std::function<NodePtr()> use;
  };

  // Names, literals and logic: checker.cpp.
  NodePtr check(const Syntax& syntax, const Literal& node);
  NodePtr check(const Syntax& syntax, const ColumnName& node);
  NodePtr check(const Syntax& syntax, const Unary& node);
  NodePtr check(const Syntax& syntax, const Binary& node);
  NodePtr check(const Syntax& syntax, const IsTest& node);
  NodePtr check(const Syntax& syntax, const Case& node);
  NodePtr check(const Syntax& syntax, const Cast& node);
  NodePtr logic(const Binary& node);
  NodePtr unknown_column(const Syntax& syntax, const std::string& name);
  Shared share(NodePtr node);
  NodePtr unshare(Shared shared, NodePtr body);

  // Operators: check_operators.cpp.
  NodePtr check(const Syntax& syntax, const Between& node);
  NodePtr check(const Syntax& syntax, const InList& node);
  NodePtr check(const Syntax& syntax, const Like& node);
  NodePtr arithmetic(Span span, BinaryOperator op, NodePtr left, NodePtr right);
  NodePtr time_arithmetic(Span span, BinaryOperator op, NodePtr left, NodePtr right);
  NodePtr concatenation(const Binary& node, NodePtr left, NodePtr right);
  NodePtr comparison(Span span, BinaryOperator op, NodePtr left, Span left_span, NodePtr right, Span right_span);
  NodePtr distinct(Span span, BinaryOperator op, NodePtr left, Span left_span, NodePtr right, Span right_span);
  NodePtr ordered(BinaryOperator op, NodePtr left, NodePtr right);
  NodePtr any_of(Span span, Shared& operand, Span operand_span, std::vector<NodePtr> list, std::span<const Span> spans);
  /// Gives all nodes one type; `what` completes "... have the types int64 and string".
  std::optional<Type> unify(std::span<NodePtr> nodes, std::span<const Span> spans, Span span, std::string_view what);

  // Calls: check_calls.cpp.
  NodePtr check(const Syntax& syntax, const Call& node);
  NodePtr special_call(const Syntax& syntax, const Call& node, const Function& function);
  NodePtr if_call(const Syntax& syntax, const Call& node);
  NodePtr nullif_call(const Syntax& syntax, const Call& node);
  NodePtr coalesce_call(const Syntax& syntax, const Call& node);
  NodePtr bind(const Syntax& syntax, const Call& node, const Function& function, const Overload& overload,
               std::vector<NodePtr> arguments);
  void note_repeated(CallNode& call);
  NodePtr widen(NodePtr node, Span span, Accepts accepts);
  NodePtr unknown_function(const Call& node);
  NodePtr wrong_arguments(const Call& node, const Function& function, std::span<const NodePtr> arguments);
  bool check_all(std::span<const SyntaxPtr> syntax, std::vector<NodePtr>& nodes);

  const Schema& input_;
  std::string input_name_;
  std::set<std::size_t> fields_;
  std::map<std::string, std::shared_ptr<Repeated>> repeated_;  ///< calls by identity
  std::size_t lets_ = 0;                                       ///< LetNodes around the node that is being checked
  std::optional<ExpressionError> error_;
};

/// A call node, folded when all its arguments are constant.
NodePtr make_call(Type type, std::vector<NodePtr> arguments, Kernel kernel, Nulls nulls = Nulls::strict);
NodePtr make_call(Type type, NodePtr argument, Kernel kernel, Nulls nulls = Nulls::strict);
NodePtr make_call(Type type, NodePtr left, NodePtr right, Kernel kernel, Nulls nulls = Nulls::strict);
/// A node for a call of `function` that computes it at once with a call among its arguments, cheaper than one after the
/// other; null when there is none, and then the arguments are untouched.
NodePtr fused_call(const Function& function, std::vector<NodePtr>& arguments);
/// AND or OR of two bool nodes; a constant operand is simplified away where it can be.
NodePtr make_logic(BinaryOperator op, NodePtr left, NodePtr right);

/// Whether a function is computed over many rows: those are not in the registry (see aggregate.cpp).
bool is_aggregate(std::string_view name);
/// Names of all aggregates, lower case.
const std::vector<std::string>& aggregate_names();
/// What is said of a call of a function that does not exist, with the nearest function or aggregate.
ExpressionError no_such_function(const Name& name);

}  // namespace dataflow::expr
