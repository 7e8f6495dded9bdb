// The Nexmark queries of apps/nexmark, as the topologies that users run, beside loops written by hand. Both read the
// same events out of memory, the streams in step: the generator's time is on neither side.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "libdataflow/sources/nexmark_source.hpp"
#include "libdataflow/topology/topology.hpp"
#include "tests/bench/loops_nexmark.hpp"
#include "tests/bench/loops_nexmark_files.hpp"
#include "tests/bench/loops_nexmark_joins.hpp"
#include "tests/bench/loops_nexmark_keyed.hpp"
#include "tests/bench/pipeline.hpp"
#include "tests/support/temporary_folder.hpp"

namespace dataflow::bench {
namespace {

/// Few when only that it works is asked.
std::uint64_t event_count() {
  return std::getenv("DATAFLOW_BENCH_QUICK") != nullptr ? 100'000 : 4'000'000;
}

using Batches = std::shared_ptr<const std::vector<BatchPtr>>;

/// What one source gives in batches of so many rows.
class Kept final : public SourceOutput {
 public:
  explicit Kept(std::uint32_t batch_rows) : batch_rows_{batch_rows} {}
  std::shared_ptr<std::vector<BatchPtr>> batches = std::make_shared<std::vector<BatchPtr>>();
  void emit(BatchPtr batch, std::string_view) override { batches->push_back(std::move(batch)); }
  void malformed(std::string_view, std::string_view, std::string_view) override {}
  [[nodiscard]] bool full() const override { return false; }
  [[nodiscard]] std::uint32_t batch_rows() const override { return batch_rows_; }

 private:
  std::uint32_t batch_rows_;
};

template <class T>
T required(Result<T> result) {
  if (!result) require(fail(result.error()));
  return *std::move(result);
}

/// A kind of event, or all of them: of 50 in a row so many are of it. The batches of all kinds are of the same 50s.
struct Stream {
  std::optional<NexmarkKind> kind;
  std::string_view source;  ///< its name in the topologies
  std::uint32_t in_fifty;
};
constexpr std::array<Stream, 4> streams{{{NexmarkKind::person, "people", 1},
                                         {NexmarkKind::auction, "auctions", 3},
                                         {NexmarkKind::bid, "bids", 46},
                                         {std::nullopt, "events", 50}}};
/// What queries read of all events.
constexpr std::array<std::string_view, 5> fields_of_all{"event_type", "id", "name", "seller", "date_time"};
constexpr std::uint32_t fifties_in_a_batch = max_batch_rows / 46;

Batches read_all(const SourceFactory& source, std::uint32_t batch_rows) {
  const auto enumerator = source.create_enumerator();
  require(enumerator->open(1));
  const auto reader = source.create_reader();
  Kept kept{batch_rows};
  while (true) {
    const auto next = required(enumerator->next(0, {}));
    if (next.kind != SplitEnumerator::Next::Kind::split) return kept.batches;
    require(reader->start_split(next.split));
    while (required(reader->poll(kept)).kind != SourceStep::Kind::split_end) {
    }
  }
}

const Batches& batches_of(const Stream& stream) {
  static std::array<Batches, streams.size()> made;
  Batches& batches = made[static_cast<std::size_t>(&stream - streams.data())];
  if (!batches) {
    NexmarkSourceSpec spec;
    spec.events.start = required(parse_iso8601("2015-07-15T00:00:00"));
    spec.count = event_count();
    spec.only = stream.kind;
    const SchemaPtr schema = nexmark_schema(spec.only);
    for (const Field& field : schema->fields()) {
      const bool read = std::find(fields_of_all.begin(), fields_of_all.end(), field.name) != fields_of_all.end();
      spec.read.push_back(read || spec.only);
    }
    batches = read_all(*make_nexmark_source(spec), stream.in_fifty * fifties_in_a_batch);
  }
  return batches;
}

StreamGraph load(int query) {
  const std::filesystem::path file =
      std::filesystem::path{DATAFLOW_SOURCE_DIR} / "apps/nexmark" / ("q" + std::to_string(query) + ".toml");
  LoadOptions options;
  options.overrides = {"parallelism=1"};
  LoadedTopology loaded = load_topology(file, options);
  if (!loaded.topology) require(fail(ErrorCode::invalid_argument, loaded.diagnostics.front().message));
  return std::move(loaded.topology->graph);
}

/// Null for a source that is none of the streams: what it gives is made while the query runs.
const Stream* stream_of(const StreamNode& node) {
  const auto* found =
      std::find_if(streams.begin(), streams.end(), [&](const Stream& s) { return s.source == node.name; });
  return node.is_source() && found != streams.end() ? found : nullptr;
}

std::int64_t rows_of(const Stream& stream) {
  std::int64_t rows = 0;
  for (const BatchPtr& batch : *batches_of(stream)) rows += batch->rows();
  return rows;
}

/// Events that a query takes.
std::int64_t events_of(int query) {
  std::int64_t count = 0;
  for (const StreamNode& node : load(query).nodes) {
    if (const Stream* stream = stream_of(node)) count += rows_of(*stream);
  }
  return count;
}

/// The query over events in memory.
StreamGraph load_over_events(int query) {
  StreamGraph graph = load(query);
  for (StreamNode& node : graph.nodes) {
    if (const Stream* stream = stream_of(node)) {
      node.source->factory = std::make_shared<ReplaySource>(batches_of(*stream), 1);
    }
  }
  return graph;
}

/// The query with a sink that counts.
void through_task(benchmark::State& state, int query) {
  const std::int64_t events = events_of(query);
  const auto count = std::make_shared<Count>();
  for (auto _ : state) {
    state.PauseTiming();
    StreamGraph graph = load_over_events(query);
    graph.nodes.back().factory = std::make_shared<CountSink>(count);
    state.ResumeTiming();
    run_in_task(std::move(graph));
  }
  if (count->rows == 0) require(fail(ErrorCode::internal, "the query gave nothing"));
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()) * events);
  state.counters["rows"] = static_cast<double>(count->rows) / static_cast<double>(state.iterations());
}

