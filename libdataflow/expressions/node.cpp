#include "libdataflow/expressions/node.hpp"

#include <cassert>

namespace dataflow::expr {

void Node::filter(Frame&, RowList&, bool) const {
  assert(false && "can_filter() is false");
}

ColumnPtr KernelCall::finish(GrowingBuffer values, Buffer valid_rows) const {
  Column column;
  column.type = storage_type(type);
  column.rows = rows;
  column.values = values.freeze();
  column.validity = std::move(valid_rows);
  return std::make_shared<const Column>(std::move(column));
}

Vector FieldNode::evaluate(Frame& frame) const {
  assert(frame.batch != nullptr && index_ < frame.batch->columns().size());
  const ColumnPtr& column = frame.batch->columns()[index_];
  assert(column->type == storage_type(type()));
  return {column, false, {}};
}

bool FieldNode::append_identity(std::string& out) const {
  out += '#' + std::to_string(index_);
  return true;
}

bool ConstantNode::append_identity(std::string& out) const {
  const Value value = value_.column->value(0);
  out += to_string(type());
  if (const auto* text = std::get_if<std::string>(&value)) {
    out += std::to_string(text->size()) + ':' + *text;
  } else if (const auto* number = std::get_if<std::int64_t>(&value)) {
    out += '=' + std::to_string(*number);
  } else {
    return false;
  }
  return true;
}

/// A function's result depends on nothing else, its overload is known by the types of its arguments.
bool CallNode::append_identity(std::string& out) const {
  if (function_.empty()) return false;
  out += function_ + '(';
  for (const NodePtr& argument : arguments_) {
    if (!argument->append_identity(out)) return false;
    out += ',';
  }
  out += ')';
  return true;
}

Vector CallNode::evaluate(Frame& frame) const {
  if (!repeated_ || repeated_->uses < 2) return compute(frame);
  if (frame.repeated.size() <= repeated_->slot) frame.repeated.resize(repeated_->slot + 1);
  if (frame.repeated[repeated_->slot]) return *frame.repeated[repeated_->slot];
  Vector value = compute(frame);
  if (frame.wanted.empty()) frame.repeated[repeated_->slot] = value;  // else rows are missing that others may want
  return value;
}

Vector CallNode::compute(Frame& frame) const {
  std::vector<Vector> arguments;
  arguments.reserve(arguments_.size());
  bool constant = true;
  bool null = false;
  std::vector<RowError> errors;
  for (const NodePtr& node : arguments_) {
    arguments.push_back(node->evaluate(frame));
    Vector& argument = arguments.back();
    constant = constant && argument.constant;
    null = null || argument.is_null_constant();
    errors = merge_errors(std::move(errors), std::move(argument.errors));
  }
  const std::uint32_t rows = constant ? 1 : frame.rows;
  if (null && nulls_ == Nulls::strict) {
    if (errors.empty()) return {null_column(type(), 1), true, {}};
    return {null_column(type(), frame.rows), false, std::move(errors)};
  }
  KernelCall call{arguments, rows, type(), {}, frame.context, {}};
  if (nulls_ == Nulls::strict) {
    call.validity = combined_validity(arguments, rows);
    // What nobody wants is left out as NULLs are.
    if (!constant) call.validity = both_valid(call.validity, frame.wanted, rows);
  }
  ColumnPtr column = kernel_(call);
  assert(column->rows == rows);
  if (constant) {
    if (call.errors.empty()) return {std::move(column), true, {}};
    std::vector<RowError> everywhere;
    for (std::uint32_t row = 0; row < frame.rows; ++row) everywhere.push_back({row, call.errors.front().message});
    return {null_column(type(), frame.rows), false, std::move(everywhere)};
  }
  if (nulls_ == Nulls::seen) column = with_nulls_at(std::move(column), errors);
  column = with_nulls_at(std::move(column), call.errors);
  // Strict kernels fail only rows whose arguments are valid, so the lists have no row in common; the others may
  // compute a poisoned row in vain, and the argument's error is the cause.
  return {std::move(column), false, merge_errors(std::move(errors), std::move(call.errors))};
}

NodePtr fold(NodePtr node, bool arguments_constant) {
  if (!arguments_constant || node->constant() != nullptr) return node;
  EvalContext context;
  Frame frame{nullptr, 1, context};
  Vector value = node->evaluate(frame);
  if (!value.errors.empty()) return node;  // it may stand in a branch that is never chosen
  value.constant = true;
  const Type type = node->type();
  return std::make_unique<ConstantNode>(type, std::move(value));
}

}  // namespace dataflow::expr
