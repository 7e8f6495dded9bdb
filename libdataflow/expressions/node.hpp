#pragma once
// The checked tree: each node knows its type and computes its vector for a whole batch.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libdataflow/expressions/vector.hpp"

namespace dataflow::expr {

/// What is evaluated: the batch and its context. Rows may be fewer than the batch's only for constants (one row).
struct Frame {
  const Batch* batch;  ///< null while constants are folded
  std::uint32_t rows;
  EvalContext& context;
  std::vector<Vector> locals = {};  ///< values of the LetNodes that are being evaluated, outermost first
  Buffer wanted = {};               ///< a bit for each row whose value will be used; empty: all are
  std::vector<std::optional<Vector>> repeated = {};  ///< values of calls that stand in several places: see Repeated
};

/// Calls in one expression that are the same: the first computes their value for a batch.
struct Repeated {
  std::size_t slot;      ///< in Frame::repeated
  std::size_t uses = 0;  ///< calls that there are of it
};

/// Row numbers, ascending, on the way through a filter.
using RowList = std::vector<std::uint32_t>;

class CallNode;

class Node {
 public:
  explicit Node(Type type) : type_{type} {}
  virtual ~Node() = default;
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  [[nodiscard]] Type type() const { return type_; }
  [[nodiscard]] virtual Vector evaluate(Frame& frame) const = 0;

  /// The value when it is the same for every batch.
  [[nodiscard]] virtual const Vector* constant() const { return nullptr; }
  /// The input field when the node is nothing else.
  [[nodiscard]] virtual std::optional<std::size_t> field() const { return std::nullopt; }
  /// Appends what tells the node's value from those of other nodes over the same input; false: nothing does.
  virtual bool append_identity(std::string& /*out*/) const { return false; }
  /// The call when the node is one that may become part of another: see fused_call.
  [[nodiscard]] virtual CallNode* call() { return nullptr; }

  /// Whether `filter` can be called: bool nodes that never fail and are cheap to ask row by row.
  [[nodiscard]] virtual bool can_filter() const { return false; }
  /// Keeps those of `rows` for which the node is TRUE. `all` says that `rows` is empty and stands for every row.
  virtual void filter(Frame& frame, RowList& rows, bool all) const;

 private:
  Type type_;
};

using NodePtr = std::unique_ptr<Node>;

/// A kernel's view of one evaluation: its arguments and where NULLs and errors go.
struct KernelCall {
  std::span<const Vector> arguments;
  std::uint32_t rows;  ///< 1 when all arguments are constant
  Type type;           ///< of the result
  Buffer validity;     ///< strict kernels: rows whose arguments are all valid; empty when all rows are
  EvalContext& context;
  std::vector<RowError> errors;  ///< the kernel's own, ascending

  [[nodiscard]] bool is_valid(std::size_t row) const {
    return validity.empty() || bit_at(validity.as<std::uint8_t>(), row);
  }
  /// Poisons `row`; its validity is cleared after the kernel returns.
  void fail(std::size_t row, std::string message) {
    errors.push_back({static_cast<std::uint32_t>(row), std::move(message)});
  }
  /// The result column of a fixed-width type, with `validity`.
  [[nodiscard]] ColumnPtr finish(GrowingBuffer values) const { return finish(std::move(values), validity); }
  [[nodiscard]] ColumnPtr finish(GrowingBuffer values, Buffer valid_rows) const;
};

/// Computes a column from its arguments: one call a batch. A strict kernel may leave any valid value under a row that
/// is not valid; a kernel that is not strict handles NULLs itself.
using Kernel = std::function<ColumnPtr(KernelCall&)>;

class ConstantNode final : public Node {
 public:
  ConstantNode(Type type, Vector value) : Node{type}, value_{std::move(value)} {}
  ConstantNode(Type type, const Value& value) : Node{type}, value_{constant_vector(type, value)} {}
  [[nodiscard]] Vector evaluate(Frame&) const override { return value_; }
  [[nodiscard]] const Vector* constant() const override { return &value_; }
  bool append_identity(std::string& out) const override;

 private:
  Vector value_;
};

class FieldNode final : public Node {
 public:
  FieldNode(Type type, std::size_t index) : Node{type}, index_{index} {}
  [[nodiscard]] Vector evaluate(Frame& frame) const override;
  [[nodiscard]] std::optional<std::size_t> field() const override { return index_; }
  bool append_identity(std::string& out) const override;

 private:
  std::size_t index_;
};

/// now(): one value for every row of a batch.
class NowNode final : public Node {
 public:
  NowNode() : Node{Kind::timestamp} {}
  [[nodiscard]] Vector evaluate(Frame& frame) const override {
    return constant_vector(Kind::timestamp, frame.context.processing_time.micros);
  }
};

/// How a call treats NULL arguments.
enum class Nulls : std::uint8_t {
  strict,  ///< NULL in, NULL out, without asking the kernel
  seen,    ///< the kernel sees them
};

/// A kernel over its arguments. Errors of arguments poison the row in both cases.
class CallNode final : public Node {
 public:
  CallNode(Type type, std::vector<NodePtr> arguments, Kernel kernel, Nulls nulls = Nulls::strict)
      : Node{type}, arguments_{std::move(arguments)}, kernel_{std::move(kernel)}, nulls_{nulls} {}
  [[nodiscard]] Vector evaluate(Frame& frame) const override;
  [[nodiscard]] CallNode* call() override { return this; }
  bool append_identity(std::string& out) const override;

  /// The function as the registry has it; empty for what is no call of one.
  [[nodiscard]] std::string_view function() const { return function_; }
  void set_function(std::string_view name) { function_ = name; }
  [[nodiscard]] std::vector<NodePtr>& arguments() { return arguments_; }
  /// `same`: of the calls that have this one's identity.
  void set_repeated(std::shared_ptr<const Repeated> same) { repeated_ = std::move(same); }

 private:
  [[nodiscard]] Vector compute(Frame& frame) const;

  std::vector<NodePtr> arguments_;
  Kernel kernel_;
  Nulls nulls_;
  std::string function_;
  std::shared_ptr<const Repeated> repeated_;
};

/// `node`, or its value when all it depends on is constant and it computes without an error.
NodePtr fold(NodePtr node, bool arguments_constant);

}  // namespace dataflow::expr
