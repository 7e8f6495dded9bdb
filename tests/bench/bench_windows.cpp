// Keyed windows of count and sum, tumbling and sliding, beside loops that do just that.

#include <benchmark/benchmark.h>

#include <map>
#include <random>
#include <tuple>

#include "libdataflow/windows/window_spec.hpp"
#include "serialization/builder.hpp"
#include "tests/bench/loops_windows.hpp"
#include "tests/bench/pipeline.hpp"

namespace dataflow::bench {
namespace {

constexpr std::int64_t second = 1'000'000;
constexpr std::int64_t window_size = 60 * second;
constexpr std::int64_t out_of_orderness = second;
constexpr std::size_t records_per_window = 4'000'000;
constexpr std::size_t windows = 4;
constexpr std::size_t records = records_per_window * windows;
constexpr std::size_t slices_per_window = 60;

enum class KeyKind : std::uint8_t { integer, text };

using Batches = std::shared_ptr<const std::vector<BatchPtr>>;

SchemaPtr schema_of(KeyKind kind) {
  return make_schema({{"key", kind == KeyKind::integer ? TypeKind::int64 : TypeKind::string},
                      {"value", TypeKind::int64},
                      {"at", TypeKind::timestamp}});
}

/// Records at even distances of time; of those in `late_percent` a random half second is taken off.
Batches make_records(KeyKind kind, std::int64_t keys, std::int64_t disorder_percent) {
  auto batches = std::make_shared<std::vector<BatchPtr>>();
  std::mt19937_64 random{42};
  BatchBuilder builder{schema_of(kind), max_batch_rows};
  for (std::size_t i = 0; i < records; ++i) {
    const auto key = static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(keys));
    if (kind == KeyKind::integer) {
      builder.column(0).append_int64(key);
    } else {
      const std::string digits = std::to_string(10'000'000 + key);
      builder.column(0).append_text("key-" + digits);
    }
    builder.column(1).append_int64(static_cast<std::int64_t>(random() % 1000));
    auto at = static_cast<std::int64_t>(i * window_size / records_per_window);
    if (static_cast<std::int64_t>(random() % 100) < disorder_percent) {
      at = std::max<std::int64_t>(0, at - static_cast<std::int64_t>(random() % (second / 2)));
    }
    builder.column(2).append_int64(at);
    builder.end_row();
    if (builder.rows() == max_batch_rows || i + 1 == records) batches->push_back(builder.finish());
  }
  return batches;
}

Batches records_of(KeyKind kind, std::int64_t keys, std::int64_t disorder_percent) {
  static std::map<std::tuple<KeyKind, std::int64_t, std::int64_t>, Batches> made;
  Batches& batches = made[{kind, keys, disorder_percent}];
  if (!batches) {
    made.clear();  // one set at a time: each takes hundreds of megabytes
    made[{kind, keys, disorder_percent}] = make_records(kind, keys, disorder_percent);
  }
  return made[{kind, keys, disorder_percent}];
}

WindowSpec count_and_sum(KeyKind kind) {
  const SchemaPtr schema = schema_of(kind);
  WindowSpec spec;
  spec.key_fields = {0};
  for (const auto& [name, text] : {std::pair{"n", "count()"}, std::pair{"total", "sum(value)"}}) {
    spec.aggregates.push_back({name, compile_aggregate(text, *schema).value()});
  }
  return spec;
}

void run_engine(benchmark::State& state, KeyKind kind, const WindowSpec& spec) {
  const Batches batches = records_of(kind, state.range(0), state.range(1));
  const SchemaPtr schema = schema_of(kind);
  const SchemaPtr output = window_output_schema(spec, *schema).value();
  for (auto _ : state) {
    Pipeline pipeline{schema, batches, 1, EventTimeSpec{.field = 2, .out_of_orderness = Duration{out_of_orderness}}};
    pipeline.then("window", make_window_operator(spec, schema), output);
    run_in_task(pipeline.finish());
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * records));
}

template <KeyKind kind>
void tumbling_engine(benchmark::State& state) {
  WindowSpec spec = count_and_sum(kind);
  spec.kind = WindowKind::tumbling;
  spec.size = Duration{window_size};
  run_engine(state, kind, spec);
}

