// The state of process functions while checkpoints are taken: what they cost the function, what they write, what comes
// back and how fast, and how the store beside the heap does. Not pinned to a core: what writes checkpoints has the
// other.
//
// Each benchmark says what it `measured` and what is asked for, `at_most` or `at_least`. DATAFLOW_BENCH_QUICK=1 takes a
// fiftieth of the state and of the time. What a thread has waited for a core, while other programs had them all, is not
// counted: that is said of the machine and not of the engine.

#include <benchmark/benchmark.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "libdataflow/checkpoint/copied_storage.hpp"
#include "tests/bench/keyed_state_run.hpp"
#include "tests/support/temporary_folder.hpp"

namespace dataflow::bench {

namespace {

using testing_support::TemporaryFolder;
namespace fs = std::filesystem;

bool quick() {
  return std::getenv("DATAFLOW_BENCH_QUICK") != nullptr;
}
std::uint64_t scaled(std::uint64_t full) {
  return quick() ? full / 50 : full;
}
void at_most(benchmark::State& state, double measured, double limit) {
  state.counters["measured"] = measured;
  state.counters["at_most"] = limit;
}
void at_least(benchmark::State& state, double measured, double limit) {
  state.counters["measured"] = measured;
  state.counters["at_least"] = limit;
}

/// About 100 bytes with its key.
struct Wide {
  std::int64_t a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0, i = 0, j = 0;
};
DATAFLOW_RECORD(Wide, a, b, c, d, e, f, g, h, i, j)
constexpr std::uint64_t wide_bytes = 100;

struct WideFunction : StateOwner {
  ValueState<Wide> wide{this, "wide"};
  void add(std::int64_t key) {
    Wide value =
        wide.value_or(Wide{key, key * 3, key * 5, key * 7, key * 11, key * 13, key * 17, key * 19, key * 23, 0});
    ++value.j;
    wide = value;
  }
};
struct SumFunction : StateOwner {
  ReducingState<std::int64_t> sum{this, "sum"};
  void add(std::int64_t key) { sum.add(key); }
};

/// A function's throughput with checkpoints beside none, in rounds that take turns.
struct Comparison {
  Throughput without;
  Throughput with;
  double new_bytes = 0;  ///< of all the checkpoints that were taken meanwhile
  double checkpoints = 0;

