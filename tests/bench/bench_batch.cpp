// Operators of a batch whose keys do not fit into the memory that they may take: what is sorted, written and read again
// beside a hash table of any size. Each measurement is a process of its own, so that it has a peak of its own.
//
// Each benchmark says what it `measured` and what is asked for, `at_most`. DATAFLOW_BENCH_QUICK=1 takes a fiftieth of
// the keys and of the memory.

#include <benchmark/benchmark.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <dataflow/dataflow.hpp>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>

#include "libdataflow/state/state_backend.hpp"
#include "libdataflow/windows/window_spec.hpp"
#include "serialization/builder.hpp"
#include "tests/support/temporary_folder.hpp"

namespace dataflow::bench {

namespace {

constexpr std::uint64_t budget_mib = 256;

std::uint64_t scaled(std::uint64_t full) {
  return std::getenv("DATAFLOW_BENCH_QUICK") != nullptr ? full / 50 : full;
}
const std::uint64_t budget_bytes = scaled(budget_mib << 20);

struct Row {
  std::int64_t k = 0;
  std::int64_t v = 0;
};
DATAFLOW_RECORD(Row, k, v)
struct TimedRow {
  std::int64_t k = 0;
  std::int64_t v = 0;
  Timestamp time;
};
DATAFLOW_RECORD(TimedRow, k, v, time)

[[noreturn]] void give_up(const Error& error) {
  std::fprintf(stderr, "%s\n", error.message().c_str());
  std::abort();
}

class BatchContext final : public OperatorContext {
 public:
  explicit BatchContext(StateBackendPtr spill) : spill_{std::move(spill)} {}
  [[nodiscard]] const std::string& operator_name() const override { return name_; }
  [[nodiscard]] std::uint32_t subtask() const override { return 0; }
  [[nodiscard]] std::uint32_t parallelism() const override { return 1; }
  [[nodiscard]] std::uint32_t max_parallelism() const override { return 128; }
  [[nodiscard]] std::uint32_t attempt() const override { return 0; }
  [[nodiscard]] const std::string& job_id() const override { return name_; }
  [[nodiscard]] Timestamp now() const override { return {}; }
  [[nodiscard]] Timestamp watermark() const override { return Timestamp::min(); }
  [[nodiscard]] StateBackendPtr spill_backend() const override { return spill_; }
  Counter& counter(std::string_view name) override { return counters_[std::string{name}]; }

 private:
  std::string name_ = "totals";
  std::map<std::string, Counter> counters_;
  StateBackendPtr spill_;
};

/// What has to be the same however it was computed.
class Totals final : public OperatorOutput {
 public:
  void emit(BatchPtr batch, std::size_t) override {
    rows += batch->rows();
    for (std::size_t column = 1; column < batch->columns().size(); ++column) {
      for (const std::int64_t value : batch->column(column).as<std::int64_t>()) sum += value;
    }
  }
  [[nodiscard]] bool full() const override { return false; }

  std::uint64_t rows = 0;
  std::int64_t sum = 0;
};

struct Measured {
  double cpu_seconds = 0;
  double peak_mb = 0;
  std::uint64_t rows = 0;
  std::int64_t sum = 0;
};

double cpu_seconds() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

/// In megabytes, of this process.
double peak_of_process() {
  std::ifstream status{"/proc/self/status"};
  double kilobytes = 0;
  for (std::string word; status >> word;) {
    if (word == "VmHWM:") status >> kilobytes;
  }
  return kilobytes / 1024;
}

OperatorFactoryPtr aggregate(ExecutionMode) {
  WindowSpec spec;
  spec.kind = WindowKind::global;
  spec.key_fields = {0};
  for (const auto& [name, text] : {std::pair{"n", "count()"}, std::pair{"total", "sum(v)"}}) {
    auto compiled = compile_aggregate(text, *schema_of<Row>());
    if (!compiled) std::abort();
    spec.aggregates.push_back({name, std::move(*compiled)});
  }
  return make_window_operator(std::move(spec), schema_of<Row>());
}

/// The operator of a job's node "measured".
template <class Build>
OperatorFactoryPtr of_job(ExecutionMode mode, Build build) {
  Environment env;
  env.settings().mode = mode;
  build(env.generate(1, [](std::int64_t) { return TimedRow{}; }).event_time(&TimedRow::time).key_by(&TimedRow::k));
  const auto graph = env.build("bench");
  if (!graph) give_up(graph.error());
  for (const StreamNode& node : graph->nodes) {
    if (node.name == "measured") return node.factory;
  }
  std::abort();
}

/// A small value of a key and the next one, which is large.
OperatorFactoryPtr pattern(ExecutionMode mode) {
  return of_job(mode, [](KeyedStream<TimedRow, std::int64_t> rows) {
    rows.pattern(Pattern<TimedRow>::begin("small")
                     .where([](const TimedRow& row) { return row.v < 512; })
                     .next("large")
                     .where([](const TimedRow& row) { return row.v >= 512; })
                     .within(std::chrono::hours{1}))
        .select([](const Match<TimedRow>& m) {
          return Row{m.first("small")->k, m.first("small")->v + m.last("large")->v};
        })
        .named("measured")
        .discard();
  });
}

/// The sum of a key's values, once time has passed the last of them by an hour.
class Sums : public KeyedProcess<std::int64_t, TimedRow, Row> {
 public:
  void process(const TimedRow& row, Context& context, Output<Row>&) override {
    if (last_) context.delete_event_timer(*last_);
    sum_ = sum_.value_or(0) + row.v;
    last_ = row.time + std::chrono::hours{1};
    context.on_event_time(*last_);
  }
  void on_timer(Timestamp, Context& context, Output<Row>& out) override {
    out.emit({context.key(), *sum_});
    sum_.clear();
    last_.clear();
  }

