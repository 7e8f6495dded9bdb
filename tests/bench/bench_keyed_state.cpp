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
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <mutex>
#include <random>
#include <set>
#include <thread>

#include "dataflow/keyed_runtime.hpp"
#include "libdataflow/checkpoint/restored_checkpoint.hpp"
#include "libdataflow/checkpoint/state_file.hpp"
#include "libdataflow/state/state_backend.hpp"
#include "tests/support/temporary_folder.hpp"

namespace dataflow {

namespace {

using testing_support::TemporaryFolder;
using Clock = std::chrono::steady_clock;
namespace fs = std::filesystem;

constexpr std::uint32_t key_groups = 128;

bool quick() {
  return std::getenv("DATAFLOW_BENCH_QUICK") != nullptr;
}
std::uint64_t scaled(std::uint64_t full) {
  return quick() ? full / 50 : full;
}
double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// What a thread has had of the cores, in seconds.
struct Cores {
  double ran = 0;
  double waited = 0;  ///< for one to be free
  static Cores of_this_thread() {
    std::ifstream file{"/proc/thread-self/schedstat"};
    Cores cores;
    file >> cores.ran >> cores.waited;
    return {cores.ran / 1e9, cores.waited / 1e9};
  }
};
/// Time that passes for this thread as it would on a machine with a core for it.
class Stopwatch {
 public:
  [[nodiscard]] double seconds() const {
    return seconds_since(start_) - (Cores::of_this_thread().waited - before_.waited);
  }
  /// Without what it has waited for other threads.
  [[nodiscard]] double cpu_seconds() const { return Cores::of_this_thread().ran - before_.ran; }

