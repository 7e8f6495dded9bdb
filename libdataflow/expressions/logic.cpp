#include "libdataflow/expressions/logic.hpp"

#include <algorithm>
#include <iterator>

#include "libdataflow/expressions/rowwise.hpp"

namespace dataflow::expr {

namespace {

/// Whether every row is `value`, so that the other operand need not be computed.
bool decided(const Vector& vector, bool value, std::uint32_t rows) {
  if (vector.constant) return !vector.is_null_constant() && Reader<bool>{vector}[0] == value;
  if (vector.column->has_nulls() || rows == 0) return false;
  const auto bytes = vector.column->as<std::uint8_t>();
  return std::all_of(bytes.begin(), bytes.end(), [value](std::uint8_t b) { return (b != 0) == value; });
}

/// AND is computed as written; OR by De Morgan: the operand that decides is FALSE for AND and TRUE for OR.
ColumnPtr combine(const Vector& left, const Vector& right, bool deciding, std::uint32_t rows) {
  const Reader<bool> a{left};
  const Reader<bool> b{right};
  Column column;
  column.type = TypeKind::boolean;
  column.rows = rows;
  GrowingBuffer out;
  out.resize(rows);
  auto* values = out.as<std::uint8_t>();
  if (!left.column->has_nulls() && !right.column->has_nulls()) {
    const Reader<std::uint8_t> x{left};
    const Reader<std::uint8_t> y{right};
    if (deciding) {
      for (std::uint32_t i = 0; i < rows; ++i) values[i] = x[i] | y[i];
    } else {
      for (std::uint32_t i = 0; i < rows; ++i) values[i] = x[i] & y[i];
    }
  } else {
    GrowingBuffer valid = full_bitmap(rows, true);
    auto* bits = valid.as<std::uint8_t>();
    for (std::uint32_t i = 0; i < rows; ++i) {
      const bool left_null = left.is_null(i);
      const bool right_null = right.is_null(i);
      const bool known = (!left_null && a[i] == deciding) || (!right_null && b[i] == deciding);
      values[i] = known ? deciding : !deciding;
      if (!known && (left_null || right_null)) clear_bit(bits, i);
    }
    column.validity = valid.freeze();
  }
  column.values = out.freeze();
  return std::make_shared<const Column>(std::move(column));
}

}  // namespace

Vector LogicNode::evaluate(Frame& frame) const {
  const bool deciding = op_ == Operator::disjunction;
  Vector left = left_->evaluate(frame);
  if (decided(left, deciding, frame.rows)) return left;
  Vector right = right_->evaluate(frame);
  if (decided(right, deciding, frame.rows)) return right;
  const bool constant = left.constant && right.constant;
  ColumnPtr column = combine(left, right, deciding, constant ? 1 : frame.rows);
  if (constant) return {std::move(column), true, {}};
  std::vector<RowError> errors = merge_errors(std::move(left.errors), std::move(right.errors));
  std::erase_if(errors, [&](const RowError& error) { return !column->is_null(error.row); });
  return {std::move(column), false, std::move(errors)};
}

void LogicNode::filter(Frame& frame, RowList& rows, bool all) const {
  if (op_ == Operator::conjunction) {
    left_->filter(frame, rows, all);
    if (!rows.empty()) right_->filter(frame, rows, false);
    return;
  }
  RowList second = rows;
  left_->filter(frame, rows, all);
  right_->filter(frame, second, all);
  RowList either;
  either.reserve(rows.size() + second.size());
  std::set_union(rows.begin(), rows.end(), second.begin(), second.end(), std::back_inserter(either));
  rows = std::move(either);
}

Kernel not_kernel() {
  return map_rows<bool, bool>([](bool x) { return !x; });
}

Kernel is_kernel(Truth truth, bool negated) {
  return [truth, negated](KernelCall& call) {
    const Vector& argument = call.arguments[0];
    GrowingBuffer out;
    out.resize(call.rows);
    auto* values = out.as<std::uint8_t>();
    for (std::uint32_t row = 0; row < call.rows; ++row) {
      const bool null = argument.is_null(row);
      const bool is = truth == Truth::null ? null : !null && Reader<bool>{argument}[row] == (truth == Truth::is_true);
      values[row] = is != negated;
    }
    return call.finish(std::move(out), {});
  };
}

}  // namespace dataflow::expr