  [[nodiscard]] double new_bytes_each() const { return new_bytes / std::max(1.0, checkpoints); }
  [[nodiscard]] double ratio() const { return with.per_second() / without.per_second(); }
  /// Of the function's thread alone: what it does more, and not what it waits.
  [[nodiscard]] double cpu_ratio() const { return with.per_cpu_second() / without.per_cpu_second(); }
};

double restore_seconds(Checkpoints& checkpoints, const CheckpointStoragePtr& storage, const StateBackendPtr& backend) {
  const Stopwatch watch;
  const auto checkpoint = checkpoints.newest(storage);
  Keyed<WideFunction> restored{backend};
  must(restored.runtime().restore(*checkpoint->reader("op", 0, 1)));
  restored.batch([](std::uint32_t i) { return i; });
  return watch.seconds();
}

/// The keys below `keys` in the order in which they lie in a store: its key group, and then its bytes, lowest first.
std::vector<std::uint32_t> in_store_order(std::uint64_t keys) {
  std::vector<std::vector<std::uint32_t>> groups(key_groups);
  const SchemaPtr schema = make_schema({{"key", TypeKind::int64}});
  std::vector<std::uint64_t> hashes;
  for (std::uint64_t from = 0; from < keys; from += max_batch_rows) {
    BatchBuilder rows{schema};
    for (std::uint64_t key = from; key < std::min<std::uint64_t>(keys, from + max_batch_rows); ++key) {
      rows.column(0).append_int64(static_cast<std::int64_t>(key));
      rows.end_row();
    }
    const BatchPtr batch = rows.finish();
    const Column* const column = &batch->column(0);
    hash_rows({&column, 1}, batch->rows(), hashes);
    for (std::uint32_t row = 0; row < batch->rows(); ++row) {
      groups[key_group_of(hashes[row], key_groups)].push_back(static_cast<std::uint32_t>(from + row));
    }
  }
  std::vector<std::uint32_t> order;
  for (auto& group : groups) {
    std::sort(group.begin(), group.end(),
              [](std::uint32_t a, std::uint32_t b) { return __builtin_bswap32(a) < __builtin_bswap32(b); });
    order.insert(order.end(), group.begin(), group.end());
  }
  return order;
}

template <class KeyOf>
Comparison compare(Keyed<WideFunction>& keyed, Checkpoints& checkpoints, int rounds, const KeyOf& key_of) {
  Comparison result;
  const double part = quick() ? 1 : 5;
  for (int round = 0; round < (quick() ? 1 : rounds); ++round) {
    result.without += throughput(keyed, checkpoints, part, 0, key_of);
    say("1 GB in rocksdb, no checkpoints", result.without.per_second(), "records a second");
    checkpoints.take(keyed.runtime());  // what has changed meanwhile
    checkpoints.wait();
    const std::size_t first = checkpoints.new_bytes().size();
    result.with += throughput(keyed, checkpoints, part, 1, key_of);
    say("1 GB in rocksdb, one a second", result.with.per_second(), "records a second");
    checkpoints.wait();
    for (std::size_t i = first; i < checkpoints.new_bytes().size(); ++i) {
      result.new_bytes += checkpoints.new_bytes()[i];
      ++result.checkpoints;
    }
  }
  return result;
}

/// On average, of as many checkpoints as let every key change once. However fast a compaction is: one that is still
/// under way is waited for by nobody.
double new_bytes_of_all_keys(Keyed<WideFunction>& keyed, Checkpoints& checkpoints, std::uint64_t keys) {
  constexpr std::uint64_t prime = 2'654'435'761;  // reaches each key once
  const std::size_t first = checkpoints.new_bytes().size();
  std::uint64_t next = 0;
  for (std::uint64_t part = 1; part <= 100; ++part) {
    while (next < keys * part / 100) keyed.batch([&](std::uint32_t) { return next++ * prime % keys; });
    if (!checkpoints.take(keyed.runtime())) std::abort();
    checkpoints.wait();
  }
  const std::vector<double>& all = checkpoints.new_bytes();
  const double sum = std::accumulate(all.begin() + static_cast<std::ptrdiff_t>(first), all.end(), 0.0);
  return sum / static_cast<double>(all.size() - first);
}

const std::uint64_t large_keys = scaled(1'000'000'000 / wide_bytes);

struct Restores {
  double same_s = 0;
  double other_s = 0;
  double copies_s = 0;  ///< of what the one before has fetched
};

/// 1 GB in RocksDB, of which a hundredth changes between two checkpoints. Measures what is asked for, once.
class LargeRocksdb {
 public:
  LargeRocksdb() {
    // As a compaction leaves it, without the minutes that it takes.
    const std::vector<std::uint32_t> order = in_store_order(large_keys);
    const Stopwatch watch;
    for (std::uint64_t next = 0; next < large_keys;) {
      keyed_.batch([&](std::uint32_t) { return order[next++ % large_keys]; });
    }
    say("filled", static_cast<double>(large_keys) / watch.seconds(), "keys a second");
    checkpoints_.take(keyed_.runtime());
    checkpoints_.wait();
  }
  /// The same keys each second.
  const Comparison& same() {
    if (!same_) same_ = compare(keyed_, checkpoints_, 4, [&](double, std::uint32_t) { return key_of_hundredth(0); });
    return *same_;
  }
  /// Nearly each record of a key that is not in memory and has to be read first.
  const Comparison& cold() {
    std::uint64_t records = 0;
    const auto next = [&](double, std::uint32_t) { return key_of_hundredth(records++ / hundredth); };
    if (!cold_) cold_ = compare(keyed_, checkpoints_, 2, next);
    return *cold_;
  }
  /// In a checkpoint, a hundredth of the keys, all others than before, behind each.
  double spread_new_bytes() {
    if (!spread_new_bytes_) spread_new_bytes_ = new_bytes_of_all_keys(keyed_, checkpoints_, large_keys);
    return *spread_new_bytes_;
  }
  double pause_p99_ms() {
    same();
    return checkpoints_.pause_p99();
  }
  const Restores& restores() {
    if (restores_) return *restores_;
    same();
    restores_.emplace();
    restores_->same_s = restore_seconds(checkpoints_, checkpoints_.storage(), backend_);
    // Another filesystem stands for another node: everything has to be copied and checked.
    const fs::path elsewhere = fs::path{"/dev/shm"} / folder_.path().filename();
    fs::copy(folder_ / "checkpoints", elsewhere, fs::copy_options::recursive);
    const auto copies = std::make_shared<LocalCopies>(folder_ / "copies");
    const auto storage = [&] { return with_local_copies(make_local_storage(elsewhere.string()), copies); };
    restores_->other_s = restore_seconds(checkpoints_, storage(), backend_);
    restores_->copies_s = restore_seconds(checkpoints_, storage(), backend_);
    fs::remove_all(elsewhere);
    return *restores_;
  }

 private:
  static constexpr std::uint64_t spread = 0x9e3779b97f4a7c15ULL;
  std::uint64_t key_of_hundredth(std::uint64_t which) {
    return (which * hundredth + random_() % hundredth) * spread % large_keys;
  }

  const std::uint64_t hundredth = large_keys / 100;
  TemporaryFolder folder_;
  StateBackendPtr backend_ = *make_rocksdb_backend(folder_ / "state", 512U << 20);
  Keyed<WideFunction> keyed_{backend_};
  Checkpoints checkpoints_{make_local_storage((folder_ / "checkpoints").string())};
  std::mt19937_64 random_{1};
  std::optional<Comparison> same_;
  std::optional<Comparison> cold_;
  std::optional<double> spread_new_bytes_;
  std::optional<Restores> restores_;
};

LargeRocksdb& large_rocksdb() {
  static LargeRocksdb measured;
  return measured;
}

struct OnHeap {
  Comparison comparison;
  double pause_p99_ms = 0;
};

/// 200 MB on the heap, random keys of which change.
const OnHeap& heap() {
  static const OnHeap measured = [] {
    OnHeap result;
    const std::uint64_t keys = scaled(200'000'000 / wide_bytes);
    const TemporaryFolder folder;
    Keyed<WideFunction> keyed{nullptr};
    Checkpoints checkpoints{make_local_storage((folder / "checkpoints").string())};
    fill(keyed, keys);
    std::mt19937_64 random{1};
    const auto any = [&](double, std::uint32_t) { return random() % keys; };
    const double every = quick() ? 0.5 : 5;
    for (int round = 0; round < (quick() ? 1 : 3); ++round) {
      result.comparison.without += throughput(keyed, checkpoints, 2.2 * every, 0, any);
      result.comparison.with += throughput(keyed, checkpoints, 2.2 * every, every, any);
      say("200 MB on the heap, ratio", result.comparison.ratio(), "");
      checkpoints.wait();
    }
    result.pause_p99_ms = checkpoints.pause_p99();
    return result;
  }();
  return measured;
}

double sums_a_second(const StateBackendPtr& backend, const fs::path& checkpoint_folder) {
  const std::uint64_t keys = scaled(1'000'000);
  Keyed<SumFunction> keyed{backend};
  Checkpoints checkpoints{make_local_storage(checkpoint_folder.string())};
  fill(keyed, keys);
  std::mt19937_64 random{1};
  const double every = quick() ? 0.5 : 10;
  return throughput(keyed, checkpoints, 1.5 * every, every, [&](double, std::uint32_t) { return random() % keys; })
      .per_second();
}

void sum_ratio(benchmark::State& state) {
  double ratio = 0;
  for (auto _ : state) {
    const TemporaryFolder folder;
    const double on_heap = sums_a_second(nullptr, folder / "heap");
    const double in_store = sums_a_second(*make_rocksdb_backend(folder / "state", 1024U << 20), folder / "rocksdb");
    state.counters["heap_per_second"] = on_heap;
    state.counters["rocksdb_per_second"] = in_store;
    ratio = in_store / on_heap;
  }
  at_least(state, ratio, 0.5);
}

/// In megabytes, of this process.
double peak_memory() {
  std::ifstream status{"/proc/self/status"};
  double kilobytes = 0;
  for (std::string word; status >> word;) {
    if (word == "VmHWM:") status >> kilobytes;
  }
  return kilobytes / 1024;
}

constexpr const char* answer_variable = "DATAFLOW_BENCH_ANSWER";  ///< the descriptor to which a child writes its peak

/// Runs the benchmarks of that name in a program of their own. A fork alone would have RocksDB without its threads.
double peak_memory_of_another(const char* benchmark) {
  int ends[2];
  if (::pipe(ends) != 0) std::abort();
  const pid_t child = ::fork();
  if (child == 0) {
    ::setenv(answer_variable, std::to_string(ends[1]).c_str(), 1);
    ::dup2(STDERR_FILENO, STDOUT_FILENO);
    const std::string filter = std::string{"--benchmark_filter="} + benchmark;
    ::execl("/proc/self/exe", "bench_keyed_state", filter.c_str(), nullptr);
    ::_exit(1);
  }
  ::close(ends[1]);
  double megabytes = 0;
  if (::read(ends[0], &megabytes, sizeof megabytes) != sizeof megabytes) std::abort();
  ::close(ends[0]);
  ::waitpid(child, nullptr, 0);
  return megabytes;
}

constexpr std::uint64_t many_keys_budget_mib = 256;

void many_keys() {
  const TemporaryFolder folder;
  const std::uint64_t keys = scaled(20'000'000);
  Keyed<SumFunction> keyed{*make_rocksdb_backend(folder / "state", many_keys_budget_mib << 20)};
  Checkpoints checkpoints{make_local_storage((folder / "checkpoints").string())};
  auto last = Clock::now();
  fill(keyed, keys, [&] {
    if (seconds_since(last) >= 10 && checkpoints.take(keyed.runtime())) last = Clock::now();
  });
  std::mt19937_64 random{1};
  const Throughput sums = throughput(keyed, checkpoints, quick() ? 1 : 15, quick() ? 0.5 : 5,
                                     [&](double, std::uint32_t) { return random() % keys; });
  checkpoints.wait();
  say("20 million keys", sums.per_second(), "random sums a second");
}

void many_keys_memory(benchmark::State& state) {
  double peak = 0;
  const char* const answer = std::getenv(answer_variable);
  for (auto _ : state) {
    if (answer == nullptr) {
      peak = peak_memory_of_another("20 million keys");
      continue;
    }
    many_keys();
    peak = peak_memory();
    if (::write(std::atoi(answer), &peak, sizeof peak) != sizeof peak) std::abort();
  }
  at_most(state, peak, 1.2 * many_keys_budget_mib + 100);
}

/// Of throughput with checkpoints to that without.
void judge_ratio(benchmark::State& state, const Comparison& comparison) {
  at_least(state, comparison.ratio(), 0.95);
  state.counters["of_cpu_time"] = comparison.cpu_ratio();
}
/// Of a checkpoint in percent of the state, the rewriting of files among it.
double new_percent(double bytes) {
  return 100 * bytes / static_cast<double>(large_keys * wide_bytes);
}
void rocksdb_ratio(benchmark::State& state) {
  for (auto _ : state) judge_ratio(state, large_rocksdb().same());
}
void rocksdb_cold_ratio(benchmark::State& state) {
  for (auto _ : state) judge_ratio(state, large_rocksdb().cold());
}
void rocksdb_spread_new_bytes(benchmark::State& state) {
  for (auto _ : state) at_most(state, new_percent(large_rocksdb().spread_new_bytes()), 5);
}
void rocksdb_pause(benchmark::State& state) {
  for (auto _ : state) at_most(state, large_rocksdb().pause_p99_ms(), 20);
}
void rocksdb_new_bytes(benchmark::State& state) {
  for (auto _ : state) at_most(state, new_percent(large_rocksdb().same().new_bytes_each()), 5);
}
void rocksdb_restore_same(benchmark::State& state) {
  for (auto _ : state) at_most(state, large_rocksdb().restores().same_s, 1);
}
void rocksdb_restore_other(benchmark::State& state) {
  for (auto _ : state) at_most(state, large_rocksdb().restores().other_s, 4);
}
void rocksdb_restore_copies(benchmark::State& state) {
  for (auto _ : state) at_most(state, large_rocksdb().restores().copies_s, 1);
}
void heap_ratio(benchmark::State& state) {
  for (auto _ : state) judge_ratio(state, heap().comparison);
}
void heap_pause(benchmark::State& state) {
  for (auto _ : state) at_most(state, heap().pause_p99_ms, 20);
}

#define STATE_ROW(function, text) BENCHMARK(function)->Name("state: " text "/engine")->Iterations(1)->Repetitions(1)
STATE_ROW(heap_ratio, "function, heap 200 MB, checkpoints every 5 s beside none, ratio");
STATE_ROW(heap_pause, "function, heap 200 MB, synchronous part p99, ms");
STATE_ROW(rocksdb_ratio, "function, rocksdb 1 GB, every s, 1 % changed, beside none, ratio");
STATE_ROW(rocksdb_cold_ratio, "function, rocksdb 1 GB, every s, keys not in memory, beside none, ratio");
STATE_ROW(rocksdb_pause, "function, rocksdb 1 GB, synchronous part p99, ms");
STATE_ROW(rocksdb_new_bytes, "function, rocksdb 1 GB, new bytes a checkpoint, %");
STATE_ROW(rocksdb_spread_new_bytes, "function, rocksdb 1 GB, each time another hundredth, new bytes a checkpoint, %");
STATE_ROW(rocksdb_restore_same, "function, rocksdb 1 GB, restore on the same node, s");
STATE_ROW(rocksdb_restore_other, "function, rocksdb 1 GB, restore on another node, s");
STATE_ROW(rocksdb_restore_copies, "function, rocksdb 1 GB, restore on the same node, checkpoints elsewhere, s");
STATE_ROW(sum_ratio, "keyed sum of 1 million keys, rocksdb beside heap, ratio");
STATE_ROW(many_keys_memory, "keyed sum of 20 million keys in 256 MiB, peak memory, MB");

}  // namespace

}  // namespace dataflow::bench
