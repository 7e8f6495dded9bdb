// A source whose splits are read at the same time, on simulated clusters under faults: after kills and rescales some
// subtask has splits of others, and each is still the only one that is held to its own time.

#include <doctest/doctest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <set>
#include <utility>
#include <vector>

#include "libdataflow/simulation/simulation.hpp"
#include "libdataflow/topology/topology.hpp"
#include "tests/support/batches.hpp"
#include "tests/support/scripted_source.hpp"
#include "tests/support/seeds.hpp"
#include "tests/support/temporary_folder.hpp"

namespace dataflow {
namespace {

using testing_support::make_batch;
using testing_support::Pause;
using testing_support::Row;
using testing_support::Script;

/// Counts by key and window; the source is replaced. A record that is late would be missed.
constexpr const char* job_text = R"t(
name = "side-by-side-splits"

[sources.in]
type       = "collection"
schema     = { key = "int64", at = "timestamp" }
event_time = { field = "at" }
rows       = []

[operators.counted]
type      = "window"
input     = "in"
key_by    = "key"
window    = { tumbling = "3s" }
aggregate = { n = "count()" }

[sinks.out]
type  = "file"
input = "counted"
path  = "out"

[checkpoint]
interval = "50ms"
storage  = "file:///checkpoints"
)t";

/// Each split is in order, but they are far apart in time, and pause at different places.
struct Splits {
  std::vector<Script> scripts;
  std::set<std::pair<std::int64_t, std::int64_t>> groups;  ///< key and window of every record
};

Splits make_splits(const SchemaPtr& schema) {
  Splits all;
  for (std::int64_t split = 0; split < 5; ++split) {
    Script& script = all.scripts.emplace_back();
    for (std::int64_t i = 0; i < 40; ++i) {
      std::vector<Row> rows;
      for (std::int64_t row = 0; row < 4; ++row) {
        const std::int64_t ms = split * 1700 + i * 400 + row * 90;
        const std::int64_t key = (split + i * row) % 7;
        rows.push_back({key, ms * 1000});
        all.groups.insert({key, ms / 3000});
      }
      script.emplace_back(make_batch(schema, rows));
      if ((i + split) % 5 == 0) script.emplace_back(Pause{std::chrono::milliseconds{7 * (split + 1)}});
    }
  }
  return all;
}

TEST_CASE("splits that are read side by side hold time back alone, whoever reads them after a kill or a rescale") {
  const testing_support::TemporaryFolder folder;
  const std::filesystem::path file = folder / "job.toml";
  std::ofstream{file} << job_text;
  LoadedTopology loaded = load_topology(file);
  REQUIRE_MESSAGE(loaded.topology, (loaded.diagnostics.empty() ? "" : render(loaded.diagnostics.front())));
  StreamGraph graph = std::move(loaded.topology->graph);
  StreamNode& source = graph.nodes[graph.find("in")->id];
  const Splits splits = make_splits(source.outputs[0].schema);
  source.source->factory = std::make_shared<testing_support::ScriptedSource>(splits.scripts, true, true);
  const auto simulation = simulation::Simulation::prepare(std::move(graph), {.nodes = 3, .parallelism = 2});
  REQUIRE_MESSAGE(simulation, (simulation ? std::string{} : simulation.error().message()));
  const auto& chance = simulation->not_deterministic();
  REQUIRE_MESSAGE(!chance, (chance ? describe(*chance) : std::string{}));
  CHECK(simulation->records() == splits.groups.size());
  std::uint64_t restarts = 0;
  std::uint64_t rescales = 0;
  for (const std::uint64_t seed : testing_support::seeds(200)) {
    const simulation::SeedResult result = simulation->run(seed);
    REQUIRE_MESSAGE(!result.failure, (result.failure ? describe(*result.failure) : std::string{}));
    restarts += result.counts.restarts;
    rescales += result.counts.rescales;
  }
  CHECK(restarts > 0);
  CHECK(rescales > 0);
}

}  // namespace
}  // namespace dataflow