class Columns {
 public:
  explicit Columns(const Batch& batch) : batch_{batch} {}
  [[nodiscard]] const std::int64_t* numbers(std::string_view field) const {
    return column(field).values.as<std::int64_t>();
  }
  [[nodiscard]] const std::int32_t* kinds(std::string_view field) const {
    return column(field).values.as<std::int32_t>();
  }
  [[nodiscard]] loops::Texts texts(std::string_view field) const {
    return {column(field).offset_data(), column(field).values.as<char>()};
  }

 private:
  [[nodiscard]] const Column& column(std::string_view field) const {
    return batch_.column(batch_.schema()->find(field).value());
  }
  const Batch& batch_;
};

loops::People people_in(const Batch& batch) {
  const Columns of{batch};
  return {batch.rows(),     of.numbers("id"),  of.texts("name"),
          of.texts("city"), of.texts("state"), of.numbers("date_time")};
}

loops::Auctions auctions_in(const Batch& batch) {
  const Columns of{batch};
  return {batch.rows(),
          of.numbers("id"),
          of.texts("item_name"),
          of.texts("description"),
          of.numbers("initial_bid"),
          of.numbers("reserve"),
          of.numbers("date_time"),
          of.numbers("expires"),
          of.numbers("seller"),
          of.numbers("category"),
          of.texts("extra")};
}

loops::Bids bids_in(const Batch& batch) {
  const Columns of{batch};
  return {batch.rows(),        of.numbers("auction"), of.numbers("bidder"),    of.numbers("price"),
          of.texts("channel"), of.texts("url"),       of.numbers("date_time"), of.texts("extra")};
}

loops::Events events_in(const Batch& batch) {
  const Columns of{batch};
  return {batch.rows(),     of.kinds("event_type"), of.numbers("id"),
          of.texts("name"), of.numbers("seller"),   of.numbers("date_time")};
}

template <class Loop, class Rows>
void add(Loop& query, const Rows& rows) {
  query.given.begin();
  query.add(rows);
  benchmark::DoNotOptimize(query.given.data());
  benchmark::ClobberMemory();
}

