// A filter and a map written as C++ lambdas over a typed record, through a Task, beside a loop over the same arrays.

#include <dataflow/dataflow.hpp>

#include <benchmark/benchmark.h>

#include <cstring>
#include <memory>
#include <random>
#include <string>

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

/// The job with the source and sink of the benchmarks.
StreamGraph with_bench_ends(const Environment& env, std::shared_ptr<const std::vector<BatchPtr>> batches) {
  auto graph = env.build("bench");
  if (!graph) require(fail(graph.error()));
  graph->nodes.front().source->factory = std::make_shared<ReplaySource>(std::move(batches), passes);
  graph->nodes.back().factory = std::make_shared<CountSink>(std::make_shared<Count>());
  return *std::move(graph);
}

StreamGraph lambda_graph() {
  Environment env;
  env.parallelism(1);
  env.from_collection<Bid>({})
      .filter([](const Bid& bid) { return bid.price > 50; })
      .map([](const Bid& bid) {
        return Priced{bid.auction, bid.price * 0.908};
      })
      .print();
  return with_bench_ends(env, bids());
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

/// The same with a short text in the record: as a std::string, and as a std::string_view that is not copied.
template <class Text>
struct Sale {
  Text card;
  double price;
};
template <class Text>
struct Converted {
  Text card;
  double euros;
};
using Sale1 = Sale<std::string>;
using Converted1 = Converted<std::string>;
using Sale2 = Sale<std::string_view>;
using Converted2 = Converted<std::string_view>;
DATAFLOW_RECORD(Sale1, card, price)
DATAFLOW_RECORD(Converted1, card, euros)
DATAFLOW_RECORD(Sale2, card, price)
DATAFLOW_RECORD(Converted2, card, euros)

std::shared_ptr<const std::vector<BatchPtr>> sales() {
  static const auto batches = [] {
    std::mt19937_64 random{4711};
    std::uniform_real_distribution<double> price{0, 100};
    auto made = std::make_shared<std::vector<BatchPtr>>();
    for (std::size_t b = 0; b < batch_count; ++b) {
      BatchBuilder builder{schema_of<Sale1>(), max_batch_rows};
      for (std::uint32_t row = 0; row < max_batch_rows; ++row) {
        builder.column(0).append_text("card-" + std::to_string(1'000'000 + random() % 9'000'000));
        builder.column(1).append_float64(price(random));
        builder.end_row();
      }
      made->push_back(builder.finish());
    }
    return made;
  }();
  return batches;
}

template <class Text>
void texts_task(benchmark::State& state) {
  for (auto _ : state) {
    Environment env;
    env.parallelism(1);
    env.from_collection<Sale<Text>>(std::vector<Sale<Text>>{})
        .filter([](const Sale<Text>& sale) { return sale.price > 50; })
        .map([](const Sale<Text>& sale) {
          return Converted<Text>{sale.card, sale.price * 0.908};
        })
        .print();
    run_in_task(with_bench_ends(env, sales()));
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * rows_in_all));
}

/// First which rows, without a branch, then their texts, sixteen bytes at once where that reaches: faster than testing
/// row by row, and than a call of memcpy for each. With `records`, what is kept goes through the records of the
/// lambdas: Sale<std::string> in, Converted<std::string> out; only kept rows are made into one, and their strings are
/// assigned to, which keeps their memory.
template <bool records>
void texts_loop(benchmark::State& state) {
  std::vector<std::uint32_t> rows(max_batch_rows);
  std::vector<std::uint32_t> offsets(max_batch_rows + 1);
  std::vector<double> euros(max_batch_rows);
  const auto convert = [](const Sale1& sale) { return Converted1{sale.card, sale.price * 0.908}; };
  Sale1 sale;
  for (auto _ : state) {
    for (std::size_t pass = 0; pass < passes; ++pass) {
      for (const BatchPtr& batch : *sales()) {
        const auto* from = batch->column(0).offsets.as<std::uint32_t>();
        const char* text = batch->column(0).values.as<char>();
        const auto* price = batch->column(1).values.as<double>();
        std::size_t kept = 0;
        std::size_t bytes = 0;
        for (std::uint32_t row = 0; row < batch->rows(); ++row) {
          rows[kept] = row;
          kept += static_cast<std::size_t>(price[row] > 50);
        }
        for (std::size_t i = 0; i < kept; ++i) {
          bytes += from[rows[i] + 1] - from[rows[i]];
        }
        const std::unique_ptr<char[]> texts{new char[bytes + 16]};  // a batch's bytes are its own
        const std::uint32_t end = from[batch->rows()];
        char* to = texts.get();
        for (std::size_t i = 0; i < kept; ++i) {
          const std::uint32_t row = rows[i];
          const std::size_t size = from[row + 1] - from[row];
          if constexpr (records) {
            sale.card.assign(text + from[row], size);
            sale.price = price[row];
            const Converted1 converted = convert(sale);
            std::memcpy(to, converted.card.data(), converted.card.size());
            euros[i] = converted.euros;
          } else {
            if (size <= 16 && from[row] + 16 <= end) {
              std::memcpy(to, text + from[row], 16);
            } else {
              std::memcpy(to, text + from[row], size);
            }
            euros[i] = price[row] * 0.908;
          }
          to += size;
          offsets[i + 1] = static_cast<std::uint32_t>(to - texts.get());
        }
        benchmark::DoNotOptimize(texts.get());
        benchmark::DoNotOptimize(offsets.data());
        benchmark::DoNotOptimize(euros.data());
        benchmark::ClobberMemory();
      }
    }
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * rows_in_all));
}

BENCHMARK(lambda_loop)->Name("lambda/loop")->Unit(benchmark::kMillisecond);
BENCHMARK(lambda_task)->Name("lambda/task")->Unit(benchmark::kMillisecond);
BENCHMARK(texts_loop<false>)->Name("lambda_texts/loop")->Unit(benchmark::kMillisecond);
BENCHMARK(texts_task<std::string_view>)->Name("lambda_texts/task_string_view")->Unit(benchmark::kMillisecond);
BENCHMARK(texts_task<std::string>)->Name("lambda_texts/task_string")->Unit(benchmark::kMillisecond);
// A loop by hand over records with std::string members: how fast one can be at all, and the measure of the task.
BENCHMARK(texts_loop<true>)->Name("lambda_texts/loop_of_records")->Unit(benchmark::kMillisecond);
BENCHMARK(texts_loop<true>)->Name("lambda_records/loop")->Unit(benchmark::kMillisecond);
BENCHMARK(texts_task<std::string>)->Name("lambda_records/task")->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace dataflow::bench
