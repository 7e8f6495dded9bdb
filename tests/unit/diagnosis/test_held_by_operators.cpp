// Who holds time back on the way from a source: an input of several, an operator with calls under way, one that makes
// time anew, a lookup without its table, a stream without event time.

#include <dataflow/dataflow.hpp>

#include <doctest/doctest.h>

#include <future>
#include <memory>
#include <string>

#include "libdataflow/diagnosis/held_time.hpp"
#include "libdataflow/topology/topology.hpp"

namespace df = dataflow;
using namespace dataflow;
using namespace std::chrono_literals;

namespace {

struct Payment {
  std::string card;
  df::Timestamp time;
};
DATAFLOW_RECORD(Payment, card, time)

class Collect : public df::WindowProcess<std::string, Payment, Payment> {
 public:
  void on_window(const df::Window&, std::span<const df::Timed<Payment>> payments, Context&,
                 df::Output<Payment>& out) override {
    out.emit(payments.front().record);
  }
};

class Both : public df::KeyedCoProcess<std::string, Payment, Payment, Payment> {
 public:
  void process_first(const Payment& p, Context& ctx, df::Output<Payment>&) override { ctx.on_event_time(p.time + 1h); }
  void process_second(const Payment&, Context&, df::Output<Payment>&) override {}
};

JobGraph job_graph(StreamGraph graph) {
  auto job = build_job_graph(std::make_shared<const StreamGraph>(std::move(graph)), 1);
  REQUIRE(job.has_value());
  return std::move(*job);
}

JobGraph job_of(void (*job)(df::Environment&)) {
  auto graph = df::build_job("job", job, {});
  if (!graph) FAIL(graph.error().message());
  return job_graph(std::move(*graph));
}

JobGraph job_of(const std::string& topology) {
  LoadedTopology loaded = parse_topology(topology, "job.toml", ".");
  REQUIRE(loaded.topology.has_value());
  return job_graph(std::move(loaded.topology->graph));
}

constexpr Timestamp noon{12h};
constexpr Timestamp end_of_day{24h - 1us};

/// What each node of a job says: as a pass-through at `watermark` unless it is told otherwise.
class Nodes {
 public:
  Nodes(const JobGraph& graph, Timestamp watermark) : graph_{graph} {
    for (const StreamNode& node : graph.stream->nodes) {
      NodeMetrics m;
      m.node = node.id;
      m.watermark = watermark;
      all_.nodes.push_back(m);
    }
  }
  NodeMetrics& operator[](const std::string& name) {
    for (const StreamNode& node : graph_.stream->nodes) {
      if (node.name == name) return all_.nodes[node.id];
    }
    throw std::out_of_range{name};
  }
  /// The only one that waits.
  HeldTime held() {
    auto held = held_time(graph_, {all_});
    REQUIRE(held.size() == 1);
    return held.front();
  }
  [[nodiscard]] const std::string& name(NodeId node) const { return graph_.node(node).name; }

 private:
  const JobGraph& graph_;
  SubtaskMetrics all_;
};

constexpr const char* two_sources =
    "[sources.fast]\ntype = \"generate\"\nfields = { at = \"now()\", k = \"seq()\" }\nevent_time = { field = \"at\" }\n"
    "[sources.slow]\ntype = \"generate\"\ncount = 10\nfields = { at = \"now()\", k = \"seq()\" }\nevent_time = { field "
    "= \"at\" }\n";

}  // namespace

TEST_CASE("of a join the input that is behind is named, also when its source is further back") {
  const JobGraph graph = job_of(std::string{two_sources} +
                                "[operators.odd]\ntype = \"filter\"\ninput = \"slow\"\nwhere = \"k % 2 = 1\"\n"
                                "[operators.both]\ntype = \"join\"\nleft = \"fast\"\nright = \"odd\"\n"
                                "on = \"fast.k = odd.k\"\nwindow = { tumbling = \"1d\" }\n"
                                "fields = { k = \"fast.k\" }\n[sinks.out]\ntype = \"discard\"\ninput = \"both\"\n");
  Nodes nodes{graph, noon};
  nodes["fast"].watermark = Timestamp{20h};
  nodes["both"].waits_for = end_of_day;
  const HeldTime held = nodes.held();
  CHECK(nodes.name(held.holder) == "slow");
  REQUIRE(held.input.has_value());
  CHECK(nodes.name(*held.input) == "odd");
}

