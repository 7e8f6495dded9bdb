// Records do not come back to where they were: there is no iteration.
#include <dataflow/testing.hpp>

#include <doctest/doctest.h>

#include <unistd.h>
#include <filesystem>
#include <fstream>

namespace df = dataflow;

namespace {

TEST_CASE("a stream is made of streams that are there already, so that no call closes a cycle") {
  df::Environment env;
  auto numbers = env.from_collection<std::int64_t>({1, 2, 3});
  // What looks like a loop in the source is a chain of nodes in the plan: each `numbers` is another stream.
  for (int i = 0; i < 3; ++i) {
    numbers = numbers.union_with(numbers.map([](std::int64_t n) { return n + 1; }));
    numbers = numbers.connect(numbers).map([](std::int64_t n) { return n; }, [](std::int64_t n) { return n; });
  }
  numbers.print();
  const auto graph = env.build("job");
  REQUIRE(graph);
  for (const df::StreamNode& node : graph->nodes) {
    for (const df::StreamEdge& edge : node.inputs) CHECK(edge.from < node.id);
  }
}

TEST_CASE("a cycle of nodes that are added by hand is refused, with its line and the reason") {
  df::Environment env;
  auto numbers = env.from_collection<std::int64_t>({1, 2, 3});
  df::StreamInfo also_its_own = numbers.info();
  also_its_own.origins.push_back({.node = numbers.info().origins[0].node + 1});
  df::NodeDraft draft{.type = "filter"};
  draft.outputs = {{.name = {}, .schema = df::schema_of<std::int64_t>()}};
  env.plan()->add(std::move(draft), &also_its_own, std::source_location::current());
  const auto graph = env.build("job");
  REQUIRE(!graph);
  CHECK(graph.error().message().starts_with("cycle_test.cpp:"));
  CHECK(graph.error().message().find("this filter reads what is made of its own results: records must not come back") !=
        std::string::npos);
}

TEST_CASE("a cycle in an embedded topology is a mistake of the line that embeds it") {
  const auto path = std::filesystem::temp_directory_path() / ("dataflow-cycle-" + std::to_string(getpid()) + ".toml");
  std::ofstream{path} << R"toml(name = "part"
[operators.one]
type  = "filter"
input = "two"
where = "true"
[operators.two]
type  = "filter"
input = "one"
where = "true"
)toml";
  df::Environment env;
  env.topology(path.string());
  const auto graph = env.build("job");
  std::filesystem::remove(path);
  REQUIRE(!graph);
  CHECK(graph.error().message().starts_with("cycle_test.cpp:"));
  CHECK(graph.error().message().find("the nodes form a cycle: one -> two -> one") != std::string::npos);
}

}  // namespace
