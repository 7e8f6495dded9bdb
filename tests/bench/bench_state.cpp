// State: what a snapshot costs the operator, and what a store's checkpoints and restores cost in bytes and seconds.
//
// Each benchmark runs once and says what it `measured` and what is asked for, `at_most`. DATAFLOW_BENCH_QUICK=1 takes a
// fiftieth of the state.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <set>

#include "libdataflow/state/rocksdb_store.hpp"
#include "libdataflow/state/store_key.hpp"
#include "libdataflow/windows/group_table.hpp"
#include "tests/support/temporary_folder.hpp"

namespace dataflow {

namespace {

using testing_support::TemporaryFolder;
using Clock = std::chrono::steady_clock;

std::uint64_t scaled(std::uint64_t full) {
  return std::getenv("DATAFLOW_BENCH_QUICK") != nullptr ? full / 50 : full;
}

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void report(benchmark::State& state, double measured, double at_most) {
  state.counters["measured"] = measured;
  state.counters["at_most"] = at_most;
}

/// A group table of 200 MB in rows of 32 bytes, and random keys in it.
struct SumTable {
  windows::RowLayout layout{windows::KeyForm::word, std::vector<std::byte>(24)};
  windows::GroupTable groups{layout};
  std::uint64_t keys = scaled(200'000'000 / 32);
  std::vector<std::uint64_t> words = std::vector<std::uint64_t>(4096);
  std::vector<std::byte*> rows = std::vector<std::byte*>(4096);
  std::uint64_t random = 1;

  SumTable() {
    for (std::uint64_t from = 0; from < keys; from += words.size()) {
      for (std::size_t i = 0; i < words.size(); ++i) words[i] = from + i;
      add();
    }
  }
  void add() {
    windows::KeyBatch batch;
    batch.form = windows::KeyForm::word;
    batch.words = words.data();
    groups.find_or_insert(batch, nullptr, words.size(), rows.data());
    for (std::byte* row : rows) ++*reinterpret_cast<std::uint64_t*>(row + 8);
  }
  void add_random() {
    for (std::uint64_t& word : words) {
      random = random * 6364136223846793005ULL + 1442695040888963407ULL;
      word = (random >> 20) % keys;
    }
    add();
  }
};

void heap_synchronous_part(benchmark::State& state) {
  SumTable table;
  double worst = 0;
  for (auto _ : state) {
    for (int i = 0; i < 20; ++i) {
      const auto start = Clock::now();
      const auto frozen = table.groups.freeze();
      worst = std::max(worst, seconds_since(start));
      table.add_random();
    }
  }
  report(state, worst * 1e3, 20);
}

/// The first batch after the barrier touches pieces all over the table.
void heap_batch_after_barrier(benchmark::State& state) {
  SumTable table;
  double worst = 0;
  for (auto _ : state) {
    for (int i = 0; i < 20; ++i) {
      const auto frozen = table.groups.freeze();
      const auto start = Clock::now();
      table.add_random();
      worst = std::max(worst, seconds_since(start));
    }
  }
  report(state, worst * 1e3, 20);
}

/// 1 GB of state in entries of 100 bytes, which compaction has had time to put in order.
struct LargeStore {
  static constexpr std::size_t entry_bytes = 100;
  TemporaryFolder folder;
  StateStorePtr store;
  std::uint64_t keys = scaled(1'000'000'000 / entry_bytes);
  std::vector<StoreFile> files;
  int made = 0;

  LargeStore() {
    store = *open_rocksdb_store(folder / "store", std::make_shared<RocksMemory>(256U << 20));
    change(1);
  }
  /// Writes every `step`-th key anew, in an order in which keys might have come.
  void change(std::uint64_t step) {
    StoreBatch batch;
    const std::uint64_t count = keys / step;
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::uint64_t number = (i * step + static_cast<std::uint64_t>(made) * 37) % keys * 0x9e3779b97f4a7c15ULL;
      std::string key;
      put_key_group(key, static_cast<std::uint32_t>(number >> 57));
      put_ordered(key, number);
      std::string value;
      for (std::uint64_t word = number + static_cast<std::uint64_t>(made); value.size() < entry_bytes - 10;) {
        word = word * 6364136223846793005ULL + 1442695040888963407ULL;
        put_ordered(value, word);
      }
      batch.put(key, value);
      if (batch.size() < 4096) continue;
      if (!store->write(batch)) std::abort();
      batch.clear();
    }
    if (!store->write(batch)) std::abort();
  }
  std::filesystem::path checkpoint() {
    const auto at = folder / ("checkpoint" + std::to_string(++made));
    files = *store->checkpoint(at);
    return at;
  }
};

std::uint64_t new_bytes(const std::vector<StoreFile>& files, const std::set<std::string>& known) {
  std::uint64_t bytes = 0;
  for (const StoreFile& file : files) bytes += known.contains(file.shared_name()) ? 0 : file.bytes;
  return bytes;
}

void incremental_checkpoint(benchmark::State& state) {
  constexpr int rounds = 30;
  LargeStore large;
  std::vector<double> parts;
  for (auto _ : state) {
    large.checkpoint();
    for (int round = 0; round < rounds; ++round) {
      std::set<std::string> known;
      for (const StoreFile& file : large.files) known.insert(file.shared_name());
      large.change(100);
      large.checkpoint();
      parts.push_back(100.0 * static_cast<double>(new_bytes(large.files, known)) /
                      static_cast<double>(large.keys * LargeStore::entry_bytes));
    }
  }
  std::sort(parts.begin(), parts.end());
  double sum = 0;
  for (const double part : parts) sum += part;
  state.counters["median"] = parts[parts.size() / 2];
  state.counters["worst"] = parts.back();
  report(state, sum / static_cast<double>(parts.size()), 5);
}

void restore(benchmark::State& state, bool same_node, double at_most_seconds) {
  LargeStore large;
  const auto from = large.checkpoint();
  auto files = large.files;
  if (!same_node) {  // what comes from other storage is copied and checked
    for (StoreFile& file : files) file.shared = false;
  }
  double seconds = 0;
  for (auto _ : state) {
    const auto start = Clock::now();
    if (!restore_files(from, files, large.folder / "restored")) std::abort();
    const auto store = open_rocksdb_store(large.folder / "restored", std::make_shared<RocksMemory>(256U << 20));
    if (!store || !(*store)->scan("", "")->valid()) std::abort();
    seconds = seconds_since(start);
  }
  report(state, seconds, at_most_seconds);
}

BENCHMARK(heap_synchronous_part)->Name("state: freezing 200 MB of groups, worst of 20, ms/engine")->Iterations(1);
BENCHMARK(heap_batch_after_barrier)->Name("state: first batch of 4096 after it, worst of 20, ms/engine")->Iterations(1);
BENCHMARK(incremental_checkpoint)
    ->Name("state: checkpoint of 1 GB after 1 % changed, mean of 30, % of it/engine")
    ->Iterations(1);
BENCHMARK_CAPTURE(restore, same, true, 1.0)->Name("state: restore of 1 GB on the same node, s/engine")->Iterations(1);
BENCHMARK_CAPTURE(restore, other, false, 4.0)->Name("state: restore of 1 GB on another node, s/engine")->Iterations(1);

}  // namespace

}  // namespace dataflow
