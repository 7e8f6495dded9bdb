// map, and filter with a projection, over batches in memory: what the columns, the expressions and the Task around them
// cost beside a loop over the same arrays.

#include <benchmark/benchmark.h>

#include <random>

#include "libdataflow/operators/filter.hpp"
#include "libdataflow/operators/select.hpp"
#include "serialization/builder.hpp"
#include "tests/bench/pipeline.hpp"

namespace dataflow::bench {
namespace {

constexpr std::size_t batch_count = 64;  // 64 batches of 4096 rows and 5 columns: beyond the caches
constexpr std::size_t passes = 256;
constexpr std::size_t rows_in_all = batch_count * max_batch_rows * passes;

/// Bids as in the Nexmark benchmark.
SchemaPtr bid_schema() {
  static const SchemaPtr schema = make_schema({{"auction", TypeKind::int64},
                                               {"bidder", TypeKind::int64},
                                               {"price", TypeKind::float64},
                                               {"channel", TypeKind::string},
                                               {"time", TypeKind::timestamp}});
  return schema;
}

std::shared_ptr<const std::vector<BatchPtr>> bids() {
  static const auto batches = [] {
    auto made = std::make_shared<std::vector<BatchPtr>>();
    std::mt19937_64 random{4711};
    std::uniform_real_distribution<double> price{0, 100};
    std::int64_t time = 0;
    for (std::size_t b = 0; b < batch_count; ++b) {
      BatchBuilder builder{bid_schema(), max_batch_rows};
      for (std::uint32_t row = 0; row < max_batch_rows; ++row) {
        builder.column(0).append_int64(static_cast<std::int64_t>(random() % 1000));
        builder.column(1).append_int64(static_cast<std::int64_t>(random() % 100'000));
        builder.column(2).append_float64(price(random));
        builder.column(3).append_text("channel-" + std::to_string(1000 + random() % 1000));
        builder.column(4).append_int64(time += 100);
        builder.end_row();
      }
      made->push_back(builder.finish());
    }
    return made;
  }();
  return batches;
}

Expression compiled(std::string_view text) {
  auto expression = Expression::compile(text, *bid_schema());
  if (!expression) require(fail(ErrorCode::invalid_argument, expression.error().message));
  return *std::move(expression);
}

/// How the source and the operator behind it are joined.
enum class Join { chained, by_channel };

Pipeline bid_pipeline(Join join) {
  Pipeline pipeline{bid_schema(), bids(), passes};
  if (join == Join::by_channel) pipeline.apart_from_source();
  return pipeline;
}

StreamGraph map_graph(Join join) {
  std::vector<Expression> fields;
  for (const char* text : {"auction", "bidder", "price * 0.908", "channel", "time"}) fields.push_back(compiled(text));
  Pipeline pipeline = bid_pipeline(join);
  pipeline.then("map", make_select(std::move(fields), bid_schema()), bid_schema());
  return pipeline.finish();
}

StreamGraph filter_project_graph(Join join) {
  const SchemaPtr projected = make_schema({{"auction", TypeKind::int64}, {"price", TypeKind::float64}});
  Pipeline pipeline = bid_pipeline(join);
  pipeline.then("filter", make_filter(compiled("price > 50"), bid_schema()), bid_schema());
  pipeline.then("project", make_select({compiled("auction"), compiled("price")}, projected), projected);
  return pipeline.finish();
}

void count_rows(benchmark::State& state) {
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * rows_in_all));
}

template <StreamGraph (*make_graph)(Join)>
void through_task(benchmark::State& state) {
  for (auto _ : state) run_in_task(make_graph(Join::chained));
  count_rows(state);
}

template <StreamGraph (*make_graph)(Join)>
void through_actors(benchmark::State& state) {
  for (auto _ : state) run_in_actors(make_graph(Join::by_channel));
  count_rows(state);
}

void map_loop(benchmark::State& state) {
  std::vector<double> out(max_batch_rows);
  for (auto _ : state) {
    for (std::size_t pass = 0; pass < passes; ++pass) {
      for (const BatchPtr& batch : *bids()) {
        const double* price = batch->column(2).values.as<double>();
        for (std::uint32_t row = 0; row < batch->rows(); ++row) out[row] = price[row] * 0.908;
        benchmark::DoNotOptimize(out.data());
        benchmark::ClobberMemory();
      }
    }
  }
  count_rows(state);
}

void filter_project_loop(benchmark::State& state) {
  std::vector<std::int64_t> auctions(max_batch_rows);
  std::vector<double> prices(max_batch_rows);
  for (auto _ : state) {
    for (std::size_t pass = 0; pass < passes; ++pass) {
      for (const BatchPtr& batch : *bids()) {
        const auto* auction = batch->column(0).values.as<std::int64_t>();
        const auto* price = batch->column(2).values.as<double>();
        std::size_t kept = 0;
        for (std::uint32_t row = 0; row < batch->rows(); ++row) {
          // Written always, kept when true: a branch would be mispredicted every other row.
          auctions[kept] = auction[row];
          prices[kept] = price[row];
          kept += price[row] > 50 ? 1 : 0;
        }
        benchmark::DoNotOptimize(auctions.data());
        benchmark::DoNotOptimize(prices.data());
        benchmark::ClobberMemory();
      }
    }
  }
  count_rows(state);
}

BENCHMARK(map_loop)->Name("map/loop")->Unit(benchmark::kMillisecond);
BENCHMARK(through_task<map_graph>)->Name("map/task")->Unit(benchmark::kMillisecond);
BENCHMARK(through_actors<map_graph>)->Name("map/actors")->Unit(benchmark::kMillisecond)->MeasureProcessCPUTime();
BENCHMARK(filter_project_loop)->Name("filter_project/loop")->Unit(benchmark::kMillisecond);
BENCHMARK(through_task<filter_project_graph>)->Name("filter_project/task")->Unit(benchmark::kMillisecond);
BENCHMARK(through_actors<filter_project_graph>)
    ->Name("filter_project/actors")
    ->Unit(benchmark::kMillisecond)
    ->MeasureProcessCPUTime();

}  // namespace
}  // namespace dataflow::bench