template <KeyKind kind>
void sliding_engine(benchmark::State& state) {
  WindowSpec spec = count_and_sum(kind);
  spec.kind = WindowKind::sliding;
  spec.size = Duration{window_size};
  spec.slide = Duration{window_size / slices_per_window};
  run_engine(state, kind, spec);
}

/// With 10'000 keys nearly every record extends a session, with 1'000'000 nearly every one opens one.
void session_engine(benchmark::State& state) {
  WindowSpec spec = count_and_sum(KeyKind::integer);
  spec.kind = WindowKind::session;
  spec.gap = Duration{second};
  run_engine(state, KeyKind::integer, spec);
}

template <class Add>
void for_each_batch(const Batches& batches, Add add) {
  for (const BatchPtr& batch : *batches) {
    const Column& key = batch->column(0);
    const auto* values = batch->column(1).values.as<std::int64_t>();
    const auto* times = batch->column(2).values.as<std::int64_t>();
    add(batch->rows(), times, key, values);
  }
}

template <class Key>
auto key_reader(const Column& column) {
  if constexpr (std::is_same_v<Key, loops::IntKey>) {
    return [keys = column.values.as<std::int64_t>()](std::size_t i) { return keys[i]; };
  } else {
    return [&column](std::size_t i) { return column.text(i); };
  }
}

template <class Key, KeyKind kind>
void tumbling_loop(benchmark::State& state) {
  const Batches batches = records_of(kind, state.range(0), state.range(1));
  for (auto _ : state) {
    loops::TumblingLoop<Key> loop{window_size, out_of_orderness, static_cast<std::size_t>(state.range(0))};
    loops::Results<Key> results;
    for_each_batch(batches,
                   [&](std::size_t rows, const std::int64_t* times, const Column& key, const std::int64_t* values) {
                     loop.add(rows, times, key_reader<Key>(key), values);
                     loop.fire(results);
                     if (results.totals.size() >= max_batch_rows) results.clear();
                   });
    loop.finish(results);
    benchmark::DoNotOptimize(results.totals.data());
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * records));
}

void sliding_loop(benchmark::State& state) {
  using Key = loops::IntKey;
  const Batches batches = records_of(KeyKind::integer, state.range(0), state.range(1));
  for (auto _ : state) {
    loops::SlidingLoop<Key> loop{window_size, window_size / static_cast<std::int64_t>(slices_per_window),
                                 static_cast<std::size_t>(state.range(0))};
    loops::Results<Key> results;
    for_each_batch(batches,
                   [&](std::size_t rows, const std::int64_t* times, const Column& key, const std::int64_t* values) {
                     loop.add(rows, times, key_reader<Key>(key), values, results);
                     if (results.totals.size() >= max_batch_rows) results.clear();
                   });
    loop.finish(results);
    benchmark::DoNotOptimize(results.totals.data());
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * records));
}

void keys_and_disorder(benchmark::internal::Benchmark* b) {
  b->Args({10'000, 0})->Args({1'000'000, 0})->Args({10'000, 1})->Args({1'000'000, 1})->Unit(benchmark::kMillisecond);
}

BENCHMARK(tumbling_loop<loops::IntKey, KeyKind::integer>)->Name("tumbling int64/loop")->Apply(keys_and_disorder);
BENCHMARK(tumbling_engine<KeyKind::integer>)->Name("tumbling int64/engine")->Apply(keys_and_disorder);
BENCHMARK(tumbling_loop<loops::ShortKey, KeyKind::text>)->Name("tumbling string/loop")->Apply(keys_and_disorder);
BENCHMARK(tumbling_engine<KeyKind::text>)->Name("tumbling string/engine")->Apply(keys_and_disorder);
BENCHMARK(sliding_loop)->Name("sliding int64/loop")->Args({10'000, 0})->Unit(benchmark::kMillisecond);
BENCHMARK(sliding_engine<KeyKind::integer>)
    ->Name("sliding int64/engine")
    ->Args({10'000, 0})
    ->Unit(benchmark::kMillisecond);
BENCHMARK(session_engine)->Name("session int64/engine")->Apply(keys_and_disorder);

}  // namespace
}  // namespace dataflow::bench
