// Groups in memory and in stores, dealt out to several subtasks, through checkpoints of stores' files and of rows,
// taken while records go on coming, given up, and restored with another backend and another parallelism: against the
// same subtasks on the heap.

#include <doctest/doctest.h>

#include <algorithm>
#include <deque>
#include <random>

#include "libdataflow/checkpoint/memory_storage.hpp"
#include "libdataflow/state/state_backend.hpp"
#include "serialization/key_hash.hpp"
#include "tests/support/seeds.hpp"
#include "tests/support/stored_checkpoints.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/unit/windows/windowing.hpp"

using namespace dataflow;
using namespace dataflow::window_tests;

namespace {

constexpr std::uint32_t most_subtasks = 128;

/// All subtasks of one window operator.
class Subtasks {
 public:
  Subtasks(WindowSpec spec, std::uint32_t parallelism, const std::function<StateBackendPtr()>& backend)
      : key_fields_{spec.key_fields} {
    const OperatorFactoryPtr factory = make_window_operator(std::move(spec), input_schema());
    for (std::uint32_t i = 0; i < parallelism; ++i) {
      One& one = all_.emplace_back();
      one.context.index = i;
      one.context.backend = backend();
      one.op = factory->create();
      REQUIRE(one.op->open(one.context).has_value());
    }
  }

  void push(const BatchPtr& batch) {
    std::vector<const Column*> keys;
    for (const std::size_t field : key_fields_) keys.push_back(&batch->column(field));
    std::vector<std::uint64_t> hashes;
    hash_rows(keys, batch->rows(), hashes);
    const auto parallelism = static_cast<std::uint32_t>(all_.size());
    for (std::uint32_t i = 0; i < parallelism; ++i) {
      std::vector<std::uint32_t> mine;
      for (std::uint32_t row = 0; row < batch->rows(); ++row) {
        const std::uint32_t group = key_group_of(hashes[row], most_subtasks);
        if (subtask_of_key_group(group, most_subtasks, parallelism) == i) mine.push_back(row);
      }
      if (!mine.empty()) finish(all_[i], all_[i].op->process(0, batch->select_rows(mine), all_[i].out));
    }
  }
  void watermark(std::int64_t time) {
    for (One& one : all_) finish(one, one.op->on_watermark(Timestamp{time}, one.out));
  }
  void clock(std::int64_t time) {
    for (One& one : all_) {
      one.context.clock = Timestamp{time};
      const auto timer = one.op->next_processing_timer();
      if (timer && timer->micros <= time) finish(one, one.op->on_processing_time(Timestamp{time}, one.out));
    }
  }
  /// What has come out, in any order.
  std::vector<std::string> take() {
    std::vector<std::string> rows;
    for (One& one : all_) {
      for (auto* batches : {&one.out.main, &one.out.late}) {
        for (const BatchPtr& batch : std::exchange(*batches, {})) {
          const auto values = testing_support::rows_of(*batch);
          for (std::uint32_t row = 0; row < batch->rows(); ++row) {
            std::string text = batches == &one.out.late ? "late " : "";
            text += std::to_string(static_cast<int>(batch->kind(row)));
            for (const Value& value : values[row]) text += " " + to_text(value);
            rows.push_back(std::move(text));
          }
        }
      }
    }
    std::sort(rows.begin(), rows.end());
    return rows;
  }

  std::vector<CapturedStatePtr> capture() {
    std::vector<CapturedStatePtr> captured;
    for (One& one : all_) {
      auto state = one.op->snapshot();
      REQUIRE_MESSAGE(state.has_value(), (state ? "" : state.error().message()));
      captured.push_back(std::move(*state));
    }
    return captured;
  }
  void restore(const RestoredCheckpoint& checkpoint) {
    const auto parallelism = static_cast<std::uint32_t>(all_.size());
    for (One& one : all_) {
      const auto reader = checkpoint.reader("op", one.context.index, parallelism);
      const Status restored = one.op->restore(*reader);
      REQUIRE_MESSAGE(restored.has_value(), (restored ? "" : restored.error().message()));
    }
  }

 private:
  struct One {
    Context context;
    Collected out;
    std::unique_ptr<Operator> op;
  };
  static void finish(One& one, Result<Step> step) {
    while (step && *step == Step::yield) step = one.op->resume(one.out);
    if (!step) FAIL(step.error().message());
  }

  std::vector<std::size_t> key_fields_;
  std::deque<One> all_;
};

class Run {
 public:
  explicit Run(std::uint64_t seed) : random_{seed}, spec_{random_spec()} { begin(nullptr, nullptr); }

  void step() {
    switch (pick(14)) {
      case 0:
      case 1: return capture();
      case 2: return write();
      case 3: return give_up();
      case 4: return restore();
      case 5:
      case 6: return move_watermark();
      case 7:
      case 8: return move_clock();
      default: return push();
    }
  }
  void drain() {
    for (Subtasks* subtasks : both()) subtasks->watermark(Timestamp::max().micros);
    compare();
  }

 private:
  /// Of both, as they were at a barrier.
  struct Captured {
    std::vector<CapturedStatePtr> stored;
    std::shared_ptr<const RestoredCheckpoint> reference;
    std::int64_t watermark;
  };
  struct Written {
    std::shared_ptr<const RestoredCheckpoint> stored;
    std::shared_ptr<const RestoredCheckpoint> reference;
    std::int64_t watermark;
  };

