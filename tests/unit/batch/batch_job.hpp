#pragma once
// A keyed operator of a batch in any number of subtasks, with as much memory for its keys as a test says, through
// checkpoints and changes of parallelism:
//
//   BatchJob job{operators, schema, {0}};          // the factory, its input, where its key is
//   job.start(2, 4000);                            // subtasks, bytes; nothing: all memory that they want
//   job.push(batch);
//   CHECK(job.end() == ...);                       // what came out, as a changelog leaves it

#include <doctest/doctest.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "libdataflow/checkpoint/memory_storage.hpp"
#include "libdataflow/operators/operator.hpp"
#include "libdataflow/state/state_backend.hpp"
#include "serialization/key_hash.hpp"
#include "tests/support/batches.hpp"
#include "tests/support/stored_checkpoints.hpp"
#include "tests/support/temporary_folder.hpp"

namespace dataflow::batch_tests {

inline constexpr std::uint32_t batch_key_groups = 128;

/// As a Stage tells it.
class BatchContext final : public OperatorContext {
 public:
  StateBackendPtr backend;
  std::uint32_t index = 0;
  std::uint32_t subtasks = 1;
  Timestamp event_time = Timestamp::min();
  [[nodiscard]] const std::string& operator_name() const override { return name_; }
  [[nodiscard]] std::uint32_t subtask() const override { return index; }
  [[nodiscard]] std::uint32_t parallelism() const override { return subtasks; }
  [[nodiscard]] std::uint32_t max_parallelism() const override { return batch_key_groups; }
  [[nodiscard]] std::uint32_t attempt() const override { return 0; }
  [[nodiscard]] const std::string& job_id() const override { return name_; }
  [[nodiscard]] Timestamp now() const override { return {}; }
  [[nodiscard]] Timestamp watermark() const override { return event_time; }
  [[nodiscard]] StateBackendPtr state_backend() const override {
    return backend && backend->has_stores() ? backend : nullptr;
  }
  [[nodiscard]] StateBackendPtr spill_backend() const override { return backend; }
  Counter& counter(std::string_view name) override { return counters_[std::string{name}]; }

 private:
  std::string name_ = "batch";
  std::map<std::string, Counter> counters_;
};

class BatchJob {
 public:
  using Table = std::map<std::string, int>;  ///< how often each row is there
  using Checkpoint = std::shared_ptr<const RestoredCheckpoint>;
  enum class Kind : std::uint8_t { checkpoint, savepoint };

  BatchJob(OperatorFactoryPtr factory, std::vector<std::size_t> key_fields)
      : factory_{std::move(factory)}, key_fields_{std::move(key_fields)} {}

  void start(std::uint32_t parallelism, std::optional<std::uint64_t> memory_bytes) {
    const auto path = folder_ / std::to_string(++folders_);
    start_on(parallelism, memory_bytes ? *make_spill_backend(path, *memory_bytes) : StateBackendPtr{});
  }
  void start_on(std::uint32_t parallelism, const StateBackendPtr& backend) {
    subtasks_.clear();
    for (std::uint32_t i = 0; i < parallelism; ++i) {
      One& one = subtasks_.emplace_back();
      one.context.backend = backend;
      one.context.index = i;
      one.context.subtasks = parallelism;
      one.op = factory_->create();
      check(one.op->open(one.context));
    }
  }

