// A filter and a map written as C++ lambdas over a typed record, through a Task, beside a loop over the same arrays.

#include <dataflow/dataflow.hpp>

#include <benchmark/benchmark.h>

#include <random>

#include "tests/bench/pipeline.hpp"

namespace dataflow::bench {
namespace {

struct Bid {
  std::int64_t auction;
  std::int64_t bidder;
  double price;
  Timestamp time;
};
DATAFLOW_RECORD(Bid, auction, bidder, price, time)

struct Priced {
  std::int64_t auction;
  double euros;
};
DATAFLOW_RECORD(Priced, auction, euros)

constexpr std::size_t batch_count = 64;
constexpr std::size_t passes = 256;
constexpr std::size_t rows_in_all = batch_count * max_batch_rows * passes;

std::shared_ptr<const std::vector<BatchPtr>> bids() {
  static const auto batches = [] {
    std::mt19937_64 random{4711};
    std::uniform_real_distribution<double> price{0, 100};
    auto made = std::make_shared<std::vector<BatchPtr>>();
    for (std::size_t b = 0; b < batch_count; ++b) {
      BatchBuilder builder{schema_of<Bid>(), max_batch_rows};
      for (std::uint32_t row = 0; row < max_batch_rows; ++row) {
        builder.column(0).append_int64(static_cast<std::int64_t>(random() % 1000));
        builder.column(1).append_int64(static_cast<std::int64_t>(random() % 100'000));
        builder.column(2).append_float64(price(random));
        builder.column(3).append_int64(static_cast<std::int64_t>(b * max_batch_rows + row) * 100);
        builder.end_row();
      }
      made->push_back(builder.finish());
    }
    return made;
  }();
  return batches;
}

/// The job as a user writes it, then with the source and sink of the benchmarks.
StreamGraph lambda_graph() {
  Environment env;
  env.parallelism(1);
  env.from_collection<Bid>({})
      .filter([](const Bid& bid) { return bid.price > 50; })
      .map([](const Bid& bid) {
        return Priced{bid.auction, bid.price * 0.908};
      })
      .print();
  auto graph = env.build("bench");
  if (!graph) require(fail(graph.error()));
  graph->nodes.front().source->factory = std::make_shared<ReplaySource>(bids(), passes);
  graph->nodes.back().factory = std::make_shared<CountSink>(std::make_shared<Count>());
  return *std::move(graph);
}

void lambda_task(benchmark::State& state) {
  for (auto _ : state) run_in_task(lambda_graph());
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * rows_in_all));
}

void lambda_loop(benchmark::State& state) {
  std::vector<std::int64_t> auctions(max_batch_rows);
  std::vector<double> euros(max_batch_rows);
  for (auto _ : state) {
    for (std::size_t pass = 0; pass < passes; ++pass) {
      for (const BatchPtr& batch : *bids()) {
        const auto* auction = batch->column(0).values.as<std::int64_t>();
        const auto* price = batch->column(2).values.as<double>();
        std::size_t kept = 0;
        for (std::uint32_t row = 0; row < batch->rows(); ++row) {
          auctions[kept] = auction[row];
          euros[kept] = price[row] * 0.908;
          kept += price[row] > 50 ? 1 : 0;
        }
        benchmark::DoNotOptimize(auctions.data());
        benchmark::DoNotOptimize(euros.data());
        benchmark::ClobberMemory();
      }
    }
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * rows_in_all));
}

BENCHMARK(lambda_loop)->Name("lambda/loop")->Unit(benchmark::kMillisecond);
BENCHMARK(lambda_task)->Name("lambda/task")->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace dataflow::bench