  std::size_t pick(std::size_t below) { return random_() % below; }
  WindowSpec random_spec() {
    const WindowKind kind = std::array{WindowKind::running, WindowKind::count, WindowKind::session}[pick(3)];
    Named aggregates{{"n", "count()"}, {"sum", "sum(v)"}};
    if (pick(2) == 0) aggregates.push_back({"values", "count(distinct v)"});
    WindowSpec spec = windows_by_key(kind, aggregates);
    spec.key_fields = std::array<std::vector<std::size_t>, 3>{{{0}, {1}, {0, 1}}}[pick(3)];
    spec.gap = Duration{20};
    spec.count = 3 + pick(20);
    if (kind == WindowKind::session && pick(2) == 0) spec.allowed_lateness = Duration{30};
    if (kind == WindowKind::running && pick(2) == 0) spec.ttl = Duration{300};
    if (kind != WindowKind::running && pick(2) == 0) spec.early = Duration{40};
    return spec;
  }
  std::vector<Subtasks*> both() { return {&*stored_, &*reference_}; }

  StateBackendPtr random_backend() {
    const auto path = folder_ / std::to_string(++number_);
    switch (pick(8)) {
      case 0: return nullptr;
      case 1: return *make_rocksdb_backend(path, 0);
      case 2: return *make_rocksdb_backend(path, 100'000);
      default: return *make_memory_backend(path, std::array{0, 4'000, 20'000}[pick(3)]);
    }
  }
  /// With another parallelism, all subtasks on one backend or each on one of its own.
  void begin(const RestoredCheckpoint* stored, const RestoredCheckpoint* reference) {
    captured_.reset();
    const auto parallelism = static_cast<std::uint32_t>(1 + pick(3));
    const StateBackendPtr one = random_backend();
    const bool shared = pick(4) != 0;
    stored_.emplace(spec_, parallelism, [&] { return shared ? one : random_backend(); });
    reference_.emplace(spec_, parallelism, [] { return nullptr; });
    uploaded_ = std::make_unique<UploadedFiles>();
    for (Subtasks* subtasks : both()) subtasks->clock(clock_);
    if (stored != nullptr) stored_->restore(*stored);
    if (reference != nullptr) reference_->restore(*reference);
  }

  void push() {
    BatchBuilder builder{input_schema()};
    const std::size_t keys = pick(3) == 0 ? 20 : 200;
    for (std::size_t left = 1 + pick(60); left != 0; --left) {
      const std::size_t key = pick(keys);
      std::string text = "k" + std::to_string(key % 100);
      if (key % 3 == 0) text += std::string(key % 40, 'x');
      const Row row{key % 50 == 1 ? Value{} : Value{std::move(text)},
                    key % 70 == 2 ? Value{} : Value{static_cast<std::int64_t>(key) - 50}};
      builder.append_row(row, Timestamp{watermark_ - 40 + static_cast<std::int64_t>(pick(80))});
    }
    const BatchPtr batch = builder.finish();
    for (Subtasks* subtasks : both()) subtasks->push(batch);
    compare();
  }
  void move_watermark() {
    watermark_ += static_cast<std::int64_t>(pick(15));
    for (Subtasks* subtasks : both()) subtasks->watermark(watermark_);
    compare();
  }
  void move_clock() {
    clock_ += static_cast<std::int64_t>(pick(60));
    for (Subtasks* subtasks : both()) subtasks->clock(clock_);
    compare();
  }
  void compare() { REQUIRE(stored_->take() == reference_->take()); }

  std::shared_ptr<const RestoredCheckpoint> checkpoint(std::vector<CapturedStatePtr> captured, bool portable) {
    return testing_support::checkpoint_of(std::move(captured), portable, "chk-" + std::to_string(++number_), storage_,
                                          *uploaded_, most_subtasks);
  }
  void capture() {
    give_up();
    captured_.emplace(Captured{stored_->capture(), checkpoint(reference_->capture(), true), watermark_});
    if (pick(2) == 0) write();
  }
  void write() {
    if (!captured_) return;
    written_ =
        Written{checkpoint(std::move(captured_->stored), pick(3) == 0), captured_->reference, captured_->watermark};
    captured_.reset();
  }
  void give_up() { captured_.reset(); }
  void restore() {
    if (!written_) return;
    watermark_ = written_->watermark;
    begin(written_->stored.get(), written_->reference.get());
  }

  std::mt19937_64 random_;
  testing_support::TemporaryFolder folder_;
  const std::shared_ptr<MemoryStorage> storage_ = std::make_shared<MemoryStorage>();
  std::uint64_t number_ = 0;
  std::int64_t clock_ = 0;
  std::int64_t watermark_ = 1000;
  const WindowSpec spec_;
  std::unique_ptr<UploadedFiles> uploaded_;
  std::optional<Subtasks> stored_;
  std::optional<Subtasks> reference_;
  std::optional<Captured> captured_;
  std::optional<Written> written_;
};

}  // namespace

TEST_CASE("checkpoints of stores bring groups back, whatever restores them") {
  for (const std::uint64_t seed : testing_support::seeds(120)) {
    CAPTURE(seed);
    Run run{seed};
    for (int i = 0; i < 80; ++i) run.step();
    run.drain();
  }
}
