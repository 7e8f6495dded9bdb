// The `top` and `distinct` nodes of a topology: what they become, and what is said about mistakes.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "libdataflow/ranking/sort_key.hpp"
#include "libdataflow/topology/topology.hpp"
#include "tests/support/batches.hpp"

namespace dataflow {
namespace {

LoadedTopology load(const std::string& node, const std::string& sink = "type = \"discard\"") {
  const std::string text = std::string{R"toml([sources.bids]
type = "collection"
schema = { at = "timestamp", auction = "int64", price = "int64" }
rows = []
event_time = { field = "at" }
[operators.per_minute]
type = "window"
input = "bids"
key_by = ["auction"]
window = { tumbling = "1m" }
aggregate = { n = "count()" }
[sinks.counts]
type = "discard"
input = "per_minute"
[operators.x]
)toml"} + node + "\n[sinks.out]\ninput = \"x\"\n" +
                           sink + "\n";
  return parse_topology(text, "job.toml", "/");
}

std::string mistakes(const std::string& node, const std::string& sink = "type = \"discard\"") {
  std::string all;
  for (const Diagnostic& d : load(node, sink).diagnostics) {
    if (!all.empty()) all += "\n";
    all += d.message + (d.suggestion.empty() ? "" : " | " + d.suggestion);
  }
  return all;
}

const std::string top = "type = \"top\"\n";
const std::string bids = "input = \"bids\"\n";

TEST_CASE("a top of a window's results is append-only, of anything else a changelog") {
  const auto windowed = load(top +
                             "input = \"per_minute\"\nkey_by = [\"window_start\", \"window_end\"]\norder_by = [\"n "
                             "DESC\"]\nlimit = 3\nrank = \"place\"");
  REQUIRE(windowed.topology);
  const StreamNode& node = *windowed.topology->graph.find("x");
  CHECK(node.stateful);
  CHECK(node.details == "first 3 of each window");
  CHECK(node.outputs[0].changelog == ChangelogMode::append_only);
  CHECK(node.outputs[0].event_time);
  CHECK((*node.outputs[0].schema)[4].name == "place");
  CHECK(node.inputs[0].key_fields == std::vector<std::size_t>{1, 2});

  const auto running = load(top + bids + "order_by = \"price\"\nlimit = 1");
  REQUIRE(running.topology);
  CHECK(running.topology->graph.find("x")->outputs[0].changelog == ChangelogMode::retract);
  CHECK(running.topology->graph.find("x")->max_parallelism == 1);
}

TEST_CASE("a top with a window ranks the rows of each, which have its bounds") {
  const auto loaded =
      load(top + bids + "window = { tumbling = \"10s\" }\norder_by = \"price DESC\"\nlimit = 1\nties = true");
  REQUIRE(loaded.topology);
  const StreamNode& node = *loaded.topology->graph.find("x");
  CHECK(node.details == "first 1 with ties of each window, tumbling 10s");
  CHECK(node.outputs[0].changelog == ChangelogMode::append_only);
  CHECK((*node.outputs[0].schema)[3].name == "window_start");
  CHECK((*node.outputs[0].schema)[4].name == "window_end");
  CHECK(node.inputs[0].key_fields == std::vector<std::size_t>{4});
  REQUIRE(loaded.topology->graph.find("x.window"));

  const auto keyed =
      load(top + bids + "key_by = [\"auction\"]\nwindow = { tumbling = \"10s\" }\norder_by = \"price\"\nlimit = 2");
  REQUIRE(keyed.topology);
  CHECK(keyed.topology->graph.find("x")->inputs[0].key_fields == std::vector<std::size_t>{1, 4});
}

TEST_CASE("a top says which windows and ties it does not have") {
  const std::string first = "order_by = [\"price\"]\nlimit = 1\n";
  CHECK(mistakes(top + bids + first + "ties = true") ==
        "a changelog would take any number of rows back for one that is before them: `ties` is for windows and for "
        "mode = \"batch\" | add window = { tumbling = \"10s\" }, or a window's window_end to key_by");
  CHECK(mistakes(top + bids + first + "window = { sliding = \"10s\", every = \"2s\" }") ==
        "a row is ranked in one window: a tumbling one");
  CHECK(mistakes(top + bids + first + "window = { tumbling = \"10s\", time = \"processing\" }") ==
        "a window's first rows are known by the rows' own time only");
  CHECK(mistakes(top + bids + first + "window = { tumbling = \"10s\" }\nrank = \"window_end\"") ==
        "the input has a field \"window_end\" already");
  CHECK(mistakes(top + "input = \"per_minute\"\n" + "order_by = [\"n\"]\nlimit = 1\nwindow = { tumbling = \"10s\" }") ==
        "the input has a field \"window_start\" already");
}

TEST_CASE("all mistakes of a top are told at once") {
  CHECK(mistakes(top + bids + "key_by = [\"auctoin\"]\norder_by = [\"price DOWN\"]\nlimit = 0") ==
        "no column \"auctoin\" in \"bids\" | did you mean \"auction\"?\n"
        "\"price DOWN\" is not a field with ASC or DESC | order_by = [\"price DESC\"]\n"
        "must be at least 1");
  CHECK(mistakes(top + bids + "order_by = [\"price\"]\nlimit = 1\nrank = \"price\"") ==
        "the input has a field \"price\" already");
  CHECK(mistakes(top + bids + "order_by = [\"price\"]\nlimit = 10001\nrank = \"place\"") ==
        "with `rank` every row behind a new one changes: the limit is 10000");
}

TEST_CASE("rows that are taken back are refused where they cannot be taken back") {
  const std::string last = "type = \"distinct\"\ninput = \"bids\"\nkey_by = [\"auction\"]\nkeep = \"last\"\n";
  CHECK(mistakes(last) == "");
  CHECK(mistakes(last, "type = \"file\"\npath = \"out\"\nformat = \"json\"")
            .find("a file cannot take back a row: \"x\" is a changelog (retract)") != std::string::npos);
  CHECK(mistakes(last + "[operators.y]\ntype = \"top\"\ninput = \"x\"\norder_by = [\"price\"]\nlimit = 1\n[sinks.two]\n"
                        "type = \"discard\"\ninput = \"y\"\n")
            .find("a top takes only rows that are never taken back; \"x\" is a changelog (retract)") !=
        std::string::npos);
  CHECK(mistakes("type = \"distinct\"\ninput = \"bids\"\nkey_by = [\"auction\"]\nttl = \"0s\"") ==
        "must be more than nothing");
}

TEST_CASE("sort keys are in the order of the values") {
  const SchemaPtr schema = make_schema({{"i", TypeKind::int64}, {"x", TypeKind::float64}, {"s", TypeKind::string}});
  const auto key = [&](const testing_support::V& i, const testing_support::V& x, const testing_support::V& s,
                       bool descending) {
    const auto batch =
        testing_support::make_batch(schema, std::vector<testing_support::Row>{{i.value, x.value, s.value}});
    std::string bytes;
    append_sort_key(*batch, 0, {{0, descending}, {1, descending}, {2, descending}}, bytes);
    return bytes;
  };
  struct Values {
    testing_support::V i, x, s;
  };
  const std::vector<Values> ascending = {{nullptr, 0.0, ""},
                                         {-5, nullptr, ""},
                                         {-5, -1e300, "z"},
                                         {-5, -0.5, "z"},
                                         {-5, 0.0, nullptr},
                                         {-5, 0.0, ""},
                                         {-5, 0.0, std::string(1, '\0')},
                                         {-5, 0.0, std::string("\0a", 2)},
                                         {-5, 0.0, "a"},
                                         {-5, 0.0, "ab"},
                                         {-5, 1e-300, "a"},
                                         {-5, 2.0, "a"},
                                         {-5, std::numeric_limits<double>::infinity(), "a"},
                                         {-5, std::nan(""), ""},
                                         {0, 0.0, ""},
                                         {7, 0.0, ""}};
  for (std::size_t a = 0; a < ascending.size(); ++a) {
    for (std::size_t b = 0; b < ascending.size(); ++b) {
      CAPTURE(a);
      CAPTURE(b);
      const Values& x = ascending[a];
      const Values& y = ascending[b];
      CHECK((key(x.i, x.x, x.s, false) < key(y.i, y.x, y.s, false)) == (a < b));
      CHECK((key(x.i, x.x, x.s, true) < key(y.i, y.x, y.s, true)) == (a > b));
    }
  }
  CHECK(key(1, -0.0, "", false) == key(1, 0.0, "", false));
}

}  // namespace
}  // namespace dataflow
