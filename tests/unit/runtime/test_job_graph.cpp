#include <doctest/doctest.h>

#include "libdataflow/graph/job_graph.hpp"
#include "tests/support/graphs.hpp"
#include "tests/support/scripted_source.hpp"

using namespace dataflow;
using namespace dataflow::testing_support;

namespace {

const SchemaPtr schema = make_schema({{"k", TypeKind::int64}});

SourceFactoryPtr empty_source() {
  return std::make_shared<ScriptedSource>(std::vector<Script>{});
}

JobGraph build(const GraphBuilder& builder, std::uint32_t parallelism) {
  return build_job_graph(std::make_shared<const StreamGraph>(builder.graph), parallelism).value();
}

}  // namespace

TEST_CASE("forward edges of equal parallelism become one vertex") {
  GraphBuilder b;
  b.source("in", schema, empty_source());
  b.transform("a", {"in"}, pass_through());
  b.collect("out", {"a"});
  const JobGraph graph = build(b, 2);
  REQUIRE(graph.vertices.size() == 1);
  CHECK(graph.vertices[0].name == "in -> a -> out");
  CHECK(graph.vertices[0].parallelism == 2);
  CHECK(graph.edges.empty());
}

TEST_CASE("a keyed input begins a new vertex, and its two subtasks read from both senders") {
  GraphBuilder b;
  b.source("in", schema, empty_source());
  auto& keyed = b.transform("keyed", {"in"}, pass_through());
  keyed.inputs[0].partitioning = Partitioning::hash;
  keyed.inputs[0].key_fields = {0};
  b.collect("out", {"keyed"});
  const JobGraph graph = build(b, 2);
  REQUIRE(graph.vertices.size() == 2);
  CHECK(graph.vertices[1].name == "keyed -> out");
  CHECK(input_channels(graph, 1, 1) == std::vector<ChannelId>{{0, 0, 1}, {0, 1, 1}});
  CHECK(output_channels(graph, 0, 1) == std::vector<ChannelId>{{0, 1, 0}, {0, 1, 1}});
}

TEST_CASE("a channel's place at its ends is the one that it has in their lists") {
  GraphBuilder b;
  b.source("wide", schema, empty_source()).parallelism = 3;
  b.source("even", schema, empty_source()).parallelism = 2;
  auto& keyed = b.transform("keyed", {"wide", "even"}, pass_through());
  keyed.parallelism = 2;
  keyed.inputs[0].partitioning = Partitioning::hash;
  keyed.inputs[0].key_fields = {0};
  b.collect("one", {"keyed"});
  auto& other = b.transform("other", {"keyed"}, pass_through());
  other.parallelism = 3;
  other.inputs[0].partitioning = Partitioning::hash;
  other.inputs[0].key_fields = {0};
  b.collect("two", {"other"});
  const JobGraph graph = build(b, 2);
  std::size_t looked_at = 0;
  for (const JobVertex& vertex : graph.vertices) {
    for (std::uint32_t subtask = 0; subtask < vertex.parallelism; ++subtask) {
      const auto inputs = input_channels(graph, vertex.id, subtask);
      for (std::size_t i = 0; i < inputs.size(); ++i, ++looked_at) CHECK(place_among_inputs(graph, inputs[i]) == i);
      const auto outputs = output_channels(graph, vertex.id, subtask);
      for (std::size_t i = 0; i < outputs.size(); ++i) CHECK(place_among_outputs(graph, outputs[i]) == i);
    }
  }
  CHECK(looked_at >= 12);
}

TEST_CASE("with one subtask on both sides a keyed input is chained too") {
  GraphBuilder b;
  b.source("in", schema, empty_source());
  auto& keyed = b.transform("keyed", {"in"}, pass_through());
  keyed.inputs[0].partitioning = Partitioning::hash;
  b.collect("out", {"keyed"});
  CHECK(build(b, 1).vertices.size() == 1);
}

TEST_CASE("a node without key takes its input's parallelism") {
  GraphBuilder b;
  b.source("in", schema, empty_source()).parallelism = 1;
  b.transform("a", {"in"}, pass_through());
  CHECK(build(b, 4).vertices[0].parallelism == 1);
}

TEST_CASE("a union reads both inputs and is not chained") {
  GraphBuilder b;
  b.source("x", schema, empty_source());
  b.source("y", schema, empty_source());
  b.collect("out", {"x", "y"});
  const JobGraph graph = build(b, 2);
  CHECK(graph.vertices.size() == 3);
  CHECK(input_channels(graph, 2, 1) == std::vector<ChannelId>{{0, 1, 1}, {1, 1, 1}});
}

TEST_CASE("a parallelism above the number of key groups is refused by name") {
  GraphBuilder b;
  b.source("in", schema, empty_source()).parallelism = 200;
  const auto graph = build_job_graph(std::make_shared<const StreamGraph>(b.graph), 1);
  REQUIRE_FALSE(graph);
  CHECK(graph.error().message() ==
        "\"in\" has parallelism 200; it must be between 1 and max_parallelism, which is 128");
}

TEST_CASE("chaining can be switched off") {
  GraphBuilder b;
  b.source("in", schema, empty_source());
  b.collect("out", {"in"});
  const auto graph = build_job_graph(std::make_shared<const StreamGraph>(b.graph), 1, Chaining::never);
  CHECK(graph.value().vertices.size() == 2);
}
