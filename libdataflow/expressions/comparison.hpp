#pragma once
// Comparisons: kernels over columns, and the filter that walks one column against one value.

#include "libdataflow/expressions/ast.hpp"
#include "libdataflow/expressions/node.hpp"

namespace dataflow::expr {

/// Both arguments of `kind`; decimals of one scale.
Kernel comparison_kernel(BinaryOperator op, Kind kind);
/// Decimals (or int64, scale 0) of different scales; exact.
Kernel decimal_comparison_kernel(BinaryOperator op, std::uint8_t left_scale, std::uint8_t right_scale);
/// IS [NOT] DISTINCT FROM over arguments of one type; sees NULLs.
Kernel distinct_kernel(Kind kind, bool negated);

/// a < b is b > a.
BinaryOperator mirrored(BinaryOperator op);

/// A column compared with a constant, both of `kind`: what most filters are.
class FieldComparisonNode final : public Node {
 public:
  /// `value` is not NULL.
  FieldComparisonNode(BinaryOperator op, Kind kind, std::size_t field, Vector value)
      : Node{Kind::boolean},
        op_{op},
        kind_{kind},
        field_{field},
        value_{std::move(value)},
        kernel_{comparison_kernel(op, kind)} {}

  [[nodiscard]] Vector evaluate(Frame& frame) const override;
  [[nodiscard]] bool can_filter() const override { return true; }
  void filter(Frame& frame, RowList& rows, bool all) const override;

 private:
  BinaryOperator op_;
  Kind kind_;
  std::size_t field_;
  Vector value_;
  Kernel kernel_;
};

}  // namespace dataflow::expr