/// Batch by batch, each stream that the query reads in its turn.
template <class Loop>
void loop(benchmark::State& state) {
  constexpr bool takes_people = requires(Loop & query) {
    query.add(loops::People{});
  };
  constexpr bool takes_auctions = requires(Loop & query) {
    query.add(loops::Auctions{});
  };
  constexpr bool takes_bids = requires(Loop & query) {
    query.add(loops::Bids{});
  };
  constexpr bool takes_all = requires(Loop & query) {
    query.add(loops::Events{});
  };
  const auto input = [](bool taken, const Stream& stream) {
    return taken ? batches_of(stream) : std::make_shared<const std::vector<BatchPtr>>();
  };
  const Batches people = input(takes_people, streams[0]);
  const Batches auctions = input(takes_auctions, streams[1]);
  const Batches bids = input(takes_bids, streams[2]);
  const Batches all = input(takes_all, streams[3]);
  std::int64_t events = 0;
  for (const Batches& batches : {people, auctions, bids, all}) {
    for (const BatchPtr& batch : *batches) events += batch->rows();
  }
  std::uint64_t given = 0;
  for (auto _ : state) {
    Loop query;
    for (std::size_t i = 0; i < std::max({people->size(), auctions->size(), bids->size(), all->size()}); ++i) {
      if constexpr (takes_people) {
        if (i < people->size()) add(query, people_in(*(*people)[i]));
      }
      if constexpr (takes_auctions) {
        if (i < auctions->size()) add(query, auctions_in(*(*auctions)[i]));
      }
      if constexpr (takes_bids) {
        if (i < bids->size()) add(query, bids_in(*(*bids)[i]));
      }
      if constexpr (takes_all) {
        if (i < all->size()) add(query, events_in(*(*all)[i]));
      }
    }
    query.finish();
    benchmark::DoNotOptimize(query.given.data());
    given = query.given.total();
    if (given == 0) require(fail(ErrorCode::internal, "the loop gave nothing"));
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()) * events);
  state.counters["rows"] = static_cast<double>(given);
}

template <int Query>
void task(benchmark::State& state) {
  through_task(state, Query);
}

/// Bytes of the files in the folder, which is empty afterwards.
double take_bytes(const std::filesystem::path& folder) {
  std::uintmax_t bytes = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator{folder}) {
    if (entry.is_regular_file()) bytes += entry.file_size();
  }
  for (const auto& entry : std::filesystem::directory_iterator{folder}) std::filesystem::remove_all(entry);
  if (bytes == 0) require(fail(ErrorCode::internal, "no file was written"));
  return static_cast<double>(bytes);
}

/// Query 10 writes files, which need a job that commits them: under the actors, on the core that it is pinned to.
void files(benchmark::State& state) {
  const testing_support::TemporaryFolder folder;
  ::setenv("NEXMARK_OUTPUT", folder.path().c_str(), 1);
  const std::int64_t events = events_of(10);
  double bytes = 0;
  for (auto _ : state) {
    state.PauseTiming();
    StreamGraph graph = load_over_events(10);
    state.ResumeTiming();
    run_in_actors(std::move(graph));
    state.PauseTiming();
    bytes = take_bytes(folder.path());
    state.ResumeTiming();
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()) * events);
  state.counters["bytes"] = bytes;
}

void files_loop(benchmark::State& state) {
  const testing_support::TemporaryFolder folder;
  const Batches bids = batches_of(streams[2]);
  double bytes = 0;
  std::uint64_t rows = 0;
  for (auto _ : state) {
    {
      loops::Q10 query{folder.path()};
      for (const BatchPtr& batch : *bids) query.add(bids_in(*batch));
      query.finish();
      rows = query.rows();
    }
    state.PauseTiming();
    bytes = take_bytes(folder.path());
    state.ResumeTiming();
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * rows));
  state.counters["bytes"] = bytes;
}

