#include <doctest/doctest.h>

#include "libdataflow/graph/job_graph.hpp"
#include "libdataflow/operators/filter.hpp"
#include "libdataflow/windows/window_spec.hpp"
#include "tests/support/graphs.hpp"
#include "tests/support/scripted_source.hpp"

using namespace dataflow;
using namespace dataflow::testing_support;

namespace {

const SchemaPtr schema = make_schema({{"v", TypeKind::int64}, {"k", TypeKind::int64}, {"l", TypeKind::int64}});

/// in -> counts, by k and l -> a node by fields of the counts.
struct Keyed {
  Keyed() {
    b.source("in", schema, std::make_shared<ScriptedSource>(std::vector<Script>{}));
    WindowSpec spec;
    spec.kind = WindowKind::running;
    spec.key_fields = {1, 2};
    spec.aggregates.push_back({"n", *compile_aggregate("count()", *schema)});
    const SchemaPtr counts = *window_output_schema(spec, *schema);
    StreamNode& node = add("counts", "in", spec.key_fields, make_window_operator(spec, schema));
    node.outputs[0].schema = counts;
    node.outputs[0].changelog = ChangelogMode::retract;
  }

  StreamNode& add(const std::string& name, const std::string& from, std::vector<std::size_t> key,
                  OperatorFactoryPtr factory = pass_through()) {
    StreamNode& node = b.transform(name, {from}, std::move(factory));
    if (!key.empty()) node.inputs[0].partitioning = Partitioning::hash;
    node.inputs[0].key_fields = std::move(key);
    return node;
  }

  /// Names of the tasks.
  [[nodiscard]] std::vector<std::string> tasks() const {
    const auto graph = build_job_graph(std::make_shared<const StreamGraph>(b.graph), 2);
    REQUIRE(graph.has_value());
    std::vector<std::string> names;
    for (const JobVertex& vertex : graph->vertices) names.push_back(vertex.name);
    return names;
  }

  GraphBuilder b;
};

const std::string counting = "in -> counts.combine";

}  // namespace

TEST_CASE("results of a key that are wanted by that key stay where they are") {
  Keyed job;
  job.add("next", "counts", {0, 1});
  CHECK(job.tasks() == std::vector<std::string>{counting, "counts -> next"});
}

TEST_CASE("by the same fields in another order, or by some of them, rows belong elsewhere") {
  for (const std::vector<std::size_t>& key : {std::vector<std::size_t>{1, 0}, {0}, {0, 1, 2}}) {
    Keyed job;
    job.add("next", "counts", key);
    CHECK(job.tasks() == std::vector<std::string>{counting, "counts", "next"});
  }
}

TEST_CASE("with another number of subtasks rows belong elsewhere") {
  Keyed job;
  job.add("next", "counts", {0, 1}).parallelism = 3;
  CHECK(job.tasks() == std::vector<std::string>{counting, "counts", "next"});
}

TEST_CASE("a filter leaves rows where they are, what may give any rows does not") {
  Keyed job;
  const SchemaPtr counts = job.b.graph.nodes[1].outputs[0].schema;
  job.add("many", "counts", {}, make_filter(*Expression::compile("n > 1", *counts), counts));
  job.add("next", "many", {0, 1});
  CHECK(job.tasks() == std::vector<std::string>{counting, "counts -> many -> next"});

  Keyed other;
  other.add("any", "counts", {});
  other.add("next", "any", {0, 1});
  CHECK(other.tasks() == std::vector<std::string>{counting, "counts -> any", "next"});
}

TEST_CASE("a kept key is kept again by whoever keeps keys behind it") {
  Keyed job;
  const SchemaPtr counts = job.b.graph.nodes[1].outputs[0].schema;
  WindowSpec spec;
  spec.kind = WindowKind::running;
  spec.key_fields = {0, 1};
  spec.aggregates.push_back({"most", *compile_aggregate("max(n)", *counts)});
  job.add("most", "counts", {0, 1}, make_window_operator(spec, counts));
  job.add("next", "most", {0, 1});
  CHECK(job.tasks() == std::vector<std::string>{counting, "counts -> most -> next"});
}
