// An `aggregate` of a batch whose groups do not fit into the memory that they may take: what is sorted, written and
// merged beside a hash table of any size. Each measurement is a process of its own, so that it has a peak of its own.
//
// Each benchmark says what it `measured` and what is asked for, `at_most`. DATAFLOW_BENCH_QUICK=1 takes a fiftieth of
// the keys and of the memory.

#include <benchmark/benchmark.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

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
const std::uint64_t keys = scaled(20'000'000);
const std::uint64_t budget_bytes = scaled(budget_mib << 20);

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

/// Each key twice, in an order that no table has.
Measured aggregate(StateBackendPtr spill) {
  const SchemaPtr schema = make_schema({{"k", TypeKind::int64}, {"v", TypeKind::int64}});
  WindowSpec spec;
  spec.kind = WindowKind::global;
  spec.key_fields = {0};
  for (const auto& [name, text] : {std::pair{"n", "count()"}, std::pair{"total", "sum(v)"}}) {
    auto compiled = compile_aggregate(text, *schema);
    if (!compiled) std::abort();
    spec.aggregates.push_back({name, std::move(*compiled)});
  }
  BatchContext context{std::move(spill)};
  Totals totals;
  const auto op = make_window_operator(std::move(spec), schema)->create();
  if (Status opened = op->open(context); !opened) give_up(opened.error());
  const auto finish = [&](Result<Step> step) {
    while (step && *step == Step::yield) step = op->resume(totals);
    if (!step) give_up(step.error());
  };
  const double start = cpu_seconds();
  constexpr std::uint64_t primes[] = {2'654'435'761, 2'246'822'519};  // each reaches every key once
  for (const std::uint64_t prime : primes) {
    for (std::uint64_t next = 0; next < keys;) {
      BatchBuilder rows{schema};
      for (; next < keys && !rows.full(); ++next) {
        rows.column(0).append_int64(static_cast<std::int64_t>(next * prime % keys));
        rows.column(1).append_int64(static_cast<std::int64_t>(next & 1023));
        rows.end_row();
      }
      finish(op->process(0, rows.finish(), totals));
    }
  }
  finish(op->on_watermark(Timestamp::max(), totals));
  return {cpu_seconds() - start, peak_of_process(), totals.rows, totals.sum};
}

/// In a process of its own.
Measured measure(bool with_budget) {
  int ends[2];
  if (::pipe(ends) != 0) std::abort();
  const pid_t child = ::fork();
  if (child == 0) {
    Measured measured;
    {
      const testing_support::TemporaryFolder folder;
      measured = aggregate(with_budget ? *make_spill_backend(folder / "state", budget_bytes) : StateBackendPtr{});
    }
    ::_exit(::write(ends[1], &measured, sizeof measured) == sizeof measured ? 0 : 1);
  }
  ::close(ends[1]);
  Measured measured;
  if (::read(ends[0], &measured, sizeof measured) != sizeof measured) std::abort();
  ::close(ends[0]);
  ::waitpid(child, nullptr, 0);
  std::fprintf(stderr, "%s: %.1f s of CPU, peak %.0f MB\n", with_budget ? "sorted runs" : "hash table",
               measured.cpu_seconds, measured.peak_mb);
  return measured;
}

const Measured& sorted() {
  static const Measured measured = measure(true);
  return measured;
}
const Measured& in_memory() {
  static const Measured measured = measure(false);
  return measured;
}

void time_ratio(benchmark::State& state) {
  for (auto _ : state) {
    if (sorted().rows != in_memory().rows || sorted().sum != in_memory().sum) std::abort();
    state.counters["measured"] = sorted().cpu_seconds / in_memory().cpu_seconds;
  }
  state.counters["at_most"] = 5;
}
void memory_ratio(benchmark::State& state) {
  for (auto _ : state) state.counters["measured"] = sorted().peak_mb / in_memory().peak_mb;
  state.counters["at_most"] = 0.25;
}
void peak_memory(benchmark::State& state) {
  for (auto _ : state) state.counters["measured"] = sorted().peak_mb;
  state.counters["at_most"] = static_cast<double>(budget_bytes >> 20) + 50;
}

#define BATCH_ROW(function, text) BENCHMARK(function)->Name("batch: " text "/engine")->Iterations(1)->Repetitions(1)
BATCH_ROW(time_ratio, "aggregate of 20 million keys, 256 MiB beside all memory, CPU time, ratio");
BATCH_ROW(memory_ratio, "aggregate of 20 million keys, 256 MiB beside all memory, peak memory, ratio");
BATCH_ROW(peak_memory, "aggregate of 20 million keys, 256 MiB, peak memory, MB");

}  // namespace

}  // namespace dataflow::bench
