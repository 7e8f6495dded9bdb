#include <doctest/doctest.h>

#include "libdataflow/graph/job_graph.hpp"
#include "libdataflow/windows/window_spec.hpp"
#include "tests/support/graphs.hpp"
#include "tests/support/scripted_source.hpp"

using namespace dataflow;
using namespace dataflow::testing_support;

namespace {

const SchemaPtr schema = make_schema({{"k", TypeKind::int64}, {"v", TypeKind::float64}});

/// in -> window by k.
struct Windowed {
  explicit Windowed(const std::string& aggregate = "count()", WindowKind kind = WindowKind::tumbling) {
    b.source("in", schema, std::make_shared<ScriptedSource>(std::vector<Script>{}), EventTimeSpec{.field = 0});
    WindowSpec spec;
    spec.kind = kind;
    spec.size = Duration{10};
    spec.count = 3;
    spec.key_fields = {0};
    spec.aggregates.push_back({"n", *compile_aggregate(aggregate, *schema)});
    StreamNode& node = b.transform("window", {"in"}, make_window_operator(spec, schema));
    node.uid = "of-old";
    node.inputs[0].partitioning = Partitioning::hash;
    node.inputs[0].key_fields = {0};
    node.outputs = {{.name = "", .schema = *window_output_schema(spec, *schema), .event_time = true},
                    {.name = "late", .schema = schema, .event_time = true}};
  }

  [[nodiscard]] JobGraph build() const {
    return build_job_graph(std::make_shared<const StreamGraph>(b.graph), 2).value();
  }
  [[nodiscard]] bool combines() const { return build().stream->find("window.combine") != nullptr; }

  GraphBuilder b;
};

}  // namespace

TEST_CASE("a combiner is chained to the sender, and what it sends is exchanged by the key") {
  const Windowed job;
  const JobGraph graph = job.build();
  REQUIRE(graph.vertices.size() == 2);
  CHECK(graph.vertices[0].name == "in -> window.combine");
  CHECK(graph.vertices[1].name == "window");
  REQUIRE(graph.edges.size() == 1);
  CHECK(graph.edges[0].partitioning == Partitioning::hash);
  CHECK(graph.edges[0].key_fields == std::vector<std::size_t>{0});
  const StreamNode& combiner = graph.node(graph.edges[0].from_node);
  CHECK(combiner.uid == "of-old.combine");
  CHECK(!combiner.stateful);
  CHECK(combiner.outputs[0].event_time);
  CHECK(graph.edges[0].schema == combiner.outputs[0].schema);
  for (NodeId id = 0; id < graph.stream->nodes.size(); ++id) CHECK(graph.node(id).id == id);
}

TEST_CASE("each sender of a union has a combiner of its own") {
  Windowed job;
  job.b.source("other", schema, std::make_shared<ScriptedSource>(std::vector<Script>{}), EventTimeSpec{.field = 0});
  std::swap(job.b.graph.nodes[1], job.b.graph.nodes[2]);
  job.b.graph.nodes[1].id = 1;
  StreamNode& window = job.b.graph.nodes[2];
  window.id = 2;
  window.inputs.push_back(window.inputs[0]);
  window.inputs[1].from = 1;
  const JobGraph graph = job.build();
  REQUIRE(graph.vertices.size() == 3);
  CHECK(graph.vertices[0].name == "in -> window.combine");
  CHECK(graph.vertices[1].name == "other -> window.combine-2");
}

TEST_CASE("where one subtask sends, or one receives, nothing is combined") {
  Windowed one_sends;
  one_sends.b.graph.nodes[0].parallelism = 1;
  CHECK(!one_sends.combines());
  Windowed one_receives;
  one_receives.b.graph.nodes[1].parallelism = 1;
  CHECK(!one_receives.combines());
}

TEST_CASE("records of windows whose late ones are read go on as they are") {
  Windowed job;
  auto late = job.b.transform("late", {"window"}, pass_through());
  CHECK(job.combines());
  job.b.graph.nodes[2].inputs[0].output = window_late_output;
  CHECK(!job.combines());
}

TEST_CASE("so do those of aggregates that depend on their order or are large, and of windows of a number of them") {
  CHECK(Windowed{"max(v)"}.combines());
  CHECK(!Windowed{"sum(v)"}.combines());
  CHECK(!Windowed{"first(k)"}.combines());
  CHECK(!Windowed{"count(distinct k)"}.combines());
  CHECK(!Windowed{"count()", WindowKind::count}.combines());
  CHECK(!Windowed{"count()", WindowKind::global}.combines());
}

TEST_CASE("rows that take others back go on as they are") {
  Windowed job{"count()", WindowKind::running};
  CHECK(job.combines());
  job.b.graph.nodes[0].outputs[0].changelog = ChangelogMode::retract;
  CHECK(!job.combines());
}