 private:
  ValueState<std::int64_t> sum_{this, "sum"};
  ValueState<Timestamp> last_{this, "last"};
};
OperatorFactoryPtr function(ExecutionMode mode) {
  return of_job(mode,
                [](KeyedStream<TimedRow, std::int64_t> rows) { rows.process<Sums>().named("measured").discard(); });
}

/// What is measured: an operator over rows of so many keys.
struct Case {
  const char* name;
  std::uint64_t keys;
  OperatorFactoryPtr (*make)(ExecutionMode);
  bool timed;
};
const Case aggregate_case{"aggregate", scaled(20'000'000), aggregate, false};
const Case pattern_case{"pattern", scaled(4'000'000), pattern, true};
const Case function_case{"function", scaled(4'000'000), function, true};

/// Each key twice, in an order that no table has.
Measured run(const Case& of, StateBackendPtr spill) {
  const SchemaPtr schema = of.timed ? schema_of<TimedRow>() : schema_of<Row>();
  const auto op = of.make(spill ? ExecutionMode::batch : ExecutionMode::streaming)->create();
  BatchContext context{std::move(spill)};
  Totals totals;
  if (Status opened = op->open(context); !opened) give_up(opened.error());
  const auto finish = [&](Result<Step> step) {
    while (step && *step == Step::yield) step = op->resume(totals);
    if (!step) give_up(step.error());
  };
  const double start = cpu_seconds();
  constexpr std::uint64_t primes[] = {2'654'435'761, 2'246'822'519};  // each reaches every key once
  Timestamp time;
  for (const std::uint64_t prime : primes) {
    for (std::uint64_t next = 0; next < of.keys;) {
      BatchBuilder rows{schema};
      for (; next < of.keys && !rows.full(); ++next) {
        rows.column(0).append_int64(static_cast<std::int64_t>(next * prime % of.keys));
        rows.column(1).append_int64(static_cast<std::int64_t>(next & 1023));
        if (of.timed) {
          time = time + Duration{1};
          rows.column(2).append_int64(time.micros);
          rows.end_row(time);
        } else {
          rows.end_row();
        }
      }
      finish(op->process(0, rows.finish(), totals));
    }
  }
  finish(op->on_watermark(Timestamp::max(), totals));
  return {cpu_seconds() - start, peak_of_process(), totals.rows, totals.sum};
}

/// In a process of its own.
Measured measure(const Case& of, bool with_budget) {
  int ends[2];
  if (::pipe(ends) != 0) std::abort();
  const pid_t child = ::fork();
  if (child == 0) {
    Measured measured;
    {
      const testing_support::TemporaryFolder folder;
      measured = run(of, with_budget ? *make_spill_backend(folder / "state", budget_bytes) : StateBackendPtr{});
    }
    ::_exit(::write(ends[1], &measured, sizeof measured) == sizeof measured ? 0 : 1);
  }
  ::close(ends[1]);
  Measured measured;
  if (::read(ends[0], &measured, sizeof measured) != sizeof measured) std::abort();
  ::close(ends[0]);
  ::waitpid(child, nullptr, 0);
  std::fprintf(stderr, "%s, %s: %.1f s of CPU, peak %.0f MB\n", of.name, with_budget ? "sorted" : "in memory",
               measured.cpu_seconds, measured.peak_mb);
  return measured;
}

template <const Case& of>
const Measured& sorted() {
  static const Measured measured = measure(of, true);
  return measured;
}
template <const Case& of>
const Measured& in_memory() {
  static const Measured measured = measure(of, false);
  return measured;
}

template <const Case& of, int at_most>
void time_ratio(benchmark::State& state) {
  for (auto _ : state) {
    if (sorted<of>().rows != in_memory<of>().rows || sorted<of>().sum != in_memory<of>().sum) std::abort();
    state.counters["measured"] = sorted<of>().cpu_seconds / in_memory<of>().cpu_seconds;
  }
  state.counters["at_most"] = at_most;
}
template <const Case& of, int percent>
void memory_ratio(benchmark::State& state) {
  for (auto _ : state) state.counters["measured"] = sorted<of>().peak_mb / in_memory<of>().peak_mb;
  state.counters["at_most"] = percent / 100.0;
}
template <const Case& of>
void peak_memory(benchmark::State& state) {
  for (auto _ : state) state.counters["measured"] = sorted<of>().peak_mb;
  state.counters["at_most"] = static_cast<double>(budget_bytes >> 20) + 50;
}

#define BATCH_ROW(text, ...) BENCHMARK(__VA_ARGS__)->Name("batch: " text "/engine")->Iterations(1)->Repetitions(1)
#define BATCH_ROWS(of, text, times, percent)                                                    \
  BATCH_ROW(text ", 256 MiB beside all memory, CPU time, ratio", time_ratio<of, times>);        \
  BATCH_ROW(text ", 256 MiB beside all memory, peak memory, ratio", memory_ratio<of, percent>); \
  BATCH_ROW(text ", 256 MiB, peak memory, MB", peak_memory<of>)
BATCH_ROWS(aggregate_case, "aggregate of 20 million keys", 5, 25);
BATCH_ROWS(pattern_case, "pattern of 4 million keys", 2, 35);
BATCH_ROWS(function_case, "process function of 4 million keys", 2, 45);

}  // namespace

}  // namespace dataflow::bench
