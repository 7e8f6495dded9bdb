#include "tests/unit/expressions/fixture.hpp"

using namespace dataflow;
using namespace dataflow::expression_tests;

namespace {

AggregateExpression aggregate(std::string_view text) {
  auto compiled = compile_aggregate(text, *fixture()->schema(), "readings");
  if (!compiled) FAIL(text << ": " << compiled.error().message);
  return std::move(*compiled);
}

std::string mistake(std::string_view text) {
  const auto compiled = compile_aggregate(text, *fixture()->schema(), "readings");
  if (compiled) return "none";
  const ExpressionError& e = compiled.error();
  return std::to_string(e.offset) + "+" + std::to_string(e.length) + ": " + e.message;
}

std::string result_type(std::string_view text) {
  return to_string(aggregate(text).calls.front().result_type);
}

}  // namespace

TEST_CASE("an aggregate expression is taken apart into calls and what is computed from their results") {
  const AggregateExpression e = aggregate("sum(n) * 2 + count() - count(*) + sum(n)");
  REQUIRE(e.calls.size() == 3);
  CHECK(e.calls[0].function == "sum");
  CHECK(e.calls[0].argument->as_field() == 1);
  CHECK(e.calls[1].function == "count");
  CHECK(!e.calls[1].argument.has_value());
  CHECK(!e.calls[2].argument.has_value());
  const SchemaPtr results = make_schema({{"$0", TypeKind::int64}, {"$1", TypeKind::int64}, {"$2", TypeKind::int64}});
  EvalContext context;
  const BatchPtr batch = testing_support::make_batch(results, {{10, 3, 1}, {nullptr, 1, 1}});
  CHECK(to_line(e.result.evaluate(*batch, context)) == "32 NULL");
}

TEST_CASE("a lone aggregate's result is its column") {
  CHECK(aggregate("max(temperature)").result.as_field() == 0);
  CHECK(aggregate("max(temperature)").calls[0].text == "max(temperature)");
}

TEST_CASE("filters, DISTINCT and parameters belong to their call") {
  const AggregateExpression e = aggregate("count(DISTINCT s) FILTER (WHERE n > 0) + approx_count_distinct(s)");
  REQUIRE(e.calls.size() == 2);
  CHECK(e.calls[0].distinct);
  CHECK(e.calls[0].filter->text() == "n > 0");
  CHECK(e.calls[0].filter->type() == TypeKind::boolean);
  CHECK(!e.calls[1].filter.has_value());
  const AggregateExpression percentile = aggregate("approx_percentile(i, 0.99)");
  CHECK(percentile.calls[0].parameters == std::vector<Value>{0.99});
  CHECK(percentile.calls[0].argument->type() == TypeKind::float64);
}

TEST_CASE("arguments are widened to what is added up, and results have their types") {
  CHECK(result_type("count()") == "int64");
  CHECK(result_type("sum(i)") == "int64");
  CHECK(aggregate("sum(i)").calls[0].argument->type() == TypeKind::int64);
  CHECK(result_type("sum(x)") == "float64");
  CHECK(result_type("sum(d)") == "decimal(18,2)");
  CHECK(result_type("avg(i)") == "float64");
  CHECK(result_type("avg(d)") == "decimal(18,6)");
  CHECK(result_type("min(i)") == "int32");
  CHECK(result_type("max(s)") == "string");
  CHECK(result_type("first(t)") == "timestamp");
  CHECK(result_type("stddev(n)") == "float64");
  CHECK(result_type("variance(d)") == "float64");
  CHECK(result_type("approx_count_distinct(y)") == "int64");
  CHECK(result_type("SUM(n + 1)") == "int64");
}

TEST_CASE("a misspelt aggregate is an unknown function, with and without arguments") {
  CHECK(mistake("summ(n)") == "0+4: no function \"summ\"");
  CHECK(mistake("cout()") == "0+4: no function \"cout\"");
  CHECK(mistake("1 + cout() * sum(n)") == "4+4: no function \"cout\"");
  CHECK(compile_aggregate("summ(n)", *fixture()->schema(), "readings").error().suggestion == "did you mean sum?");
  CHECK(compile_aggregate("cout()", *fixture()->schema(), "readings").error().suggestion == "did you mean count?");
}

TEST_CASE("aggregates that make no sense are refused") {
  CHECK(mistake("n + 1") == "0+1: column \"n\" must be inside an aggregate");
  CHECK(mistake("1") == "0+1: there is no aggregate in this expression");
  CHECK(mistake("sum(n) + n") == "9+1: column \"n\" must be inside an aggregate");
  CHECK(mistake("sum(max(n))") == "4+6: max is an aggregate: it has no value for a single row");
  CHECK(mistake("sum(s)") == "4+1: sum needs a number, this is string");
  CHECK(mistake("sum()") == "0+5: sum cannot take 0 arguments");
  CHECK(mistake("sum(*)") == "0+6: sum cannot take *");
  CHECK(mistake("sum(DISTINCT n)") == "0+15: DISTINCT is only for count");
  CHECK(mistake("count(DISTINCT)") == "14+1: expected a value, found )");
  CHECK(mistake("approx_percentile(n)") == "0+20: approx_percentile cannot take 1 arguments");
  CHECK(mistake("approx_percentile(n, 2)") == "21+1: the fraction must be a literal from 0 to 1");
  CHECK(mistake("approx_percentile(n, x)") == "21+1: the fraction must be a literal from 0 to 1");
  CHECK(mistake("max(t - t)") == "4+5: max cannot take interval");
  CHECK(mistake("sum(temprature)") == "4+10: no column \"temprature\" in \"readings\"");
  CHECK(mistake("sum(n) FILTER (WHERE n)") == "21+1: a FILTER must be a bool, this is int64");
  CHECK(mistake("sum(n) / count() || 'a'") == "0+16: || joins texts, this is int64");
}
