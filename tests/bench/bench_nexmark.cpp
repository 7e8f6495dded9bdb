// The Nexmark queries of apps/nexmark, as the topologies that users run, beside loops written by hand. Both read the
// same bids out of memory: the generator's time is on neither side.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "libdataflow/sources/nexmark_source.hpp"
#include "libdataflow/topology/topology.hpp"
#include "tests/bench/loops_nexmark.hpp"
#include "tests/bench/pipeline.hpp"

namespace dataflow::bench {
namespace {

/// Few when only that it works is asked.
std::uint64_t event_count() {
  return std::getenv("DATAFLOW_BENCH_QUICK") != nullptr ? 100'000 : 4'000'000;
}

using Batches = std::shared_ptr<const std::vector<BatchPtr>>;

class Kept final : public SourceOutput {
 public:
  std::shared_ptr<std::vector<BatchPtr>> batches = std::make_shared<std::vector<BatchPtr>>();
  void emit(BatchPtr batch, std::string_view) override { batches->push_back(std::move(batch)); }
  void malformed(std::string_view, std::string_view, std::string_view) override {}
  [[nodiscard]] bool full() const override { return false; }
  [[nodiscard]] std::uint32_t batch_rows() const override { return max_batch_rows; }
};

template <class T>
T required(Result<T> result) {
  if (!result) require(fail(result.error()));
  return *std::move(result);
}

Batches read_all(const SourceFactory& source) {
  const auto enumerator = source.create_enumerator();
  require(enumerator->open(1));
  const auto reader = source.create_reader();
  Kept kept;
  while (true) {
    const auto next = required(enumerator->next(0, {}));
    if (next.kind != SplitEnumerator::Next::Kind::split) return kept.batches;
    require(reader->start_split(next.split));
    while (required(reader->poll(kept)).kind != SourceStep::Kind::split_end) {
    }
  }
}

StreamGraph load(int query) {
  const std::filesystem::path file =
      std::filesystem::path{DATAFLOW_SOURCE_DIR} / "apps/nexmark" / ("q" + std::to_string(query) + ".toml");
  LoadOptions options;
  options.overrides = {"parallelism=1", "sources.bids.events=" + std::to_string(event_count())};
  LoadedTopology loaded = load_topology(file, options);
  if (!loaded.topology) require(fail(ErrorCode::invalid_argument, loaded.diagnostics.front().message));
  return std::move(loaded.topology->graph);
}

StreamNode& source_of(StreamGraph& graph) {
  return *std::find_if(graph.nodes.begin(), graph.nodes.end(), [](const StreamNode& node) { return node.is_source(); });
}

Batches bids() {
  static const Batches made = [] {
    StreamGraph graph = load(0);
    return read_all(*source_of(graph).source->factory);
  }();
  return made;
}

std::int64_t bid_count() {
  std::int64_t count = 0;
  for (const BatchPtr& batch : *bids()) count += batch->rows();
  return count;
}

/// The query over bids in memory, with a sink that counts.
void through_task(benchmark::State& state, int query) {
  const Batches input = bids();
  const auto count = std::make_shared<Count>();
  for (auto _ : state) {
    state.PauseTiming();
    StreamGraph graph = load(query);
    source_of(graph).source->factory = std::make_shared<ReplaySource>(input, 1);
    StreamNode& sink = graph.nodes.back();
    sink.factory = std::make_shared<CountSink>(count);
    state.ResumeTiming();
    run_in_task(std::move(graph));
  }
  if (count->rows == 0) require(fail(ErrorCode::internal, "the query gave nothing"));
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()) * bid_count());
}

loops::Texts texts(const Column& column) {
  return {column.offset_data(), column.values.as<char>()};
}

loops::Bids columns(const Batch& batch) {
  const auto numbers = [&](std::size_t field) { return batch.column(field).values.as<std::int64_t>(); };
  return {batch.rows(),
          numbers(0),
          numbers(1),
          numbers(2),
          texts(batch.column(3)),
          texts(batch.column(4)),
          numbers(5),
          texts(batch.column(6))};
}

