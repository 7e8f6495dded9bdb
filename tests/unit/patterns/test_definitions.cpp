// What a definition may look at, and what a measure tells.
#include <doctest/doctest.h>

#include "tests/unit/patterns/matching.hpp"

namespace dataflow {
namespace {

using pattern_tests::Input;
using pattern_tests::Matching;
using pattern_tests::Node;

/// Results over rows of key "x" with these values of v, one each microsecond.
std::string over(const Node& node, const std::vector<std::optional<std::int64_t>>& values) {
  Matching matching{node};
  std::vector<Input> rows;
  for (std::size_t i = 0; i < values.size(); ++i) {
    rows.push_back({"x", std::string(1, static_cast<char>('a' + i)), values[i], static_cast<std::int64_t>(i + 1)});
  }
  matching.push(rows);
  matching.drain();
  return matching.results();
}

constexpr const char* first_to_last = R"t(rows = "first(kind) || last(kind)")t";

TEST_CASE("prev looks at the key's row in front, in the match or not") {
  const Node v_shape{.pattern = "down+ up+",
                     .define = R"t(down = "v < prev(v)", up = "v > prev(v)")t",
                     .measures = R"t(rows = "first(kind) || last(kind)", low = "last(down.v)")t"};
  CHECK(over(v_shape, {5, 4, 3, 4, 6, 6, 2, 3}) == "x be 3; x gh 2");
  // The first row has none in front of it.
  CHECK(over({.pattern = "a", .define = R"t(a = "prev(v) IS NULL")t", .measures = first_to_last}, {1, 2}) == "x aa");
  CHECK(over({.pattern = "a", .define = R"t(a = "v = prev(v, 2)")t", .measures = first_to_last}, {1, 2, 1, 2, 2}) ==
        "x cc; x dd");
}

TEST_CASE("prev forgets a row in front that is `within` or more ago") {
  Matching matching{{.pattern = "a", .define = R"t(a = "prev(v) = 1")t", .within = "10us"}};
  matching.push({{"x", "", 1, 0}, {"x", "", 2, 9}, {"y", "", 1, 20}, {"y", "", 2, 30}});
  matching.drain();
  CHECK(matching.results() == "x 1 2 2");
}

TEST_CASE("last and first look at the rows matched so far, of which the current one is the last") {
  const Node rising{.pattern = "start up+",
                    .define = R"t(start = "v > 0", up = "v > last(v, 1) AND v - first(v) < 10")t",
                    .measures = first_to_last};
  CHECK(over(rising, {1, 3, 7, 10, 11, 2}) == "x ad");
  const Node of_variable{.pattern = "a b+ c",
                         .define = R"t(a = "v = 0", b = "coalesce(v > last(b.v, 1), TRUE)", c = "v < first(b.v)")t",
                         .measures = first_to_last};
  CHECK(over(of_variable, {0, 5, 6, 4}) == "x ad");
  CHECK(over(of_variable, {0, 5, 6, 5}) == "");
}

TEST_CASE("a variable's name in front of a column means its last row") {
  const Node node{.pattern = "a x* b",
                  .define = R"t(a = "v > 100", x = "v > a.v / 2", b = "v <= a.v / 2")t",
                  .measures = R"t(high = "a.v", low = "b.v", n = "count(x.*)")t"};
  CHECK(over(node, {120, 80, 70, 60}) == "x 120 60 2");
}

TEST_CASE("a variable's own name in its definition is the current row") {
  CHECK(over({.pattern = "a b", .define = R"t(a = "a.v = 1", b = "b.v > a.v")t", .measures = first_to_last}, {1, 2}) ==
        "x ab");
}

TEST_CASE("an aggregate in a definition counts the current row") {
  // As in Flink's documentation: rows are taken as long as their mean stays below 15.
  const Node mean{.pattern = "a+ b",
                  .define = R"t(a = "avg(a.v) < 15", b = "v >= 0")t",
                  .measures = R"t(first = "first(a.kind)", last = "last(a.kind)", mean = "avg(a.v)")t"};
  CHECK(over(mean, {12, 17, 13, 16, 25, 2, 4, 10, 15, 25, 25, 30}) == "x a d 14.5; x f k 13.5");
  CHECK(over({.pattern = "a+", .define = R"t(a = "count(a.*) <= 2")t", .measures = first_to_last}, {1, 1, 1, 1, 1}) ==
        "x ab; x cd; x ee");
  CHECK(over({.pattern = "a+ b",
              .define = R"t(a = "sum(v) < 10", b = "v + sum(a.v) >= 10")t",
              .measures = R"t(total = "sum(v)")t"},
             {4, 5, 3}) == "x 12");
}

TEST_CASE("NULL is not true") {
  CHECK(over({.pattern = "a+", .define = R"t(a = "v > 0")t", .measures = first_to_last}, {1, std::nullopt, 2}) ==
        "x aa; x cc");
}

TEST_CASE("measures look at all rows, at those of a variable, and compute with what they find") {
  const Node node{.pattern = "a+ b+",
                  .define = R"t(a = "v < 10", b = "v >= 10")t",
                  .measures = R"t(n = "count()", na = "count(a.*)", sum_b = "sum(b.v)", least = "min(v)",
                      greatest_a = "max(a.v)", second = "first(v, 1)", before_last = "last(b.v, 1)",
                      many = "count(*) FILTER (WHERE v > 5)", share = "100 * sum(b.v) / sum(v)", v = "v",
                      none = "last(b.v, 7)")t"};
  Node one_line = node;
  std::erase(one_line.measures, '\n');
  CHECK(over(one_line, {3, 7, 10, 20}) == "x 4 2 30 3 7 7 10 3 75 20 NULL");
}

TEST_CASE("NULL values count for nothing in aggregates, and are found by first and last") {
  const Node node{.pattern = "a b{3}",
                  .define = R"t(a = "TRUE", b = "TRUE")t",
                  .measures = R"t(n = "count(b.v)", total = "sum(b.v)", first = "first(b.v)", last = "last(v)")t"};
  CHECK(over(node, {1, std::nullopt, 2, std::nullopt}) == "x 1 2 NULL NULL");
}

TEST_CASE("every aggregate measures what a variable matched") {
  Node node{.pattern = "a+ b",
            .define = R"t(a = "v < 10", b = "v >= 10")t",
            .measures = R"t(different = "count(DISTINCT a.v)", about = "approx_count_distinct(a.v)",
                deviation = "stddev(a.v)", variance = "variance(a.v)", half = "approx_percentile(a.v, 0.5)",
                few = "avg(a.v) FILTER (WHERE a.v < 4)", least = "min(a.kind)")t"};
  std::erase(node.measures, '\n');
  CHECK(over(node, {2, 4, 4, 4, 6, 10}) == "x 3 3 1.41421 2 4.01484 2 a");
}

TEST_CASE("a definition may look at different values and at how far they spread") {
  // Rows are taken as long as no value comes again, and as long as their spread is small.
  CHECK(over({.pattern = "a+ b",
              .define = R"t(a = "count(DISTINCT a.v) = count(a.*)", b = "TRUE")t",
              .measures = first_to_last},
             {1, 2, 3, 2, 5}) == "x ad");
  CHECK(over({.pattern = "a+ b",
              .define = R"t(a = "coalesce(stddev(a.v), 0) < 2", b = "TRUE")t",
              .measures = first_to_last},
             {1, 2, 3, 20, 5}) == "x ad");
}

TEST_CASE("conditions over text, decimals and times of earlier rows are compared as such") {
  CHECK(over({.pattern = "a b",
              .define = R"t(a = "TRUE", b = "kind > a.kind AND t > a.t AND CAST(v AS decimal(10,2)) < 2.5 * a.v")t",
              .measures = R"t(span = "epoch_ms(b.t) - epoch_ms(a.t)", later = "b.kind")t"},
             {2, 4}) == "x 0 b");
}

TEST_CASE("an overflow in a condition that looks back fails the job, or counts as false where errors are skipped") {
  Node node{.pattern = "a b", .define = R"t(a = "TRUE", b = "sum(v) > 0")t", .measures = first_to_last};
  const std::int64_t most = std::numeric_limits<std::int64_t>::max();
  {
    Matching matching{node};
    matching.push({{"x", "a", most, 1}, {"x", "b", 1, 2}});
    const Error error = matching.error_of_watermark(2);
    CHECK(error.code() == ErrorCode::arithmetic);
    CHECK(error.message().find("b: sum(v) overflows int64") != std::string::npos);
  }
  node.more = "on_error = \"skip\"";
  Matching matching{node};
  matching.push({{"x", "a", most, 1}, {"x", "b", 1, 2}, {"x", "c", 1, 3}});
  matching.drain();
  CHECK(matching.results() == "x bc");
  CHECK(matching.counted("errors") == 1);
}

TEST_CASE("a row whose condition cannot be computed is treated by on_error") {
  Node node{.pattern = "a b", .define = R"t(a = "10 / v > 1", b = "TRUE")t", .measures = first_to_last};
  node.more = "on_error = \"side_output\"";
  Matching matching{node};
  matching.push({{"x", "a", 1, 1}, {"x", "b", 0, 2}, {"x", "c", 2, 3}});
  matching.drain();
  CHECK(matching.results() == "x ac");
  CHECK(matching.out.batches[patterns::pattern_errors_output].size() == 1);
  CHECK(matching.counted("errors") == 1);
}

}  // namespace
}  // namespace dataflow