BENCHMARK(loop<loops::Q0>)->Name("nexmark_q0/loop")->Unit(benchmark::kMillisecond);
BENCHMARK(task<0>)->Name("nexmark_q0/task")->Unit(benchmark::kMillisecond);
BENCHMARK(loop<loops::Q1>)->Name("nexmark_q1/loop")->Unit(benchmark::kMillisecond);
BENCHMARK(task<1>)->Name("nexmark_q1/task")->Unit(benchmark::kMillisecond);
BENCHMARK(loop<loops::Q2>)->Name("nexmark_q2/loop")->Unit(benchmark::kMillisecond);
BENCHMARK(task<2>)->Name("nexmark_q2/task")->Unit(benchmark::kMillisecond);
BENCHMARK(loop<loops::Q3>)->Name("nexmark_q3/loop")->Unit(benchmark::kMillisecond);
BENCHMARK(task<3>)->Name("nexmark_q3/task")->Unit(benchmark::kMillisecond);
BENCHMARK(loop<loops::Q4>)->Name("nexmark_q4/loop")->Unit(benchmark::kMillisecond);
BENCHMARK(task<4>)->Name("nexmark_q4/task")->Unit(benchmark::kMillisecond);
BENCHMARK(loop<loops::Q5>)->Name("nexmark_q5/loop")->Unit(benchmark::kMillisecond);
BENCHMARK(task<5>)->Name("nexmark_q5/task")->Unit(benchmark::kMillisecond);
BENCHMARK(loop<loops::Q6>)->Name("nexmark_q6/loop")->Unit(benchmark::kMillisecond);
BENCHMARK(task<6>)->Name("nexmark_q6/task")->Unit(benchmark::kMillisecond);
BENCHMARK(loop<loops::Q7>)->Name("nexmark_q7/loop")->Unit(benchmark::kMillisecond);
BENCHMARK(task<7>)->Name("nexmark_q7/task")->Unit(benchmark::kMillisecond);
BENCHMARK(loop<loops::Q8>)->Name("nexmark_q8/loop")->Unit(benchmark::kMillisecond);
BENCHMARK(task<8>)->Name("nexmark_q8/task")->Unit(benchmark::kMillisecond);
BENCHMARK(loop<loops::Q9>)->Name("nexmark_q9/loop")->Unit(benchmark::kMillisecond);
BENCHMARK(task<9>)->Name("nexmark_q9/task")->Unit(benchmark::kMillisecond);
BENCHMARK(files_loop)->Name("nexmark_q10/loop")->Unit(benchmark::kMillisecond)->MeasureProcessCPUTime();
BENCHMARK(files)->Name("nexmark_q10/task")->Unit(benchmark::kMillisecond)->MeasureProcessCPUTime();
BENCHMARK(loop<loops::Q11>)->Name("nexmark_q11/loop")->Unit(benchmark::kMillisecond);
BENCHMARK(task<11>)->Name("nexmark_q11/task")->Unit(benchmark::kMillisecond);
BENCHMARK(loop<loops::Q12>)->Name("nexmark_q12/loop")->Unit(benchmark::kMillisecond);
BENCHMARK(task<12>)->Name("nexmark_q12/task")->Unit(benchmark::kMillisecond);
BENCHMARK(loop<loops::Q13>)->Name("nexmark_q13/loop")->Unit(benchmark::kMillisecond);
BENCHMARK(task<13>)->Name("nexmark_q13/task")->Unit(benchmark::kMillisecond);
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
BENCHMARK(loop<loops::Q20>)->Name("nexmark_q20/loop")->Unit(benchmark::kMillisecond);
BENCHMARK(task<20>)->Name("nexmark_q20/task")->Unit(benchmark::kMillisecond);
BENCHMARK(loop<loops::Q21>)->Name("nexmark_q21/loop")->Unit(benchmark::kMillisecond);
BENCHMARK(task<21>)->Name("nexmark_q21/task")->Unit(benchmark::kMillisecond);
BENCHMARK(loop<loops::Q22>)->Name("nexmark_q22/loop")->Unit(benchmark::kMillisecond);
BENCHMARK(task<22>)->Name("nexmark_q22/task")->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace dataflow::bench