template <class Loop>
void loop(benchmark::State& state) {
  const Batches input = bids();
  for (auto _ : state) {
    Loop query;
    for (const BatchPtr& batch : *input) {
      query.given.begin();
      query.add(columns(*batch));
      benchmark::DoNotOptimize(query.given.data());
      benchmark::ClobberMemory();
    }
    query.finish();
    benchmark::DoNotOptimize(query.given.data());
    if (query.given.total() == 0) require(fail(ErrorCode::internal, "the loop gave nothing"));
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()) * bid_count());
}

template <int Query>
void task(benchmark::State& state) {
  through_task(state, Query);
}

// All but those that write files (10) or join (3 to 9, 13, 20), which have no loop yet.
BENCHMARK(loop<loops::Q0>)->Name("nexmark_q0/loop")->Unit(benchmark::kMillisecond);
BENCHMARK(task<0>)->Name("nexmark_q0/task")->Unit(benchmark::kMillisecond);
BENCHMARK(loop<loops::Q1>)->Name("nexmark_q1/loop")->Unit(benchmark::kMillisecond);
BENCHMARK(task<1>)->Name("nexmark_q1/task")->Unit(benchmark::kMillisecond);
BENCHMARK(loop<loops::Q2>)->Name("nexmark_q2/loop")->Unit(benchmark::kMillisecond);
BENCHMARK(task<2>)->Name("nexmark_q2/task")->Unit(benchmark::kMillisecond);
BENCHMARK(loop<loops::Q11>)->Name("nexmark_q11/loop")->Unit(benchmark::kMillisecond);
BENCHMARK(task<11>)->Name("nexmark_q11/task")->Unit(benchmark::kMillisecond);
BENCHMARK(loop<loops::Q12>)->Name("nexmark_q12/loop")->Unit(benchmark::kMillisecond);
BENCHMARK(task<12>)->Name("nexmark_q12/task")->Unit(benchmark::kMillisecond);
BENCHMARK(loop<loops::Q14>)->Name("nexmark_q14/loop")->Unit(benchmark::kMillisecond);
BENCHMARK(task<14>)->Name("nexmark_q14/task")->Unit(benchmark::kMillisecond);
BENCHMARK(loop<loops::Q15>)->Name("nexmark_q15/loop")->Unit(benchmark::kMillisecond);
BENCHMARK(task<15>)->Name("nexmark_q15/task")->Unit(benchmark::kMillisecond);
BENCHMARK(loop<loops::Q16>)->Name("nexmark_q16/loop")->Unit(benchmark::kMillisecond);
BENCHMARK(task<16>)->Name("nexmark_q16/task")->Unit(benchmark::kMillisecond);
BENCHMARK(loop<loops::Q17>)->Name("nexmark_q17/loop")->Unit(benchmark::kMillisecond);
BENCHMARK(task<17>)->Name("nexmark_q17/task")->Unit(benchmark::kMillisecond);
BENCHMARK(loop<loops::Q18>)->Name("nexmark_q18/loop")->Unit(benchmark::kMillisecond);
BENCHMARK(task<18>)->Name("nexmark_q18/task")->Unit(benchmark::kMillisecond);
BENCHMARK(loop<loops::Q19>)->Name("nexmark_q19/loop")->Unit(benchmark::kMillisecond);
BENCHMARK(task<19>)->Name("nexmark_q19/task")->Unit(benchmark::kMillisecond);
BENCHMARK(loop<loops::Q21>)->Name("nexmark_q21/loop")->Unit(benchmark::kMillisecond);
BENCHMARK(task<21>)->Name("nexmark_q21/task")->Unit(benchmark::kMillisecond);
BENCHMARK(loop<loops::Q22>)->Name("nexmark_q22/loop")->Unit(benchmark::kMillisecond);
BENCHMARK(task<22>)->Name("nexmark_q22/task")->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace dataflow::bench
