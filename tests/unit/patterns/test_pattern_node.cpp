// The `pattern` node of a topology: what it becomes, and what is said about mistakes.
#include <doctest/doctest.h>

#include "tests/unit/patterns/matching.hpp"

namespace dataflow {
namespace {

using pattern_tests::mistakes;
using pattern_tests::Node;

Node node(const std::string& pattern, const std::string& define = R"t(a = "v > 1", b = "v < 1")t") {
  return {.pattern = pattern, .define = define};
}

TEST_CASE("a pattern gives keys and measures, what ran out of time, and what came too late") {
  const StreamNode made = pattern_tests::node_of(node("a b"));
  CHECK(made.stateful);
  CHECK(made.details == "a b within 1ms");
  REQUIRE(made.outputs.size() == 3);
  CHECK(to_string(*made.outputs[0].schema) == "{ key string, n int64, first int64, last int64 }");
  CHECK(made.outputs[1].name == "timeout");
  CHECK(*made.outputs[1].schema == *made.outputs[0].schema);
  CHECK(made.outputs[2].name == "late");
  CHECK(*made.outputs[2].schema == *pattern_tests::input_schema());
  CHECK(made.outputs[0].changelog == ChangelogMode::append_only);
  CHECK(made.inputs[0].key_fields == std::vector<std::size_t>{0});
  Node no_key = node("a b");
  no_key.key_by = "";
  CHECK(pattern_tests::node_of(no_key).max_parallelism == 1);
}

TEST_CASE("mistakes in the pattern are told") {
  CHECK(mistakes(node("a (b")) == "this parenthesis is not closed");
  CHECK(mistakes(node("a b)")) == "unexpected \")\"");
  CHECK(mistakes(node("a bb")) == "\"bb\" is not defined | define = { bb = \"...\" }");
  CHECK(mistakes(node("a b**")) == "a second quantifier | put what the first one repeats into parentheses");
  CHECK(mistakes(node("a | | b")) == "expected a variable, found \"|\"");
  CHECK(mistakes(node("a b{3,2}")) == "the second number is less than the first");
  CHECK(mistakes(node("a b{0}")) == "no row at all is repeated");
  CHECK(mistakes(node("a b{x}")) == "expected a number, found \"x\" | {2}, {2,} or {2,4}");
  CHECK(mistakes(node("a b{1001}")) == "at most 1000 times");
  CHECK(mistakes(node("a !b+")) == "an absence is not repeated | !x says that there is no x at all");
  CHECK(mistakes(node("(a b{900}){900}")) ==
        "this pattern is too long when its {n,m} are written out | repeat a shorter part, or fewer times");
}

TEST_CASE("a pattern that can match without a row is refused, and an absence that nothing ends") {
  CHECK(mistakes(node("a* b?")) ==
        "this pattern matches without any row | at least one variable must be there without ? or *");
  for (const char* pattern : {"!a b", "a? !a b"}) {
    CAPTURE(pattern);
    CHECK(mistakes(node(pattern)) ==
          "an absence needs a row in front of it, from which on it is looked for | put a variable without ? or * in "
          "front");
  }
  CHECK(mistakes(node("a !b a?")) ==
        "nothing that must be there follows this absence, nor does the pattern end with it | put it in front of a "
        "variable without ? or *, or at the end of the whole pattern");
}

TEST_CASE("what would take unbounded memory is refused") {
  for (const char* pattern : {"a b*", "a+ b", "a b{2,}", "a !b"}) {
    CAPTURE(pattern);
    Node endless = node(pattern);
    endless.within = "";
    CHECK(mistakes(endless) ==
          "matches of this pattern may go on for ever: it needs `within` | within = \"10m\", for example");
  }
  Node previous = node("a b", R"t(a = "v > prev(v)", b = "TRUE")t");
  previous.within = "";
  CHECK(mistakes(previous) ==
        "prev needs `within`, which says how long the row before is remembered | within = \"10m\", for example");
  Node bounded = node("a b{1,5}");
  bounded.within = "";
  CHECK(mistakes(bounded) == "");
}

TEST_CASE("mistakes in definitions and measures are told where they are") {
  CHECK(mistakes(node("a", R"t(a = "w > 1")t")) == "no column \"w\" in \"rows\" | it has key, kind, v, t");
  CHECK(mistakes(node("a", R"t(a = "aa.v > 1")t")) == "the pattern has no variable \"aa\"");
  CHECK(mistakes(node("a", R"t(a = "v + 1")t")) ==
        "a definition must be a bool, this is int64 | compare it, e.g. with > 0");
  CHECK(mistakes(node("a b", R"t(a = "TRUE", b = "sum(a.v + b.v) > 1")t")) ==
        "columns of several variables in one call | a call looks at the rows of one variable, or, without its name, at "
        "all rows of the match");
  CHECK(mistakes(node("a", R"t(a = "prev(v, 0) > 1")t")) ==
        "the second argument counts rows: a whole number up to 1000");
  CHECK(mistakes(node("a", R"t(a = "sum(sum(v)) > 1")t")).find("is an aggregate") != std::string::npos);
  Node measures = node("a", R"t(a = "TRUE")t");
  measures.measures = R"t(x = "prev(v)", y = "sum(kind)", key = "a.v")t";
  CHECK(mistakes(measures) ==
        "prev is for definitions: a measure looks at the rows of the match | last(x, 1)\n"
        "sum needs a number, this is string | it is sum(x number) -> int64, decimal or float64");
  measures.measures = R"t(key = "a.v")t";
  CHECK(mistakes(measures) == "the key is a field \"key\" already");
}

TEST_CASE("a skip that would find the same match again is refused") {
  Node first = node("a b");
  first.after_match = "skip_to_first(a)";
  CHECK(mistakes(first) ==
        "every match begins with a row of \"a\": it would be found again and again | skip_to_next_row, for example");
  first.after_match = "skip_to_first(c)";
  CHECK(mistakes(first) == "\"c\" is not defined");
  first.after_match = "skip_to_frist(a)";
  CHECK(mistakes(first) ==
        "\"skip_to_frist(a)\" is no strategy | it is skip_past_last_row, skip_to_next_row, skip_to_first(x), "
        "skip_to_last(x) or no_skip");
  first.pattern = "a !b";
  first.after_match = "skip_to_last(b)";
  CHECK(mistakes(first) == "no row of a match is of \"b\"");
}

TEST_CASE("a pattern over rows that are taken back, or without event time, is refused") {
  std::string text = pattern_tests::to_toml(node("a b"));
  const auto said = [](const std::string& toml) {
    std::string all;
    for (const Diagnostic& d : parse_topology(toml, "job.toml", "/").diagnostics) all += d.message + "\n";
    return all;
  };
  std::string timeless = text;
  timeless.erase(timeless.find("event_time"), std::string{"event_time = { field = \"t\" }"}.size());
  CHECK(said(timeless) == "\"rows\" has no event time, which a pattern goes by\n");
  text.replace(text.find("input = \"rows\""), std::string{"input = \"rows\""}.size(), "input = \"newest\"");
  text += "[operators.newest]\ntype = \"distinct\"\ninput = \"rows\"\nkey_by = [\"key\"]\nkeep = \"last\"\n";
  CHECK(said(text) == "a pattern takes only rows that are never taken back; \"newest\" is a changelog (retract)\n");
}

}  // namespace
}  // namespace dataflow
