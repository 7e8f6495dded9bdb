#pragma once
// Nodes that take each row's value from one of several: CASE, IF and COALESCE. Only what is chosen counts: errors of
// other branches are forgotten, and a branch that no row of the batch chose is not computed.

#include "libdataflow/expressions/node.hpp"

namespace dataflow::expr {

class CaseNode final : public Node {
 public:
  struct Branch {
    NodePtr when;
    NodePtr then;
  };
  /// All values are of `type`; `otherwise` is never null.
  CaseNode(Type type, std::vector<Branch> branches, NodePtr otherwise)
      : Node{type}, branches_{std::move(branches)}, otherwise_{std::move(otherwise)} {}
  [[nodiscard]] Vector evaluate(Frame& frame) const override;

 private:
  std::vector<Branch> branches_;
  NodePtr otherwise_;
};

/// The first argument that is not NULL.
class CoalesceNode final : public Node {
 public:
  CoalesceNode(Type type, std::vector<NodePtr> arguments) : Node{type}, arguments_{std::move(arguments)} {}
  [[nodiscard]] Vector evaluate(Frame& frame) const override;

 private:
  std::vector<NodePtr> arguments_;
};

/// Computes `value` once for several uses in `body`, which sees it through LocalNodes of the same slot.
class LetNode final : public Node {
 public:
  LetNode(NodePtr value, NodePtr body) : Node{body->type()}, value_{std::move(value)}, body_{std::move(body)} {}
  [[nodiscard]] Vector evaluate(Frame& frame) const override;

 private:
  NodePtr value_;
  NodePtr body_;
};

class LocalNode final : public Node {
 public:
  /// `slot`: the number of LetNodes around the one that is meant.
  LocalNode(Type type, std::size_t slot) : Node{type}, slot_{slot} {}
  [[nodiscard]] Vector evaluate(Frame& frame) const override { return frame.locals[slot_]; }

 private:
  std::size_t slot_;
};

}  // namespace dataflow::expr
