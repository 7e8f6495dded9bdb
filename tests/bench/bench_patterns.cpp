// A pattern of three steps, of which each is one row in ten, over many keys: one match in a thousand rows. Beside a
// loop that does just that; what is asked for is a million rows a second and core.

#include <benchmark/benchmark.h>

#include <random>

#include "libdataflow/topology/topology.hpp"
#include "serialization/builder.hpp"
#include "tests/bench/loops_patterns.hpp"
#include "tests/bench/pipeline.hpp"

namespace dataflow::bench {
namespace {

constexpr std::int64_t second = 1'000'000;
constexpr std::int64_t within = 3600 * second;
constexpr std::int64_t out_of_orderness = second;
constexpr std::int64_t time_between_rows = 1000;
constexpr std::size_t rows_in_all = 4'000'000;
constexpr std::uint64_t kinds = 10;

using Batches = std::shared_ptr<const std::vector<BatchPtr>>;

const SchemaPtr& schema() {
  static const SchemaPtr s =
      make_schema({{"key", TypeKind::int64}, {"kind", TypeKind::int64}, {"at", TypeKind::timestamp}});
  return s;
}

/// Of one row in a hundred a random half second is taken off.
Batches rows_of(std::int64_t keys) {
  static std::int64_t made_for = 0;
  static Batches made;
  if (made_for == keys) return made;
  auto batches = std::make_shared<std::vector<BatchPtr>>();
  std::mt19937_64 random{42};
  BatchBuilder builder{schema(), max_batch_rows};
  for (std::size_t i = 0; i < rows_in_all; ++i) {
    auto at = static_cast<std::int64_t>(i) * time_between_rows;
    if (random() % 100 == 0) at = std::max<std::int64_t>(0, at - static_cast<std::int64_t>(random() % (second / 2)));
    builder.column(0).append_int64(static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(keys)));
    builder.column(1).append_int64(static_cast<std::int64_t>(random() % kinds));
    builder.column(2).append_int64(at);
    builder.end_row();
    if (builder.rows() == max_batch_rows || i + 1 == rows_in_all) batches->push_back(builder.finish());
  }
  made_for = keys;
  made = std::move(batches);
  return made;
}

StreamNode pattern_node(const std::string& pattern, const std::string& define) {
  const std::string text = R"toml(parallelism = 1
[sources.rows]
type = "collection"
schema = { key = "int64", kind = "int64", at = "timestamp" }
rows = []
event_time = { field = "at" }
[sinks.out]
type = "discard"
input = "steps"
[operators.steps]
type = "pattern"
input = "rows"
key_by = ["key"]
within = "1h"
measures = { since = "first(at)", until = "last(at)" }
)toml" + ("pattern = \"" + pattern + "\"\ndefine = { " + define + " }\n");
  const LoadedTopology loaded = parse_topology(text, "bench.toml", "/");
  if (!loaded.topology) {
    for (const Diagnostic& d : loaded.diagnostics) std::fputs(render(d).c_str(), stderr);
    std::abort();
  }
  return *loaded.topology->graph.find("steps");
}

void run_engine(benchmark::State& state, const StreamNode& node) {
  const Batches batches = rows_of(state.range(0));
  std::uint64_t matches = 0;
  for (auto _ : state) {
    Pipeline pipeline{schema(), batches, 1, EventTimeSpec{.field = 2, .out_of_orderness = Duration{out_of_orderness}}};
    pipeline.then("steps", node.factory, node.outputs[0].schema, true);
    const auto count = pipeline.count();
    run_in_task(pipeline.finish());
    matches = count->rows;
  }
  state.counters["matches"] = static_cast<double>(matches);
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * rows_in_all));
}

void three_steps_engine(benchmark::State& state) {
  run_engine(state, pattern_node("a b c", R"t(a = "kind = 1", b = "kind = 2", c = "kind = 3")t"));
}
/// Conditions that look at the match so far are asked for each partial match.
void looking_back_engine(benchmark::State& state) {
  run_engine(state,
             pattern_node("a b c", R"t(a = "kind = 1", b = "kind = a.kind + 1", c = "kind = last(kind, 1) + 1")t"));
}

void three_steps_loop(benchmark::State& state) {
  const Batches batches = rows_of(state.range(0));
  std::size_t matches = 0;
  for (auto _ : state) {
    loops::ThreeStepsLoop loop{within, static_cast<std::size_t>(state.range(0))};
    for (const BatchPtr& batch : *batches) {
      loop.add(batch->rows(), batch->column(2).values.as<std::int64_t>(), batch->column(0).values.as<std::int64_t>(),
               batch->column(1).values.as<std::int64_t>());
    }
    matches = loop.ends.size();
    benchmark::DoNotOptimize(loop.ends.data());
  }
  state.counters["matches"] = static_cast<double>(matches);
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * rows_in_all));
}

BENCHMARK(three_steps_loop)->Name("pattern 3 steps/loop")->Arg(100'000)->Unit(benchmark::kMillisecond);
BENCHMARK(three_steps_engine)->Name("pattern 3 steps/engine")->Arg(100'000)->Unit(benchmark::kMillisecond);
BENCHMARK(looking_back_engine)->Name("pattern 3 steps/looking_back")->Arg(100'000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace dataflow::bench