 private:
  Clock::time_point start_ = Clock::now();
  Cores before_ = Cores::of_this_thread();
};

/// What takes long is told as it goes.
void say(const char* what, double number, const char* unit) {
  std::fprintf(stderr, "%s: %.3g %s\n", what, number, unit);
}
void at_most(benchmark::State& state, double measured, double limit) {
  state.counters["measured"] = measured;
  state.counters["at_most"] = limit;
}
void at_least(benchmark::State& state, double measured, double limit) {
  state.counters["measured"] = measured;
  state.counters["at_least"] = limit;
}
void must(const Status& status) {
  if (status) return;
  std::fprintf(stderr, "%s\n", status.error().message().c_str());
  std::abort();
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

/// A keyed function over batches of keys.
template <class Function>
class Keyed {
 public:
  explicit Keyed(const StateBackendPtr& backend)
      : runtime_{function_, {0}, {DataType{TypeKind::int64}}, false}, schema_{make_schema({{"key", TypeKind::int64}})} {
    if (backend) must(runtime_.use_backend(backend, key_groups));
  }
  /// `key_of(i)` for each of a batch's rows.
  template <class KeyOf>
  void batch(KeyOf&& key_of) {
    BatchBuilder rows{schema_};
    for (std::uint32_t i = 0; i < max_batch_rows; ++i) {
      rows.column(0).append_int64(static_cast<std::int64_t>(key_of(i)));
      rows.end_row();
    }
    const BatchPtr batch = rows.finish();
    const auto slots = runtime_.begin_batch(*batch, Timestamp{});
    if (!slots) must(fail(slots.error()));
    const auto keys = batch->column(0).template as<std::int64_t>();
    for (std::uint32_t i = 0; i < max_batch_rows; ++i) {
      runtime_.select((*slots)[i]);
      function_.add(keys[i]);
    }
    must(runtime_.end_batch());
  }
  KeyedRuntime& runtime() { return runtime_; }

 private:
  Function function_;
  KeyedRuntime runtime_;
  SchemaPtr schema_;
};

/// Writes snapshots one after the other on a thread of its own, as a Slot's BlockingWorker does.
class Checkpoints {
 public:
  explicit Checkpoints(CheckpointStoragePtr storage) : storage_{std::move(storage)}, thread_{[this] { write_all(); }} {}
  ~Checkpoints() {
    {
      const std::lock_guard lock{mutex_};
      ended_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  /// False when the one before is still being written.
  bool take(KeyedRuntime& runtime) {
    {
      const std::lock_guard lock{mutex_};
      if (next_) return false;
    }
    const Stopwatch watch;
    auto snapshot = runtime.snapshot(key_groups);
    if (!snapshot) must(fail(snapshot.error()));
    pauses_.push_back(watch.seconds() * 1e3);
    {
      const std::lock_guard lock{mutex_};
      next_ = std::move(*snapshot);
    }
    changed_.notify_all();
    return true;
  }
  void wait() {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [this] { return next_ == nullptr; });
  }
  /// Of the synchronous parts, in milliseconds: the worst but for one in a hundred.
  [[nodiscard]] double pause_p99() {
    std::sort(pauses_.begin(), pauses_.end());
    return pauses_.empty() ? 0 : pauses_[(pauses_.size() - 1) * 99 / 100];
  }
  [[nodiscard]] const std::vector<double>& new_bytes() const { return new_bytes_; }
  [[nodiscard]] const CheckpointStoragePtr& storage() const { return storage_; }
  /// The newest as a job would start from it.
  std::shared_ptr<const RestoredCheckpoint> newest(const CheckpointStoragePtr& storage) {
    auto loaded = RestoredCheckpoint::load(storage, "chk-" + std::to_string(number_));
    if (!loaded) must(fail(loaded.error()));
    return *loaded;
  }

 private:
  void write_all() {
    std::unique_lock lock{mutex_};
    while (true) {
      changed_.wait(lock, [this] { return next_ != nullptr || ended_; });
      if (next_ == nullptr) return;
      CapturedStates states;
      states.emplace_back("op", nullptr);
      std::swap(states[0].second, next_);
      next_ = std::make_unique<CopiedState>();  // stands for the one that is being written
      lock.unlock();
      write(std::move(states));
      lock.lock();
      next_.reset();
      changed_.notify_all();
    }
  }
  void write(CapturedStates states) {
    const std::string folder = "chk-" + std::to_string(number_ + 1);
    auto written = write_task_state(std::move(states), *storage_, folder, "0-0", &uploaded_);
    if (!written) must(fail(written.error()));
    std::uint64_t bytes = written->file.size;
    for (const StateTable& table : written->operators[0].tables) {
      for (const StoredFileEntry& file : table.store) bytes += known_.insert(file.checksum).second ? file.bytes : 0;
    }
    new_bytes_.push_back(static_cast<double>(bytes));
    CheckpointMetadata metadata;
    metadata.id = number_ + 1;
    metadata.max_parallelism = key_groups;
    metadata.files.push_back(written->file);
    metadata.operators.push_back({"op", {{std::move(written->operators[0].tables), 0}}, std::nullopt});
    if (!storage_->put(folder + "/" + std::string{metadata_name}, encode_metadata(metadata))) std::abort();
    ++number_;
    if (number_ > 2) {
      const auto subsumed = storage_->list("chk-" + std::to_string(number_ - 2) + "/");
      for (const std::string& key : *subsumed) must(storage_->remove(key));
    }
  }

  CheckpointStoragePtr storage_;
  UploadedFiles uploaded_;
  std::mutex mutex_;
  std::condition_variable changed_;
  CapturedStatePtr next_;
  bool ended_ = false;
  std::uint64_t number_ = 0;
  std::set<std::uint64_t> known_;
  std::vector<double> pauses_;
  std::vector<double> new_bytes_;
  std::thread thread_;
};

/// Records in so much time.
struct Throughput {
  double records = 0;
  double seconds = 0;
  double cpu_seconds = 0;
  [[nodiscard]] double per_second() const { return records / seconds; }
  [[nodiscard]] double per_cpu_second() const { return records / cpu_seconds; }
  void operator+=(const Throughput& more) {
    records += more.records;
    seconds += more.seconds;
    cpu_seconds += more.cpu_seconds;
  }
};

/// Runs batches for `seconds`, and takes a checkpoint every `every` seconds unless that is 0.
template <class Function, class KeyOf>
Throughput throughput(Keyed<Function>& keyed, Checkpoints& checkpoints, double seconds, double every, KeyOf&& key_of) {
  const auto start = Clock::now();
  const Stopwatch watch;
  double due = every;
  std::uint64_t records = 0;
  double now = 0;
  while ((now = seconds_since(start)) < seconds) {
    if (every > 0 && now >= due && checkpoints.take(keyed.runtime())) due += every;
    keyed.batch([&](std::uint32_t i) { return key_of(now, i); });
    records += max_batch_rows;
  }
  return {static_cast<double>(records), watch.seconds(), watch.cpu_seconds()};
}

/// Gives every key a value, in an order that is not the store's; calls `after_batch` after each batch.
template <class Function, class AfterBatch>
void fill(Keyed<Function>& keyed, std::uint64_t keys, AfterBatch&& after_batch) {
  constexpr std::uint64_t prime = 2'654'435'761;  // reaches each key once
  const Stopwatch watch;
  for (std::uint64_t next = 0; next < keys;) {
    keyed.batch([&](std::uint32_t) { return next++ * prime % keys; });
    after_batch();
  }
  say("filled", static_cast<double>(keys) / watch.seconds(), "keys a second");
}
template <class Function>
void fill(Keyed<Function>& keyed, std::uint64_t keys) {
  fill(keyed, keys, [] {});
}

struct Comparison {
  double ratio = 0;
  double cpu_ratio = 0;  ///< of the function's thread alone: what it does more, and not what it waits
  double pause_p99_ms = 0;
  double new_percent = 0;
  double restore_same_s = 0;
  double restore_other_s = 0;
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

/// 1 GB in RocksDB; in each second other keys change, a hundredth of all.
const Comparison& large_rocksdb() {
  static const Comparison measured = [] {
    Comparison result;
    const std::uint64_t keys = scaled(1'000'000'000 / wide_bytes);
    const TemporaryFolder folder;
    const StateBackendPtr backend = *make_rocksdb_backend(folder / "state", 512U << 20);
    Keyed<WideFunction> keyed{backend};
    Checkpoints checkpoints{make_local_storage((folder / "checkpoints").string())};
    {  // as a compaction leaves it, without the minutes that it takes
      const std::vector<std::uint32_t> order = in_store_order(keys);
      const Stopwatch watch;
      for (std::uint64_t next = 0; next < keys;) keyed.batch([&](std::uint32_t) { return order[next++ % keys]; });
      say("filled", static_cast<double>(keys) / watch.seconds(), "keys a second");
    }
    checkpoints.take(keyed.runtime());
    checkpoints.wait();
    std::mt19937_64 random{1};
    int second = 0;
    const auto changing = [&](double now, std::uint32_t) {
      const std::uint64_t hot = keys / 100;
      const std::uint64_t first = (static_cast<std::uint64_t>(second) + static_cast<std::uint64_t>(now)) * hot;
      return (first + random() % hot) * 0x9e3779b97f4a7c15ULL % keys;
    };
    const double part = quick() ? 1 : 5;
    Throughput without;
    Throughput with;
    for (int round = 0; round < (quick() ? 1 : 4); ++round) {
      without += throughput(keyed, checkpoints, part, 0, changing);
      say("1 GB in rocksdb, no checkpoints", without.per_second(), "records a second");
      second += static_cast<int>(part);
      checkpoints.take(keyed.runtime());  // what has changed meanwhile
      checkpoints.wait();
      const std::size_t first = checkpoints.new_bytes().size();
      with += throughput(keyed, checkpoints, part, 1, changing);
      say("1 GB in rocksdb, one a second", with.per_second(), "records a second");
      checkpoints.wait();
      second += static_cast<int>(part);
      for (std::size_t i = first; i < checkpoints.new_bytes().size(); ++i)
        result.new_percent += checkpoints.new_bytes()[i];
      result.restore_same_s += static_cast<double>(checkpoints.new_bytes().size() - first);  // for now: how many
    }
    result.new_percent *= 100.0 / std::max(1.0, result.restore_same_s) / static_cast<double>(keys * wide_bytes);
    result.ratio = with.per_second() / without.per_second();
    result.cpu_ratio = with.per_cpu_second() / without.per_cpu_second();
    result.pause_p99_ms = checkpoints.pause_p99();
    result.restore_same_s = restore_seconds(checkpoints, checkpoints.storage(), backend);
    // Another filesystem stands for another node: everything has to be copied and checked.
    const fs::path elsewhere = fs::path{"/dev/shm"} / folder.path().filename();
    fs::copy(folder / "checkpoints", elsewhere, fs::copy_options::recursive);
    result.restore_other_s = restore_seconds(checkpoints, make_local_storage(elsewhere.string()), backend);
    fs::remove_all(elsewhere);
    return result;
  }();
  return measured;
}

/// 200 MB on the heap, random keys of which change.
const Comparison& heap() {
  static const Comparison measured = [] {
    Comparison result;
    const std::uint64_t keys = scaled(200'000'000 / wide_bytes);
    const TemporaryFolder folder;
    Keyed<WideFunction> keyed{nullptr};
    Checkpoints checkpoints{make_local_storage((folder / "checkpoints").string())};
    fill(keyed, keys);
    std::mt19937_64 random{1};
    const auto any = [&](double, std::uint32_t) { return random() % keys; };
    const double every = quick() ? 0.5 : 5;
    Throughput without;
    Throughput with;
    for (int round = 0; round < (quick() ? 1 : 3); ++round) {
      without += throughput(keyed, checkpoints, 2.2 * every, 0, any);
      with += throughput(keyed, checkpoints, 2.2 * every, every, any);
      say("200 MB on the heap, ratio", with.per_second() / without.per_second(), "");
      checkpoints.wait();
    }
    result.ratio = with.per_second() / without.per_second();
    result.cpu_ratio = with.per_cpu_second() / without.per_cpu_second();
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
  at_least(state, comparison.ratio, 0.95);
  state.counters["of_cpu_time"] = comparison.cpu_ratio;
}
void rocksdb_ratio(benchmark::State& state) {
  for (auto _ : state) judge_ratio(state, large_rocksdb());
}
void rocksdb_pause(benchmark::State& state) {
  for (auto _ : state) at_most(state, large_rocksdb().pause_p99_ms, 20);
}
void rocksdb_new_bytes(benchmark::State& state) {
  for (auto _ : state) at_most(state, large_rocksdb().new_percent, 5);
}
void rocksdb_restore_same(benchmark::State& state) {
  for (auto _ : state) at_most(state, large_rocksdb().restore_same_s, 1);
}
void rocksdb_restore_other(benchmark::State& state) {
  for (auto _ : state) at_most(state, large_rocksdb().restore_other_s, 4);
}
void heap_ratio(benchmark::State& state) {
  for (auto _ : state) judge_ratio(state, heap());
}
void heap_pause(benchmark::State& state) {
  for (auto _ : state) at_most(state, heap().pause_p99_ms, 20);
}

#define STATE_ROW(function, text) BENCHMARK(function)->Name("state: " text "/engine")->Iterations(1)->Repetitions(1)
STATE_ROW(heap_ratio, "function, heap 200 MB, checkpoints every 5 s beside none, ratio");
STATE_ROW(heap_pause, "function, heap 200 MB, synchronous part p99, ms");
STATE_ROW(rocksdb_ratio, "function, rocksdb 1 GB, every s, 1 % changed, beside none, ratio");
STATE_ROW(rocksdb_pause, "function, rocksdb 1 GB, synchronous part p99, ms");
STATE_ROW(rocksdb_new_bytes, "function, rocksdb 1 GB, new bytes a checkpoint, %");
STATE_ROW(rocksdb_restore_same, "function, rocksdb 1 GB, restore on the same node, s");
STATE_ROW(rocksdb_restore_other, "function, rocksdb 1 GB, restore on another node, s");
STATE_ROW(sum_ratio, "keyed sum of 1 million keys, rocksdb beside heap, ratio");
STATE_ROW(many_keys_memory, "keyed sum of 20 million keys in 256 MiB, peak memory, MB");

}  // namespace

}  // namespace dataflow
