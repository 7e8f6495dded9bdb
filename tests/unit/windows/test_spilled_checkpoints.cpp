// Checkpoints of windows that are larger than memory: each of their runs is written once, keys that are in several
// parts are put together again, by any number of subtasks, on the heap too.

#include <map>
#include <set>
#include <span>

#include "libdataflow/checkpoint/memory_storage.hpp"
#include "libdataflow/checkpoint/savepoint.hpp"
#include "libdataflow/state/state_backend.hpp"
#include "tests/support/stored_checkpoints.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/unit/windows/windowing.hpp"

using namespace dataflow;
using namespace dataflow::window_tests;

namespace {

constexpr std::uint32_t spilled_key_groups = 128;
constexpr std::uint64_t little_memory = 300'000;

/// Windows in any number of subtasks that go through the checkpoints of a running job.
class WindowJob {
 public:
  enum class State : std::uint8_t { on_heap, on_disk };

  explicit WindowJob(WindowSpec spec, std::uint32_t parallelism = 1, State state = State::on_disk)
      : factory_{make_window_operator(std::move(spec), input_schema())} {
    start(parallelism, state);
  }

  /// Records of each of the keys, all with that time.
  void push(std::int64_t first_key, std::int64_t keys, std::int64_t time) {
    std::vector<BatchBuilder> batches;
    for (std::size_t i = 0; i < subtasks_.size(); ++i) batches.emplace_back(input_schema());
    const auto flush = [&](std::size_t i) {
      if (batches[i].empty()) return;
      finish(i, subtasks_[i]->op->process(0, batches[i].finish(), subtasks_[i]->out));
    };
    std::vector<Row> rows;
    for (std::int64_t k = first_key; k < first_key + keys; ++k) {
      rows.push_back({Value{"key" + std::to_string(k)}, Value{k + time}});
    }
    const BatchPtr all = testing_support::make_batch(input_schema(), rows);
    const Column* key = &all->column(0);
    std::vector<std::uint64_t> hashes;
    hash_rows({&key, 1}, all->rows(), hashes);
    for (std::size_t row = 0; row < rows.size(); ++row) {
      const std::uint32_t to = subtask_of_key_group(key_group_of(hashes[row], spilled_key_groups), spilled_key_groups,
                                                    static_cast<std::uint32_t>(subtasks_.size()));
      batches[to].append_row(rows[row], Timestamp{time});
      if (batches[to].full()) flush(to);
    }
    for (std::size_t i = 0; i < subtasks_.size(); ++i) flush(i);
  }
  void watermark(std::int64_t time) {
    for (std::size_t i = 0; i < subtasks_.size(); ++i) {
      subtasks_[i]->context.event_time = Timestamp{time};
      finish(i, subtasks_[i]->op->on_watermark(Timestamp{time}, subtasks_[i]->out));
    }
  }
  void clock(std::int64_t time) {
    for (std::size_t i = 0; i < subtasks_.size(); ++i) {
      Subtask& subtask = *subtasks_[i];
      while (subtask.op->next_processing_timer() && subtask.op->next_processing_timer()->micros <= time) {
        subtask.context.clock = std::max(subtask.context.clock, *subtask.op->next_processing_timer());
        finish(i, subtask.op->on_processing_time(subtask.context.clock, subtask.out));
      }
      subtask.context.clock = Timestamp{time};
    }
  }

  enum class Kind : std::uint8_t { checkpoint, savepoint };
  std::shared_ptr<const RestoredCheckpoint> take(Kind kind = Kind::checkpoint) {
    std::vector<CapturedStatePtr> captured;
    for (const auto& subtask : subtasks_) captured.push_back(*subtask->op->snapshot());
    return testing_support::checkpoint_of(std::move(captured), kind == Kind::savepoint,
                                          "chk-" + std::to_string(++checkpoints_), storage, uploaded_,
                                          spilled_key_groups);
  }
  /// Of the only subtask.
  std::uint64_t new_bytes_of_checkpoint() {
    CapturedStates states;
    states.emplace_back("op", *subtasks_[0]->op->snapshot());
    return write_task_state(std::move(states), *storage, "chk-" + std::to_string(++checkpoints_), "0", &uploaded_)
        ->new_bytes;
  }
  void restore(const std::shared_ptr<const RestoredCheckpoint>& checkpoint, std::uint32_t parallelism, State state) {
    const Context before = subtasks_[0]->context;
    start(parallelism, state);
    for (std::uint32_t i = 0; i < parallelism; ++i) {
      Subtask& subtask = *subtasks_[i];
      subtask.context.event_time = before.event_time;
      subtask.context.clock = before.clock;
      const Status restored = subtask.op->restore(*checkpoint->reader("op", i, parallelism));
      REQUIRE_MESSAGE(restored.has_value(), (restored ? "" : restored.error().message()));
    }
  }

