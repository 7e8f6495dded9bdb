#pragma once
// A keyed function with its state, and the checkpoints that are taken of it on a thread of their own, without the rest
// of a job: what bench_keyed_state measures.

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "dataflow/keyed_runtime.hpp"
#include "libdataflow/checkpoint/restored_checkpoint.hpp"
#include "libdataflow/checkpoint/state_file.hpp"
#include "libdataflow/state/state_backend.hpp"

namespace dataflow::bench {

using Clock = std::chrono::steady_clock;

constexpr std::uint32_t key_groups = 128;

inline double seconds_since(Clock::time_point start) {
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
inline void say(const char* what, double number, const char* unit) {
  std::fprintf(stderr, "%s: %.3g %s\n", what, number, unit);
}
inline void must(const Status& status) {
  if (status) return;
  std::fprintf(stderr, "%s\n", status.error().message().c_str());
  std::abort();
}

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

}  // namespace dataflow::bench
