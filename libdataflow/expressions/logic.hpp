#pragma once
// Three-valued logic (SQL): AND, OR, NOT and the IS tests.

#include "libdataflow/expressions/ast.hpp"
#include "libdataflow/expressions/node.hpp"

namespace dataflow::expr {

/// AND or OR. An operand's error counts as "unknown": FALSE AND error is FALSE, TRUE OR error is TRUE, from either
/// side; what stays undecided is the error.
class LogicNode final : public Node {
 public:
  enum class Operator : std::uint8_t { conjunction, disjunction };
  LogicNode(Operator op, NodePtr left, NodePtr right)
      : Node{Kind::boolean}, op_{op}, left_{std::move(left)}, right_{std::move(right)} {}

  [[nodiscard]] Vector evaluate(Frame& frame) const override;
  [[nodiscard]] bool can_filter() const override { return left_->can_filter() && right_->can_filter(); }
  void filter(Frame& frame, RowList& rows, bool all) const override;

 private:
  Operator op_;
  NodePtr left_;
  NodePtr right_;
};

Kernel not_kernel();
/// Sees NULLs. For Truth::null the argument may be of any type, else bool.
Kernel is_kernel(Truth truth, bool negated);

}  // namespace dataflow::expr
