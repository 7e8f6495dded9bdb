// The `window` node of a topology: what it becomes, and what is said about mistakes.
#include <doctest/doctest.h>

#include "libdataflow/topology/topology.hpp"

namespace dataflow {
namespace {

LoadedTopology load(const std::string& window, bool event_time = true) {
  const std::string text = std::string{R"([sources.readings]
type = "collection"
schema = { at = "timestamp", city = "string", temperature = "float64" }
rows = []
)"} + (event_time ? "event_time = { field = \"at\" }\n" : "") +
                           "[operators.w]\ntype = \"window\"\ninput = \"readings\"\n" + window +
                           "\n[sinks.out]\ntype = \"discard\"\ninput = \"w\"\n";
  return parse_topology(text, "job.toml", "/");
}

/// The messages of everything that is wrong, each with the text that the caret stands under.
std::string mistakes(const std::string& window, bool event_time = true) {
  std::string all;
  for (const Diagnostic& d : load(window, event_time).diagnostics) {
    if (!all.empty()) all += "\n";
    all += d.message + (d.suggestion.empty() ? "" : " | " + d.suggestion);
  }
  return all;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

const std::string daily = "window = { tumbling = \"1d\" }\n";
const std::string count = "aggregate = { n = \"count()\" }\n";

TEST_CASE("a window with keys is fed by their hash, one without runs once") {
  const auto keyed = load("key_by = [\"city\"]\n" + daily + count);
  REQUIRE(keyed.topology);
  const StreamNode& by_city = *keyed.topology->graph.find("w");
  CHECK(by_city.stateful);
  CHECK(by_city.inputs[0].partitioning == Partitioning::hash);
  CHECK(by_city.inputs[0].key_fields == std::vector<std::size_t>{1});
  CHECK(!by_city.max_parallelism);
  const auto whole = load(daily + count);
  REQUIRE(whole.topology);
  CHECK(whole.topology->graph.find("w")->max_parallelism == 1);
}

TEST_CASE("a window's outputs are its results, with event time, and the late records") {
  const auto loaded = load("key_by = [\"city\"]\n" + daily + count);
  REQUIRE(loaded.topology);
  const StreamNode& node = *loaded.topology->graph.find("w");
  REQUIRE(node.outputs.size() == 2);
  CHECK(node.outputs[0].event_time);
  CHECK(node.outputs[0].schema->size() == 4);
  CHECK(node.outputs[1].name == "late");
  CHECK(node.outputs[1].schema->size() == 3);
}

TEST_CASE("a plan shows the kind of window") {
  const auto details = [](const std::string& window) {
    const auto loaded = load("window = " + window + "\n" + count);
    REQUIRE(loaded.topology);
    return loaded.topology->graph.find("w")->details;
  };
  CHECK(details("{ tumbling = \"1d\" }") == "tumbling 1d");
  CHECK(details("{ sliding = \"5m\", every = \"1m\" }") == "sliding 5m every 1m");
  CHECK(details("{ session = \"30m\" }") == "session 30m");
  CHECK(details("{ cumulate = \"1d\", every = \"1h\" }") == "cumulate 1d every 1h");
  CHECK(details("{ count = 100 }") == "count 100");
  CHECK(details("{ global = true }") == "global");
}

TEST_CASE("a window is of exactly one kind") {
  CHECK(mistakes("window = { offset = \"1h\" }\n" + count).starts_with("a window is one of { tumbling = \"1d\" }"));
  CHECK(mistakes("window = { tumbling = \"1d\", session = \"5m\" }\n" + count)
            .starts_with("the window is both `tumbling` and `session`; a window is one of"));
  CHECK(mistakes("window = { tumbling = \"1d\", tumblin = \"5m\" }\n" + count) ==
        "unknown key \"tumblin\" in \"window\" | did you mean \"tumbling\"?");
}

TEST_CASE("a misspelt kind of window is one mistake, and the others come with it") {
  CHECK(mistakes("window = { tumbing = \"5m\" }\naggregate = { n = \"summ(temperature)\" }\n") ==
        "unknown key \"tumbing\" in \"window\" | did you mean \"tumbling\"?\n"
        "no function \"summ\" | did you mean sum?");
  CHECK(
      mistakes("window = { weekly = true }\n" + count) ==
      "unknown key \"weekly\" in \"window\" | it takes count, cumulate, every, global, offset, session, sliding, time, "
      "tumbling");
}

TEST_CASE("durations that make no sense are refused") {
  CHECK(mistakes(daily + count + "allowed_lateness = \"-1h\"\n") == "\"allowed_lateness\" must not be negative");
  CHECK(mistakes(daily + count + "early = \"-1s\"\n") == "\"early\" must be more than 0s");
  CHECK(mistakes(daily + count + "early = \"0s\"\n") == "\"early\" must be more than 0s");
  CHECK(load(daily + count + "early = \"0s\"\n").diagnostics.front().span.line == 11);
}

TEST_CASE("sizes of windows are checked") {
  CHECK(mistakes("window = { sliding = \"5m\" }\n" + count).starts_with("`every` is missing"));
  CHECK(mistakes("window = { tumbling = \"5m\", every = \"1m\" }\n" + count) ==
        "`every` belongs to sliding and cumulating windows");
  CHECK(mistakes("window = { tumbling = \"0s\" }\n" + count).starts_with("a tumbling window must be longer than zero"));
  CHECK(contains(mistakes("window = { cumulate = \"1d\", every = \"7h\" }\n" + count), "cannot grow by 7h"));
  CHECK(mistakes("window = { count = 0 }\n" + count) == "a count window needs at least one record");
  CHECK(contains(mistakes("window = { global = false }\n" + count), "`global` can only be true"));
  CHECK(contains(mistakes("window = { session = \"5m\", offset = \"1h\" }\n" + count), "`offset` moves windows"));
}

TEST_CASE("a window in event time needs an input that has it, and the message says what to do") {
  CHECK(mistakes(daily + count, false) ==
        "\"readings\" has no event time, which this window goes by | add event_time = { field = \"...\" } to the "
        "source, or time = \"processing\" to the window");
  CHECK(mistakes("window = { tumbling = \"1d\", time = \"processing\" }\n" + count, false).empty());
  CHECK(mistakes("window = { count = 2 }\n" + count, false).empty());
}

TEST_CASE("only windows in event time have lateness") {
  CHECK(mistakes(daily + count + "allowed_lateness = \"1h\"\n").empty());
  CHECK(mistakes("window = { count = 2 }\nallowed_lateness = \"1h\"\n" + count) ==
        "only windows in event time have late records");
}

TEST_CASE("unknown fields and wrong aggregates are all reported, each at its place") {
  const auto loaded = load("key_by = [\"town\"]\n" + daily +
                           "aggregate = { a = \"max(temprature)\", b = \"temperature\", c = \"sum(city)\" }\n");
  REQUIRE(loaded.diagnostics.size() == 4);
  CHECK(contains(loaded.diagnostics[0].message, "no column \"town\""));
  CHECK(loaded.diagnostics[0].span.line == 9);
  for (std::size_t i = 1; i < 4; ++i) CHECK(loaded.diagnostics[i].span.line == 11);
  CHECK(loaded.diagnostics[1].suggestion == "did you mean \"temperature\"?");
  CHECK(loaded.diagnostics[1].span.column == 24);
  CHECK(loaded.diagnostics[2].span.column > loaded.diagnostics[1].span.column);
  CHECK(loaded.diagnostics[3].span.column > loaded.diagnostics[2].span.column);
}

TEST_CASE("having is a condition over the results") {
  CHECK(mistakes(daily + count + "having = \"n > 2\"\n").empty());
  CHECK(contains(mistakes(daily + count + "having = \"n + 2\"\n"), "a condition must be bool"));
  CHECK(contains(mistakes(daily + count + "having = \"temperature > 2\"\n"), "no column \"temperature\""));
}

TEST_CASE("an aggregate that has a key's name is a mistake") {
  CHECK(contains(mistakes("key_by = [\"city\"]\n" + daily + "aggregate = { city = \"count()\" }\n"),
                 "two fields named \"city\""));
}

TEST_CASE("a window needs aggregates") {
  CHECK(contains(mistakes(daily), "aggregate"));
}

}  // namespace
}  // namespace dataflow
