#include <doctest/doctest.h>

#include <memory>
#include <string>

#include "libdataflow/diagnosis/held_time.hpp"
#include "libdataflow/topology/topology.hpp"

using namespace dataflow;
using namespace std::chrono_literals;

namespace {

/// Two sources, joined by a union before a window.
JobGraph two_sources(const std::string& time_of_slow) {
  const std::string source = "type = \"generate\"\nfields = { at = \"now()\" }\n";
  const std::string text = "[sources.fast]\n" + source +
                           "event_time = { field = \"at\", out_of_orderness = \"1h\" }\n" + "[sources.slow]\n" +
                           source + "event_time = { field = \"at\"" + time_of_slow + " }\n" +
                           "[operators.daily]\ntype = \"window\"\ninput = [\"fast\", \"slow\"]\n"
                           "window = { tumbling = \"1d\" }\naggregate = { n = \"count()\" }\n"
                           "[sinks.out]\ntype = \"discard\"\ninput = \"daily\"\n";
  LoadedTopology loaded = parse_topology(text, "job.toml", ".");
  REQUIRE(loaded.topology.has_value());
  auto job = build_job_graph(std::make_shared<const StreamGraph>(std::move(loaded.topology->graph)), 1);
  REQUIRE(job.has_value());
  return std::move(*job);
}

constexpr Timestamp noon{12h};
constexpr Timestamp midnight{24h};

/// Numbers of one subtask; nodes are fast 0, slow 1, daily 2.
NodeMetrics source_at(NodeId node, Timestamp newest, Duration delay, const std::string& split) {
  NodeMetrics m;
  m.node = node;
  m.newest = newest;
  m.watermark = newest - delay - 1us;
  m.split = split;
  return m;
}
NodeMetrics source_without_records(NodeId node) {
  NodeMetrics m;
  m.node = node;
  return m;
}
NodeMetrics window_at(Timestamp watermark) {
  NodeMetrics m;
  m.node = 2;
  m.watermark = watermark;
  m.waits_for = midnight - 1us;
  return m;
}

}  // namespace

TEST_CASE("a window that waits names the source, the subtask and the split that hold its time back") {
  const JobGraph graph = two_sources("");
  const auto held =
      held_time(graph, {{0, {source_at(0, Timestamp{30h}, 1h, "f"), source_at(1, noon, 0s, "s-0")}},
                        {1, {source_at(0, Timestamp{29h}, 1h, "f"), source_at(1, Timestamp{11h}, 0s, "s-1")}},
                        {0, {window_at(Timestamp{11h} - 1us)}}});
  REQUIRE(held.size() == 1);
  CHECK(held[0].node == 2);
  CHECK(held[0].waits_for == midnight - 1us);
  CHECK(held[0].holder == 1);
  CHECK(held[0].holder_subtask == 1);
  CHECK(held[0].split == "s-1");
  CHECK(held[0].newest == Timestamp{11h});
  CHECK(held[0].advice ==
        "a record of 1970-01-02T00:00:00Z or later releases it; if none may come for long, idle_after in the source's "
        "event_time, e.g. \"30s\", lets time go on without it");
}

TEST_CASE("a source that has been given idle_after is waited for") {
  const JobGraph graph = two_sources(", idle_after = \"1m\"");
  const auto held = held_time(
      graph, {{0, {source_at(0, Timestamp{30h}, 1h, "f"), source_at(1, noon, 0s, "s")}}, {0, {window_at(noon - 1us)}}});
  REQUIRE(held.size() == 1);
  CHECK(
      held[0].advice ==
      "a record of 1970-01-02T00:00:00Z or later releases it; early in the window, e.g. \"10s\", gives results before "
      "it ends");
}

TEST_CASE("a subtask that has read all there was is no reason to go on without the others") {
  const JobGraph graph = two_sources("");
  NodeMetrics ended = source_at(0, noon, 1h, "");
  ended.watermark = Timestamp::max();
  const auto held = held_time(graph, {{0, {ended, source_at(1, noon, 0s, "s")}}, {0, {window_at(noon - 1us)}}});
  REQUIRE(held.size() == 1);
  CHECK(held[0].advice.ends_with("releases it; early in the window, e.g. \"10s\", gives results before it ends"));
}

TEST_CASE("an idle source holds nothing back") {
  const JobGraph graph = two_sources(", idle_after = \"1m\"");
  NodeMetrics idle = source_at(1, noon, 0s, "s");
  idle.idle = true;
  const auto held = held_time(
      graph, {{0, {source_at(0, Timestamp{24h + 30min}, 1h, "f"), idle}}, {0, {window_at(Timestamp{23h + 30min})}}});
  REQUIRE(held.size() == 1);
  CHECK(held[0].holder == 0);
  CHECK(held[0].advice ==
        "a record of 1970-01-02T01:00:00Z or later releases it, or an out_of_orderness of at most 30m instead of 1h");
}

TEST_CASE("a source without records is named, too") {
  const JobGraph graph = two_sources("");
  const auto held = held_time(graph, {{0, {source_at(0, Timestamp{30h}, 1h, "f"), source_without_records(1)}},
                                      {0, {window_at(Timestamp::min())}}});
  REQUIRE(held.size() == 1);
  CHECK(held[0].holder == 1);
  CHECK(held[0].newest == Timestamp::min());
  CHECK(held[0].advice.starts_with("it has read no record yet; idle_after"));
}

TEST_CASE("what has fired, and what waits for nothing, is not listed") {
  const JobGraph graph = two_sources("");
  CHECK(held_time(graph, {{0, {source_at(0, Timestamp{30h}, 1h, "f"), window_at(midnight)}}}).empty());
  NodeMetrics empty = window_at(noon);
  empty.waits_for = Timestamp::max();
  CHECK(held_time(graph, {{0, {source_at(0, noon, 1h, "f"), empty}}}).empty());
}

TEST_CASE("a join whose sides do not keep pace names the slower one") {
  const std::string source =
      "type = \"generate\"\nfields = { at = \"now()\", k = \"seq()\" }\nevent_time = { field = \"at\" }\n";
  LoadedTopology loaded =
      parse_topology("[sources.fast]\n" + source + "[sources.slow]\n" + source +
                         "[operators.both]\ntype = \"join\"\nleft = \"fast\"\nright = \"slow\"\n"
                         "on = \"fast.k = slow.k\"\nwindow = { tumbling = \"1d\" }\n"
                         "fields = { k = \"fast.k\" }\n[sinks.out]\ntype = \"discard\"\ninput = \"both\"\n",
                     "job.toml", ".");
  REQUIRE(loaded.topology.has_value());
  const auto graph = build_job_graph(std::make_shared<const StreamGraph>(std::move(loaded.topology->graph)), 1);
  REQUIRE(graph.has_value());
  const auto held = held_time(
      *graph, {{0, {source_at(0, Timestamp{30h}, 0s, "f"), source_at(1, noon, 0s, "s"), window_at(noon - 1us)}}});
  REQUIRE(held.size() == 1);
  CHECK(held[0].node == 2);
  CHECK(held[0].holder == 1);
  CHECK(held[0].split == "s");
}