  /// Results since the last time, in no order.
  std::multiset<std::string> results() {
    std::multiset<std::string> rows;
    for (const auto& subtask : subtasks_) {
      for (const BatchPtr& batch : std::exchange(subtask->out.main, {})) {
        for (const Row& row : testing_support::rows_of(*batch)) {
          std::string text;
          for (const Value& value : row) text += to_text(value) + " ";
          rows.insert(std::move(text));
        }
      }
    }
    return rows;
  }

  CheckpointStoragePtr storage = std::make_shared<MemoryStorage>();

 private:
  struct Subtask {
    Context context;
    Collected out;
    std::unique_ptr<Operator> op;
  };

  void start(std::uint32_t parallelism, State state) {
    subtasks_.clear();
    for (std::uint32_t i = 0; i < parallelism; ++i) {
      auto subtask = std::make_unique<Subtask>();
      subtask->context.index = i;
      subtask->context.subtasks = parallelism;
      if (state == State::on_disk) {
        subtask->context.backend =
            *make_memory_backend(folder_ / std::to_string(++backends_), little_memory / parallelism);
      }
      subtask->op = factory_->create();
      REQUIRE(subtask->op->open(subtask->context).has_value());
      subtasks_.push_back(std::move(subtask));
    }
  }
  void finish(std::size_t i, Result<Step> step) {
    while (step && *step == Step::yield) step = subtasks_[i]->op->resume(subtasks_[i]->out);
    if (!step) FAIL(step.error().message());
  }

  testing_support::TemporaryFolder folder_;
  OperatorFactoryPtr factory_;
  std::vector<std::unique_ptr<Subtask>> subtasks_;
  UploadedFiles uploaded_;
  std::size_t checkpoints_ = 0;
  std::size_t backends_ = 0;
};

WindowSpec spilled_windows(WindowKind kind) {
  WindowSpec spec = windows_by_key(
      kind, {{"n", "count()"}, {"most", "max(v)"}, {"first", "first(v)"}, {"values", "count(distinct v)"}});
  spec.size = Duration{60};
  spec.slide = spec.step = Duration{20};
  return spec;
}

constexpr WindowKind kinds[] = {WindowKind::tumbling, WindowKind::sliding, WindowKind::cumulate, WindowKind::global};

std::size_t segments_of(const RestoredCheckpoint& checkpoint) {
  std::size_t segments = 0;
  for (const auto& subtask : checkpoint.metadata().operators.at(0).subtasks) {
    for (const StateTable& table : subtask.tables) segments += table.segments.size();
  }
  return segments;
}

}  // namespace

