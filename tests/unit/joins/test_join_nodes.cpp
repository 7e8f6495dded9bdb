// The `join` and `lookup` nodes of a topology: what they become, and what is said about mistakes.
#include "tests/support/joining.hpp"

namespace dataflow {
namespace {

using testing_support::JoinBench;
using testing_support::load_join;

const std::string left_fields = "id = \"int64\", name = \"string\", v = \"int32\", at = \"timestamp\"";
const std::string right_fields = "id = \"int64\", city = \"string\", w = \"float64\", at = \"timestamp\"";
const std::string join = "type = \"join\"\nleft = \"l\"\nright = \"r\"\n";

std::string mistakes(const std::string& node, const std::string& left = left_fields,
                     const std::string& right = right_fields) {
  std::string all;
  for (const Diagnostic& d : load_join(node, left, right).diagnostics) {
    if (d.severity == Severity::warning) continue;
    if (!all.empty()) all += "\n";
    all += d.message + (d.suggestion.empty() ? "" : " | " + d.suggestion);
  }
  return all;
}

std::string fields_of(const JoinBench& bench) {
  return to_string(*bench.node().outputs[0].schema);
}

TEST_CASE("names are of a side, of its node, or of the only side that has them") {
  for (const std::string on :
       {"left.id = right.id", "l.id = r.id", "right.id = left.id", "l.id = right.id AND name = city"}) {
    CAPTURE(on);
    CHECK(mistakes(join + "on = \"" + on + "\"\nfields = { n = \"name\", c = \"right.city\" }") == "");
  }
}

TEST_CASE("without fields the result has all of both sides, or of the left alone") {
  const std::string other = "key = \"int64\", city = \"string\"";
  CHECK(fields_of({"on = \"id = key\"", "id = \"int64\", v = \"int32\"", other}) ==
        "{ id int64, v int32, key int64, city string }");
  CHECK(fields_of({"on = \"id = key\"\nkind = \"semi\"", "id = \"int64\", v = \"int32\"", other}) ==
        "{ id int64, v int32 }");
  CHECK(fields_of({"on = \"id = key\"\nwindow = { tumbling = \"1m\" }\nfields = { s = \"window_start\", k = \"key\" }",
                   "id = \"int64\", at = \"timestamp\"", "key = \"int64\", at = \"timestamp\""}) ==
        "{ s timestamp, k int64 }");
}

TEST_CASE("fields of the same name have to be chosen") {
  CHECK(mistakes(join + "on = \"left.id = right.id\"") ==
        "the result would have two fields called \"id\", \"at\" | choose and name them, e.g. fields = { id = "
        "\"left.id\" }");
}

TEST_CASE("each side goes to the subtask of its own keys") {
  const JoinBench bench{"on = \"r.city = l.name AND left.id = right.id\"\nfields = { v = \"v\" }", left_fields,
                        right_fields};
  CHECK(bench.node().inputs[0].key_fields == std::vector<std::size_t>{1, 0});
  CHECK(bench.node().inputs[1].key_fields == std::vector<std::size_t>{1, 0});
  CHECK(bench.node().inputs[0].input == 0);
  CHECK(bench.node().inputs[1].input == 1);
  CHECK(bench.node().stateful);
}

TEST_CASE("keys that are no field are computed before the rows are sent") {
  const auto loaded =
      load_join(join + "on = \"left.v + 1 = right.id AND lower(name) = city\"\nfields = { w = \"w\", n = \"name\" }",
                left_fields, right_fields);
  REQUIRE(loaded.topology);
  const StreamNode* before = loaded.topology->graph.find("x.left");
  REQUIRE(before != nullptr);
  CHECK(before->details == "left.v + 1, lower(name)");
  CHECK(to_string(*before->outputs[0].schema) == "{ name string, left.v + 1 int64, lower(name) string }");
  const StreamNode& node = *loaded.topology->graph.find("x");
  CHECK(node.inputs[1].key_fields == std::vector<std::size_t>{1, 2});
  CHECK(loaded.topology->graph.find("x.right") == nullptr);
}

TEST_CASE("an int32 and an int64 are made equal, other types are refused") {
  CHECK(mistakes(join + "on = \"v = right.id\"\nfields = { n = \"name\" }") == "");
  CHECK(mistakes(join + "on = \"left.id = w\"\nfields = { n = \"name\" }") ==
        "left.id is int64 and w is float64: rows are found by equal bytes, so the types must be equal | CAST one of "
        "them");
}

TEST_CASE("a join needs an equality between its sides") {
  const std::string needs =
      "a join needs an equality between the two sides to find rows by | for example left.id = right.id";
  for (const std::string on : {"left.id < right.id", "left.id = 4", "name = name", "left.id = right.id OR v = 1"}) {
    CAPTURE(on);
    CHECK(mistakes(join + "on = \"" + on + "\"\nfields = { n = \"name\" }") == needs);
  }
}

TEST_CASE("what bounds a join in time is checked") {
  const std::string on = join + "on = \"left.id = right.id\"\nfields = { n = \"name\" }\n";
  const std::string timeless = "id = \"int64\", name = \"string\"";
  CHECK(mistakes(on + "window = { tumbling = \"1m\" }", timeless) ==
        "\"l\" has no event time, which a window join goes by | add event_time = { field = \"...\" } to its source");
  CHECK(mistakes(on + "between = [\"0s\", \"1m\"]", left_fields, timeless)
            .find("\"r\" has no event time, which an interval join goes by") == 0);
  CHECK(mistakes(on + "as_of = true", timeless).find("\"l\" has no event time") == 0);
  CHECK(mistakes(on + "between = [\"0s\"]").find("an interval has two bounds") == 0);
  CHECK(mistakes(on + "between = [\"1m\", \"0s\"]").find("the first bound is after the last one") == 0);
  CHECK(mistakes(on + "between = [\"soon\", \"0s\"]") != "");
  CHECK(mistakes(on + "between = [\"0s\", \"nam\"]").find("no column \"nam\" in \"l\" or \"r\"") == 0);
  CHECK(mistakes(on + "between = [\"0s\", \"name\"]").find("the last time of the right row is a duration") == 0);
  CHECK(mistakes(on + "between = [\"id\", \"1m\"]") != "");
  const std::string meet = on + "between = [\"0s\", \"1m\"]\n";
  CHECK(mistakes(meet + "best = \"right.id\"") ==
        "\"right.id\" is not a field with ASC or DESC | best = \"price DESC\"");
  CHECK(mistakes(meet + "best = \"left.id DESC\"")
            .find("pairs are compared by an int64 or timestamp field of the right") == 0);
  CHECK(mistakes(meet + "kind = \"left\"\nbest = \"right.id DESC\"") ==
        "only the pairs of an inner join with `between` are compared with one another");
  CHECK(mistakes(on + "as_of = true\nbest = \"right.id DESC\"") ==
        "only the pairs of an inner join with `between` are compared with one another");
  CHECK(mistakes(on + "as_of = true\nkind = \"full\"").find("a join as of a time gives left rows with their version") ==
        0);
  CHECK(mistakes(on + "window = { count = 100 }") ==
        "rows can be joined in tumbling, sliding, cumulating and session windows");
  CHECK(mistakes(on + "window = { tumbling = \"1m\" }\nbetween = [\"0s\", \"1m\"]") ==
        "a join has one of `window`, `between` and `as_of`; this one has `window` already");
  CHECK(mistakes(on + "between = [\"0s\", \"1m\"]\nttl = \"1m\"")
            .find("rows of a join with `between` go when time has passed them") == 0);
}

TEST_CASE("names are looked up on the side they are of") {
  CHECK(mistakes(join + "on = \"left.idd = right.id\"\nfields = { n = \"name\" }") ==
        "no column \"idd\" in \"l\" | did you mean \"left.id\"?");
  CHECK(mistakes(join + "on = \"left.id = right.id\"\nfields = { n = \"id\", m = \"nam\" }") ==
        "both sides have a column \"id\" | write left.id or right.id\n"
        "no column \"nam\" in \"l\" or \"r\" | did you mean \"name\"?");
  CHECK(mistakes(join + "on = \"left.id = right.id\"\nkind = \"anti\"\nfields = { c = \"city\" }")
            .find("an anti join gives rows of the left: \"city\" is the right's") == 0);
}

TEST_CASE("the table of a lookup ends, and does not come from where the input comes from") {
  const std::string lookup =
      "type = \"lookup\"\ninput = \"l\"\non = \"input.id = table.id\"\nfields = { n = \"name\" }\n";
  CHECK(mistakes(lookup + "table = \"r\"") == "");
  CHECK(mistakes(lookup + "table = \"l\"").find("\"l\" and the input both come from \"l\"") != std::string::npos);
  CHECK(mistakes(lookup + "table = \"g\"\n[sources.g]\ntype = \"generate\"\nfields = { id = \"seq()\" }\n")
            .find("\"g\" never ends: the table of a lookup is read whole first") == 0);
}

}  // namespace
}  // namespace dataflow