  void push(const BatchPtr& batch) {
    std::vector<const Column*> keys;
    for (const std::size_t field : key_fields_) keys.push_back(&batch->column(field));
    std::vector<std::uint64_t> hashes;
    hash_rows(keys, batch->rows(), hashes);
    const auto parallelism = static_cast<std::uint32_t>(subtasks_.size());
    std::vector<std::vector<std::uint32_t>> rows(parallelism);
    for (std::uint32_t row = 0; row < batch->rows(); ++row) {
      const std::uint32_t group = key_group_of(hashes[row], batch_key_groups);
      rows[subtask_of_key_group(group, batch_key_groups, parallelism)].push_back(row);
    }
    for (std::uint32_t i = 0; i < parallelism; ++i) {
      if (rows[i].empty()) continue;
      finish(subtasks_[i], subtasks_[i].op->process(0, batch->select_rows(rows[i]), out_));
    }
  }
  /// The input has ended. All that came out since the job began.
  Table end() {
    for (One& one : subtasks_) {
      one.context.event_time = Timestamp::max();
      finish(one, one.op->on_watermark(Timestamp::max(), out_));
      finish(one, one.op->end_of_data(out_));
    }
    return out_.table;
  }

  Checkpoint take(Kind kind = Kind::checkpoint) {
    std::vector<CapturedStatePtr> captured;
    for (One& one : subtasks_) {
      auto state = one.op->snapshot();
      check(state ? Status{} : fail(state.error()));
      captured.push_back(std::move(*state));
    }
    given_at_checkpoint_ = out_.table;
    return testing_support::checkpoint_of(std::move(captured), kind == Kind::savepoint,
                                          "chk-" + std::to_string(++checkpoints_), storage_, uploaded_,
                                          batch_key_groups);
  }
  /// After `start`. What was given after the checkpoint was taken has not been.
  Status restore(const Checkpoint& checkpoint) {
    out_.table = given_at_checkpoint_;
    for (One& one : subtasks_) {
      const auto reader = checkpoint->reader("op", one.context.index, static_cast<std::uint32_t>(subtasks_.size()));
      if (Status restored = one.op->restore(*reader); !restored) return restored;
    }
    return {};
  }

  Operator& op(std::size_t subtask) { return *subtasks_[subtask].op; }
  [[nodiscard]] const Table& given() const { return out_.table; }
  [[nodiscard]] const testing_support::TemporaryFolder& folder() const { return folder_; }
  std::function<bool()> full = [] { return false; };

 private:
  struct One {
    BatchContext context;
    std::unique_ptr<Operator> op;
  };
  /// What a reader of the changelog sees in the end.
  class Output final : public OperatorOutput {
   public:
    explicit Output(BatchJob& job) : job_{job} {}
    void emit(BatchPtr batch, std::size_t output) override {
      const auto rows = testing_support::rows_of(*batch);
      for (std::uint32_t i = 0; i < batch->rows(); ++i) {
        std::string text = std::to_string(output) + ":";
        for (const Value& value : rows[i]) text += " " + shown(value);
        if (batch->has_event_time()) text += " at " + std::to_string(batch->timestamp(i).micros);
        const bool takes_back = batch->kind(i) == RowKind::update_before || batch->kind(i) == RowKind::remove;
        if ((table[text] += takes_back ? -1 : 1) == 0) table.erase(text);
      }
    }
    [[nodiscard]] bool full() const override { return job_.full(); }
    Table table;

   private:
    static std::string shown(const Value& value) {
      if (const auto* text = std::get_if<std::string>(&value)) return *text;
      if (const auto* number = std::get_if<std::int64_t>(&value)) return std::to_string(*number);
      return is_null(value) ? "NULL" : "?";
    }
    BatchJob& job_;
  };

  static void check(const Status& status) {
    REQUIRE_MESSAGE(status.has_value(), (status ? "" : status.error().message()));
  }
  void finish(One& one, Result<Step> step) {
    while (step && *step == Step::yield) step = one.op->resume(out_);
    check(step ? Status{} : fail(step.error()));
  }

  testing_support::TemporaryFolder folder_;
  int folders_ = 0;
  OperatorFactoryPtr factory_;
  std::vector<std::size_t> key_fields_;
  Output out_{*this};
  std::deque<One> subtasks_;
  Table given_at_checkpoint_;
  CheckpointStoragePtr storage_ = std::make_shared<MemoryStorage>();
  UploadedFiles uploaded_;
  int checkpoints_ = 0;
};

}  // namespace dataflow::batch_tests
