// Aggregates as they lie in a savepoint, shown as what they would give.
#include <doctest/doctest.h>

#include <string>

#include "libdataflow/windows/aggregate_json.hpp"
#include "libdataflow/windows/aggregation.hpp"
#include "tests/support/batches.hpp"

namespace dataflow::windows {
namespace {

/// What is shown of `call` over the rows (n int64, x float64, s string) (1, 0.5, "a"), (3, NULL, "b"), (5, 2.5, "a").
std::string shown(const std::string& call) {
  const SchemaPtr schema = make_schema({{"n", TypeKind::int64}, {"x", TypeKind::float64}, {"s", TypeKind::string}});
  const BatchPtr batch = testing_support::make_batch(schema, {{1, 0.5, "a"}, {3, nullptr, "b"}, {5, 2.5, "a"}});
  auto compiled = compile_aggregate(call, *schema);
  REQUIRE(compiled.has_value());
  Aggregation aggregation{{{"value", std::move(*compiled)}}};
  std::vector<std::byte> states = aggregation.initial_states();
  aggregation.load(*batch, Timestamp{});
  std::vector<std::byte*> of_rows(3, states.data());
  REQUIRE(aggregation.update({of_rows.data(), nullptr, 3, 1}).has_value());
  BatchBuilder saved{make_schema(aggregation.saved_fields())};
  ColumnBuilder* const column = &saved.column(0);
  aggregation.save(states.data(), &column);
  aggregation.release(states.data());
  saved.end_row();
  const BatchPtr row = saved.finish();
  const std::string name = aggregation.saved_fields()[0].name;
  return saved_aggregate_to_json(name, row->column(0).text(0)).value_or("nothing");
}

}  // namespace

TEST_CASE("every aggregate of a savepoint is shown as what it would give") {
  CHECK(shown("count()") == "3");
  CHECK(shown("count(*)") == "3");
  CHECK(shown("count(x)") == "2");
  CHECK(shown("COUNT(DISTINCT s)") == "2");
  CHECK(shown("sum(n)") == "9");
  CHECK(shown("sum(n * 2) FILTER (WHERE s = 'a')") == "12");
  CHECK(shown("count(if(s = 'a, (b', 1, n)) FILTER (WHERE s <> ')')") == "3");
  CHECK(shown("avg(n)") == "3.0");
  CHECK(shown("min(x)") == "0.5");
  CHECK(shown("max(s)") == "\"b\"");
  CHECK(shown("first(n)") == "1");
  CHECK(shown("last(s)") == "\"a\"");
  CHECK(shown("approx_count_distinct(s)") == "2");
  CHECK(shown("approx_percentile(n, 0.5)") != "nothing");
  CHECK(shown("variance(n)") == "4.0");
}

TEST_CASE("what is no aggregate of a savepoint is not shown") {
  CHECK_FALSE(saved_aggregate_to_json("slice_start", "abc"));
  CHECK_FALSE(saved_aggregate_to_json("agg:sum(n)", ""));
  CHECK_FALSE(saved_aggregate_to_json("agg:sum(n)", std::string("\1\1\0\0", 4)));
  CHECK_FALSE(saved_aggregate_to_json("agg:sum(n", std::string("\1\1\0\0abcdefgh", 12)));
  CHECK_FALSE(saved_aggregate_to_json("agg:nothing(n)", std::string("\1\1\0\0abcdefgh", 12)));
}

}  // namespace dataflow::windows
