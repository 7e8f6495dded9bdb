// Random expressions over random batches: the column loops against a computation row by row.

#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>

#include "libdataflow/expressions/expression.hpp"
#include "tests/property/expressions/random_expression.hpp"
#include "tests/support/seeds.hpp"

using namespace dataflow;
using namespace dataflow::expression_tests;

namespace {

bool same(const Cell& expected, const Column& column, std::size_t row, bool failed) {
  if (std::holds_alternative<Failure>(expected)) return failed && column.is_null(row);
  if (failed) return false;
  if (std::holds_alternative<Null>(expected)) return column.is_null(row);
  if (column.is_null(row)) return false;
  const Value value = column.value(row);
  if (const auto* b = std::get_if<bool>(&expected)) return value == Value{*b};
  if (const auto* n = std::get_if<std::int64_t>(&expected)) return value == Value{*n};
  const double x = std::get<double>(expected);
  const double y = std::get<double>(value);
  return x == y || (std::isnan(x) && std::isnan(y));
}

DataType type_of(Kind kind) {
  switch (kind) {
    case Kind::int32: return TypeKind::int32;
    case Kind::int64: return TypeKind::int64;
    case Kind::float64: return TypeKind::float64;
    case Kind::boolean: break;
  }
  return TypeKind::boolean;
}

std::vector<bool> failed_rows(const std::vector<RowError>& errors, std::uint32_t rows) {
  std::vector<bool> failed(rows, false);
  for (const RowError& error : errors) {
    REQUIRE(error.row < rows);
    REQUIRE(!failed[error.row]);
    failed[error.row] = true;
  }
  return failed;
}

void check_evaluation(const Expression& expression, const Tree& tree, const Batch& batch) {
  EvalContext context;
  const EvalResult result = expression.evaluate(batch, context);
  REQUIRE(result.column->rows == batch.rows());
  const std::vector<bool> failed = failed_rows(result.errors, batch.rows());
  for (std::uint32_t row = 0; row < batch.rows(); ++row) {
    CAPTURE(row);
    REQUIRE(same(tree.evaluate(batch, row), *result.column, row, failed[row]));
  }
}

void check_selection(const Expression& expression, const Tree& tree, const Batch& batch) {
  EvalContext context;
  std::vector<std::uint32_t> selected;
  std::vector<RowError> errors;
  expression.select(batch, context, selected, errors);
  std::vector<std::uint32_t> expected;
  std::vector<std::uint32_t> expected_errors;
  for (std::uint32_t row = 0; row < batch.rows(); ++row) {
    const Cell cell = tree.evaluate(batch, row);
    if (std::holds_alternative<bool>(cell) && std::get<bool>(cell)) expected.push_back(row);
    if (std::holds_alternative<Failure>(cell)) expected_errors.push_back(row);
  }
  std::vector<std::uint32_t> error_rows;
  for (const RowError& error : errors) error_rows.push_back(error.row);
  REQUIRE(selected == expected);
  REQUIRE(error_rows == expected_errors);
}

}  // namespace

TEST_CASE("a compiled expression computes what a reading row by row gives") {
  for (const std::uint64_t seed : testing_support::seeds(3000)) {
    testing_support::RandomBatches random{seed};
    const Kind kind = static_cast<Kind>(random.below(4));
    const TreePtr tree = random_tree(random, kind, static_cast<unsigned>(1 + random.below(4)));
    const std::string text = tree->text();
    CAPTURE(seed);
    CAPTURE(text);
    const auto expression = Expression::compile(text, *random_schema());
    if (!expression) FAIL("does not compile: " << expression.error().message << " at " << expression.error().offset);
    REQUIRE(expression->type() == type_of(tree->kind()));
    for (int i = 0; i < 3; ++i) {
      const BatchPtr batch = random_batch(random);
      check_evaluation(*expression, *tree, *batch);
      if (tree->kind() == Kind::boolean) check_selection(*expression, *tree, *batch);
    }
  }
}
