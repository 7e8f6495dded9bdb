#include "tests/unit/expressions/fixture.hpp"

using namespace dataflow;
using namespace dataflow::expression_tests;

namespace {

struct Selection {
  std::vector<std::uint32_t> rows;
  std::vector<std::uint32_t> error_rows;
  bool operator==(const Selection&) const = default;
};

Selection selected(std::string_view text, std::vector<std::uint32_t> before = {}) {
  const auto expression = Expression::compile(text, *fixture()->schema());
  REQUIRE(expression.has_value());
  EvalContext context;
  std::vector<RowError> errors;
  Selection result{std::move(before), {}};
  expression->select(*fixture(), context, result.rows, errors);
  for (const RowError& error : errors) result.error_rows.push_back(error.row);
  return result;
}

Expression compiled(std::string_view text) {
  auto expression = Expression::compile(text, *fixture()->schema());
  REQUIRE(expression.has_value());
  return *expression;
}

using Rows = std::vector<std::uint32_t>;

}  // namespace

TEST_CASE("select keeps the rows that are TRUE, and reports the ones that cannot be computed") {
  CHECK(selected("temperature > 25") == Selection{{1, 2}, {}});
  CHECK(selected("25 < temperature") == Selection{{1, 2}, {}});
  CHECK(selected("i > 0") == Selection{{0, 3}, {}});
  CHECK(selected("s = 'stream'") == Selection{{0}, {}});
  CHECK(selected("temperature > 25 AND i < 0") == Selection{{1}, {}});
  CHECK(selected("temperature > 25 OR i > 0") == Selection{{0, 1, 2, 3}, {}});
  CHECK(selected("temperature > 25 AND (i < 0 OR count = 3)") == Selection{{1, 2}, {}});
  CHECK(selected("count < 0 AND i > 0") == Selection{{}, {}});
  CHECK(selected("i IS NULL") == Selection{{2}, {}});
  CHECK(selected("b") == Selection{{0, 3}, {}});
  CHECK(selected("NOT b") == Selection{{1}, {}});
  CHECK(selected("TRUE") == Selection{{0, 1, 2, 3}, {}});
  CHECK(selected("FALSE") == Selection{{}, {}});
  CHECK(selected("CAST(NULL AS bool)") == Selection{{}, {}});
  CHECK(selected("n + 1 > 0") == Selection{{0}, {3}});
  CHECK(selected("1 / 0 = 1") == Selection{{}, {0, 1, 2, 3}});
  CHECK(selected("i BETWEEN 0 AND 5") == Selection{{0}, {}});
}

TEST_CASE("select appends to what is there") {
  CHECK(selected("i > 0", {9}) == Selection{{9, 0, 3}, {}});
  CHECK(selected("b", {9}) == Selection{{9, 0, 3}, {}});
}

TEST_CASE("a column's name gives the column itself") {
  const Expression expression = compiled("temperature");
  CHECK(expression.as_field() == 10);
  EvalContext context;
  CHECK(expression.evaluate(*fixture(), context).column == fixture()->columns()[10]);
  CHECK(compiled("temperature + 0").as_field() == std::nullopt);
}

TEST_CASE("an expression knows its type, its text and the fields it reads") {
  const Expression expression = compiled("n > 1 AND (i = 2 OR i = 3)");
  CHECK(expression.type() == TypeKind::boolean);
  CHECK(expression.text() == "n > 1 AND (i = 2 OR i = 3)");
  CHECK(expression.fields_used() == std::vector<std::size_t>{0, 1});
  CHECK(compiled("1 + 1").fields_used().empty());
}

TEST_CASE("an empty batch gives an empty column") {
  const BatchPtr empty = BatchBuilder{fixture()->schema()}.finish();
  EvalContext context;
  for (const char* text : {"i + 1", "n * n", "s || 'a'", "b AND i > 0", "CASE WHEN b THEN s ELSE 'x' END", "5", "d / 3",
                           "coalesce(i, 1)", "1 / 0", "x > 1", "now()", "hash(i, s)", "greatest(s, 'a')"}) {
    CAPTURE(text);
    const EvalResult result = compiled(text).evaluate(*empty, context);
    CHECK(result.column->rows == 0);
    CHECK(result.errors.empty());
  }
  std::vector<std::uint32_t> rows;
  std::vector<RowError> errors;
  compiled("i > 0 OR b").select(*empty, context, rows, errors);
  compiled("i > 0").select(*empty, context, rows, errors);
  CHECK(rows.empty());
}

TEST_CASE("values under NULLs are never taken for data") {
  // Both columns have 0 under the NULL; a division must not fail there, nor an overflow be seen.
  const SchemaPtr schema = make_schema({{"a", TypeKind::int64}, {"b", TypeKind::int64}});
  const BatchPtr batch = testing_support::make_batch(schema, {{nullptr, 0}, {INT64_MAX, nullptr}, {6, 3}});
  EvalContext context;
  CHECK(to_line(Expression::compile("a / b", *schema)->evaluate(*batch, context)) == "NULL NULL 2");
  CHECK(to_line(Expression::compile("a * 2 / b", *schema)->evaluate(*batch, context)) == "NULL ! 4");
}