TEST_CASE("a checkpoint of a window on disk writes what came since the one before it") {
  for (const WindowKind kind : kinds) {
    CAPTURE(static_cast<int>(kind));
    WindowJob job{spilled_windows(kind)};
    job.push(0, 30'000, 1);
    const std::uint64_t first = job.new_bytes_of_checkpoint();
    CHECK(first > 4 * little_memory);
    const std::uint64_t second = job.new_bytes_of_checkpoint();
    CHECK(second < 2 * little_memory);  // what is in memory
    job.push(0, 10'000, 2);
    CHECK(job.new_bytes_of_checkpoint() < second + first / 2);
    CHECK(job.new_bytes_of_checkpoint() < 2 * little_memory);
  }
}

TEST_CASE("of many runs half become one, and checkpoints keep the others") {
  WindowJob job{spilled_windows(WindowKind::tumbling)};
  constexpr std::int64_t keys = 2'000;  // a run and more
  std::uint64_t written = 0;
  constexpr std::int64_t batches = 150;
  for (std::int64_t batch = 0; batch < batches; ++batch) {
    job.push(batch * keys, keys, 1);
    if (batch % 8 == 0) written += job.new_bytes_of_checkpoint();
  }
  const auto last = job.take();
  CHECK(segments_of(*last) > 32);
  CHECK(segments_of(*last) < 64);
  CHECK(written < 2 * last->metadata().size());
  job.watermark(Timestamp::max().micros);
  CHECK(job.results().size() == batches * keys);
}

TEST_CASE("windows on disk go on in any number of subtasks, with all parts of each key") {
  using State = WindowJob::State;
  for (const WindowKind kind : kinds) {
    CAPTURE(static_cast<int>(kind));
    WindowJob job{spilled_windows(kind), 2};
    WindowJob reference{spilled_windows(kind), 1, State::on_heap};
    std::int64_t time = 0;
    std::size_t given = 0;
    const auto go_on = [&] {
      for (const std::int64_t first : {0, 4'000, 2'000}) {  // each key at several times, and so in several runs
        for (WindowJob* one : {&job, &reference}) one->push(first, 8'000, time);
        job.take();
        time += 3;
      }
      for (WindowJob* one : {&job, &reference}) one->watermark(time - 5);
      const auto results = job.results();
      given += results.size();
      CHECK(results == reference.results());
      time += 20;
    };
    std::size_t segments = 0;
    for (const auto& [parallelism, state] : std::initializer_list<std::pair<std::uint32_t, State>>{
             {5, State::on_disk}, {1, State::on_disk}, {3, State::on_heap}, {2, State::on_disk}}) {
      go_on();
      const auto checkpoint = job.take();
      segments += segments_of(*checkpoint);
      job.restore(checkpoint, parallelism, state);
    }
    CHECK(segments > 10);
    go_on();
    for (WindowJob* one : {&job, &reference}) one->watermark(Timestamp::max().micros);
    const auto results = job.results();
    CHECK(given + results.size() >= 12'000);
    CHECK(results == reference.results());
  }
}

TEST_CASE("a savepoint of windows on disk is whole without the job's checkpoints") {
  for (const WindowKind kind : kinds) {
    CAPTURE(static_cast<int>(kind));
    WindowJob job{spilled_windows(kind)};
    job.push(0, 20'000, 1);
    job.push(0, 20'000, 2);
    const auto checkpoint = job.take();
    REQUIRE(segments_of(*checkpoint) > 0);
    job.take(WindowJob::Kind::savepoint);
    const testing_support::TemporaryFolder place;
    const auto path = export_savepoint(*job.storage, "chk-2", place.path().native());
    REQUIRE_MESSAGE(path.has_value(), (path ? "" : path.error().message()));
    const auto of_the_job = job.storage->list("").value();
    for (const std::string& key : of_the_job) CHECK(job.storage->remove(key));
    const auto savepoint = load_savepoint(*path);
    REQUIRE(savepoint.has_value());
    CHECK(savepoint.value()->metadata().size() < checkpoint->metadata().size());  // a key's parts are one row

    job.watermark(Timestamp::max().micros);
    const auto expected = job.results();
    WindowJob other{spilled_windows(kind), 1};
    other.restore(*savepoint, 3, WindowJob::State::on_disk);
    other.watermark(Timestamp::max().micros);
    CHECK(other.results() == expected);
  }
}

TEST_CASE("what has changed since the last early results is known after a restore from segments") {
  for (const WindowKind kind : kinds) {
    CAPTURE(static_cast<int>(kind));
    WindowSpec spec = windows_by_key(kind, {{"n", "count()"}});
    spec.size = Duration{60};
    spec.slide = spec.step = Duration{60};
    spec.early = Duration{100};
    WindowJob job{spec};
    constexpr std::int64_t keys = 20'000;
    job.push(0, keys, 1);
    const auto before = job.take();
    REQUIRE(segments_of(*before) > 0);
    job.clock(100);
    CHECK(job.results().size() == keys);
    const auto after = job.take();
    REQUIRE(segments_of(*after) > 0);
    job.push(0, 5, 2);
    const auto with_changes = job.take();

    const auto early_results_from = [&](const std::shared_ptr<const RestoredCheckpoint>& checkpoint) {
      WindowJob other{spec};
      other.restore(checkpoint, 2, WindowJob::State::on_disk);
      other.clock(1000);
      return other.results().size();
    };
    CHECK(early_results_from(before) == keys);
    CHECK(early_results_from(after) == 0);
    CHECK(early_results_from(with_changes) == 5);

    // Runs of an older period do not change any more.
    const std::uint64_t bytes = job.new_bytes_of_checkpoint();
    CHECK(bytes < little_memory);
    job.clock(200);
    CHECK(job.results().size() == 5);
    job.new_bytes_of_checkpoint();
    job.push(0, 5, 3);
    CHECK(job.new_bytes_of_checkpoint() < little_memory);
  }
}