TEST_CASE("a window over one input has none to name, and in C++ the setting is a function") {
  const JobGraph graph = job_of([](df::Environment& env) {
    env.from_collection<Payment>({})
        .event_time(&Payment::time)
        .named("payments")
        .key_by(&Payment::card)
        .window(df::tumbling(24h))
        .process<Collect>()
        .named("collected")
        .discard();
  });
  Nodes nodes{graph, noon};
  nodes["payments"].newest = noon;
  nodes["collected"].waits_for = end_of_day;
  const HeldTime held = nodes.held();
  CHECK_FALSE(held.input.has_value());
  CHECK(held.advice ==
        "a record of 1970-01-02T00:00:00Z or later releases it; .trigger(df::early(10s)) gives results before it ends");
}

TEST_CASE("an operator whose calls are under way holds time, and a source does when there are none") {
  const JobGraph graph = job_of([](df::Environment& env) {
    env.from_collection<Payment>({})
        .event_time(&Payment::time)
        .named("payments")
        .async_map([](const Payment& p) { return std::async(std::launch::deferred, [p] { return p; }); })
        .named("asked")
        .key_by(&Payment::card)
        .window(df::tumbling(24h))
        .process<Collect>()
        .named("collected")
        .discard();
  });
  Nodes nodes{graph, noon};
  nodes["collected"].waits_for = end_of_day;
  CHECK(nodes.name(nodes.held().holder) == "payments");
  nodes["payments"].watermark = Timestamp{20h};
  const HeldTime held = nodes.held();
  CHECK(nodes.name(held.holder) == "asked");
  CHECK(held.advice.starts_with("it keeps time back until the calls that are under way have their answers"));
}

TEST_CASE("an operator that makes event time anew holds it, not the source without one") {
  const JobGraph graph = job_of([](df::Environment& env) {
    env.from_collection<Payment>({})
        .named("payments")
        .map([](const Payment& p) { return p; })
        .named("mapped")
        .event_time(&Payment::time, df::out_of_orderness(1h))
        .named("timed")
        .key_by(&Payment::card)
        .window(df::tumbling(24h))
        .process<Collect>()
        .named("collected")
        .discard();
  });
  Nodes nodes{graph, Timestamp::min()};
  nodes["timed"].watermark = nodes["collected"].watermark = noon;
  nodes["collected"].waits_for = end_of_day;
  const HeldTime held = nodes.held();
  CHECK(nodes.name(held.holder) == "timed");
  CHECK(held.advice ==
        "it makes event time anew of its records: one of 1970-01-02T00:00:00Z and its out_of_orderness, or later, "
        "releases it");
}

TEST_CASE("a lookup that has not read its table says that it waits for it") {
  const JobGraph graph = job_of(std::string{two_sources} +
                                "[operators.named]\ntype = \"lookup\"\ninput = \"fast\"\ntable = \"slow\"\n"
                                "on = \"fast.k = slow.k\"\nfields = { k = \"fast.k\", at = \"fast.at\" }\n"
                                "[operators.daily]\ntype = \"window\"\ninput = \"named\"\n"
                                "window = { tumbling = \"1d\" }\naggregate = { n = \"count()\" }\n"
                                "[sinks.out]\ntype = \"discard\"\ninput = \"daily\"\n");
  Nodes nodes{graph, Timestamp::min()};
  nodes["fast"].watermark = noon;
  nodes["daily"].waits_for = end_of_day;
  const HeldTime held = nodes.held();
  CHECK(nodes.name(held.holder) == "slow");
  CHECK(held.advice == "named waits for its whole table: time goes on when that has been read");
}

TEST_CASE("a connected stream without event time does not hold the other's back") {
  const JobGraph graph = job_of([](df::Environment& env) {
    auto timeless = env.from_collection<Payment>({}).named("timeless").key_by(&Payment::card);
    env.from_collection<Payment>({})
        .event_time(&Payment::time)
        .named("timed")
        .key_by(&Payment::card)
        .connect(timeless)
        .process<Both>()
        .named("both")
        .discard();
  });
  Nodes nodes{graph, Timestamp::min()};
  nodes["timed"].watermark = nodes["both"].watermark = noon;
  nodes["both"].waits_for = end_of_day;
  const HeldTime held = nodes.held();
  CHECK(nodes.name(held.holder) == "timed");
  REQUIRE(held.input.has_value());
  CHECK(nodes.name(*held.input) == "timed");
}
