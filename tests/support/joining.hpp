#pragma once
// A `join` or `lookup` node run by hand, in any number of subtasks: planned from a topology's text, fed batch by batch,
// with an output that may be full at any time.
//
//   JoinBench join{"on = \"left.k = right.k\"", "k = \"int64\", v = \"string\"", "k = \"int64\", w = \"string\""};
//   join.push(left_input, {{1, "a"}});
//   CHECK(join.take() == "...");

#include <doctest/doctest.h>

#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "libdataflow/checkpoint/memory_storage.hpp"
#include "libdataflow/checkpoint/restored_checkpoint.hpp"
#include "libdataflow/checkpoint/state_file.hpp"
#include "libdataflow/state/state_backend.hpp"
#include "libdataflow/topology/topology.hpp"
#include "serialization/key_hash.hpp"
#include "tests/support/batches.hpp"

namespace dataflow::testing_support {

/// What of a topology's text is around the node x that is tested, which reads the sources `l` and `r`.
inline LoadedTopology load_join(const std::string& node, const std::string& left_fields,
                                const std::string& right_fields) {
  const auto source = [](const std::string& name, const std::string& fields) {
    return "[sources." + name + "]\ntype = \"collection\"\nschema = { " + fields + " }\nrows = []\n" +
           (fields.find("at = ") != std::string::npos ? "event_time = { field = \"at\" }\n" : "");
  };
  // dl and dr are what l and r give as changelogs.
  const auto changelog = [&](const std::string& name) {
    return node.find("\"d" + name + "\"") == std::string::npos
               ? std::string{}
               : "[operators.d" + name + "]\ntype = \"distinct\"\nkeep = \"last\"\nkey_by = [\"k\"]\ninput = \"" +
                     name + "\"\n";
  };
  return parse_topology(changelog("l") + changelog("r") + source("l", left_fields) + source("r", right_fields) +
                            "[operators.x]\n" + node + "\n[sinks.out]\ntype = \"print\"\ninput = \"x\"\n",
                        "job.toml", "/");
}

class JoinBench {
 public:
  /// Makes where an attempt's subtasks keep large state; null: on the heap.
  using NewBackend = std::function<StateBackendPtr()>;

  /// `node` without its type and inputs, for a join; with them, for anything else.
  JoinBench(const std::string& node, const std::string& left_fields, const std::string& right_fields,
            std::uint32_t parallelism = 1, NewBackend new_backend = nullptr)
      : new_backend_{std::move(new_backend)},
        loaded_{load_join(node.starts_with("type") ? node : "type = \"join\"\nleft = \"l\"\nright = \"r\"\n" + node,
                          left_fields, right_fields)} {
    std::string mistakes;
    for (const Diagnostic& d : loaded_.diagnostics) mistakes += render(d);
    REQUIRE_MESSAGE(loaded_.topology, mistakes);
    node_ = loaded_.topology->graph.find("x");
    start(parallelism);
  }

  [[nodiscard]] const StreamNode& node() const { return *node_; }
  [[nodiscard]] const SchemaPtr& schema(std::size_t side) const {
    return loaded_.topology->graph.nodes[node_->inputs[side].from].outputs[0].schema;
  }

  void push(std::size_t side, const BatchPtr& batch) {
    const StreamEdge& edge = node_->inputs[side];
    if (edge.partitioning == Partitioning::broadcast) {
      for (auto& subtask : subtasks_) run(*subtask, [&] { return subtask->op->process(side, batch, *subtask); });
      return;
    }
    std::vector<const Column*> keys;
    for (const std::size_t key : edge.key_fields) keys.push_back(&batch->column(key));
    std::vector<std::uint64_t> hashes;
    hash_rows(keys, batch->rows(), hashes);
    std::vector<std::vector<std::uint32_t>> rows(subtasks_.size());
    for (std::uint32_t row = 0; row < batch->rows(); ++row) {
      const std::uint32_t group = key_group_of(hashes[row], max_parallelism);
      const bool keyed = edge.partitioning == Partitioning::hash;
      rows[keyed ? subtask_of_key_group(group, max_parallelism, parallelism()) : next_++ % parallelism()].push_back(
          row);
    }
    for (std::size_t i = 0; i < subtasks_.size(); ++i) {
      if (rows[i].empty()) continue;
      const BatchPtr part = rows[i].size() == batch->rows() ? batch : batch->select_rows(rows[i]);
      run(*subtasks_[i], [&] { return subtasks_[i]->op->process(side, part, *subtasks_[i]); });
    }
  }
  /// Event times are those of the column `at`, where there is one.
  void push(std::size_t side, const std::vector<Row>& rows, const std::vector<RowKind>& kinds = {}) {
    const auto at = schema(side)->find("at");
    std::vector<std::int64_t> times;
    for (const Row& row : rows) {
      if (at) times.push_back(std::get<std::int64_t>(row[*at]));
    }
    push(side, make_batch(schema(side), rows, times, kinds));
  }
  void push(std::size_t side, RowsInBraces in_braces, const std::vector<RowKind>& kinds = {}) {
    push(side, rows(in_braces), kinds);
  }

  void watermark(Timestamp time) {
    for (auto& subtask : subtasks_) {
      subtask->event_time = time;
      run(*subtask, [&] { return subtask->op->on_watermark(time, *subtask); });
    }
  }
  void end_of_input(std::size_t side) {
    for (auto& subtask : subtasks_) run(*subtask, [&] { return subtask->op->end_of_input(side, *subtask); });
  }
  /// The clock comes to `now`: what is due happens.
  void clock(Timestamp now) {
    for (auto& subtask : subtasks_) {
      for (auto due = subtask->op->next_processing_timer(); due && *due <= now;
           due = subtask->op->next_processing_timer()) {
        subtask->clock = std::max(subtask->clock, *due);
        run(*subtask, [&] { return subtask->op->on_processing_time(subtask->clock, *subtask); });
      }
      subtask->clock = now;
    }
  }
  [[nodiscard]] bool takes(std::size_t side) const { return subtasks_[0]->op->takes(side); }
  [[nodiscard]] std::uint64_t counted(const std::string& name) const {
    std::uint64_t sum = counted_before_[name];
    for (const auto& subtask : subtasks_) sum += subtask->counter(name).value();
    return sum;
  }

  /// For what event time each subtask waits.
  [[nodiscard]] std::optional<Timestamp> waits_for() const { return subtasks_[0]->op->waits_for(); }

  /// Where checkpoints are taken as those of a running job are, with segments of any size; null: as what outlives one.
  CheckpointStoragePtr storage;

  /// Takes one. Returns how many bytes had to be written.
  std::uint64_t checkpoint() { return save().new_bytes; }

  /// Through a checkpoint, into so many subtasks. Returns how many rows the state had.
  std::size_t restore(std::uint32_t parallelism) {
    const auto [checkpoint, rows, new_bytes] = save();
    const Timestamp event_time = subtasks_[0]->event_time;
    const Timestamp clock = subtasks_[0]->clock;
    collect();
    for (const auto& subtask : subtasks_) {
      for (const auto& [name, counter] : subtask->counters) counted_before_[name] += counter.value();
    }
    start(parallelism);
    for (std::uint32_t i = 0; i < subtasks_.size(); ++i) {
      subtasks_[i]->event_time = event_time;
      subtasks_[i]->clock = clock;
      const auto reader = checkpoint->reader("x", i, parallelism);
      const Status restored = subtasks_[i]->op->restore(*reader);
      REQUIRE_MESSAGE(restored.has_value(), restored.error().message());
    }
    return rows;
  }

  /// What has come out since the last time.
  std::vector<BatchPtr> batches() {
    collect();
    return std::exchange(collected_, {});
  }
  /// Likewise, as text: `op a b c @time`, rows separated by "; ", the op of a row that is no insert, the time where
  /// rows have one.
  std::string take() {
    std::string text;
    for (const BatchPtr& batch : batches()) {
      for (std::uint32_t row = 0; row < batch->rows(); ++row) text += (text.empty() ? "" : "; ") + text_of(*batch, row);
    }
    return text;
  }

  /// What has come out of the side output of the first subtask since the last time, as text.
  std::string take_errors() {
    std::string text;
    for (const BatchPtr& batch : std::exchange(subtasks_[0]->errors, {})) {
      for (std::uint32_t row = 0; row < batch->rows(); ++row) text += (text.empty() ? "" : "; ") + text_of(*batch, row);
    }
    return text;
  }

  static std::string text_of(const Batch& batch, std::uint32_t row) {
    static constexpr const char* ops[] = {"", "-U ", "+U ", "-D "};
    std::string text = ops[static_cast<std::size_t>(batch.kind(row))] + fields_of(batch, row);
    if (batch.has_event_time()) text += " @" + std::to_string(batch.timestamp(row).micros);
    return text;
  }
  static std::string fields_of(const Batch& batch, std::uint32_t row) {
    std::string text;
    for (const ColumnPtr& column : batch.columns()) {
      text += text.empty() ? "" : " ";
      const Value value = column->value(row);
      if (is_null(value)) {
        text += "NULL";
      } else if (const auto* string = std::get_if<std::string>(&value)) {
        text += *string;
      } else if (const auto* number = std::get_if<std::int64_t>(&value)) {
        text += std::to_string(*number);
      } else {
        append_json(column->type, value, text);
      }
    }
    return text;
  }

  /// Null: the output is never full.
  std::mt19937_64* moods = nullptr;

 private:
  static constexpr std::uint32_t max_parallelism = 128;

  struct Saved {
    RestoredCheckpointPtr checkpoint;
    std::size_t rows = 0;
    std::uint64_t new_bytes = 0;
  };
  Saved save() {
    Saved saved;
    CheckpointMetadata metadata;
    metadata.max_parallelism = max_parallelism;
    metadata.operators.push_back({"x", {}, std::nullopt});
    const std::string folder = "chk-" + std::to_string(++checkpoints_);
    for (std::uint32_t i = 0; i < subtasks_.size(); ++i) {
      auto captured = subtasks_[i]->op->snapshot();
      REQUIRE(captured.has_value());
      CapturedStates states;
      states.emplace_back("x", std::move(*captured));
      auto state = storage ? write_task_state(std::move(states), *storage, folder, std::to_string(i), uploaded_.get())
                           : collect_task_state(std::move(states));
      REQUIRE(state.has_value());
      saved.new_bytes += state->new_bytes;
      for (const StateTable& table : state->operators[0].tables) {
        for (const StateBlock& block : table.blocks) saved.rows += block.rows;
        for (const StateSegment& segment : table.segments) {
          for (const StateBlock& block : segment.blocks) saved.rows += block.rows;
        }
      }
      metadata.operators[0].subtasks.push_back({std::move(state->operators[0].tables), i});
      metadata.files.push_back(std::move(state->file));
    }
    const auto put = storage ? storage : std::make_shared<MemoryStorage>();
    REQUIRE(put->put(folder + "/" + std::string{metadata_name}, encode_metadata(metadata)).has_value());
    auto loaded = RestoredCheckpoint::load(put, folder);
    REQUIRE(loaded.has_value());
    saved.checkpoint = std::move(*loaded);
    return saved;
  }

  struct Subtask final : OperatorContext, OperatorOutput {
    JoinBench* bench = nullptr;
    std::uint32_t index = 0;
    std::unique_ptr<Operator> op;
    Timestamp event_time = Timestamp::min();
    Timestamp clock{};
    std::map<std::string, Counter> counters;
    std::string name = "x";

    [[nodiscard]] const std::string& operator_name() const override { return name; }
    [[nodiscard]] std::uint32_t subtask() const override { return index; }
    [[nodiscard]] std::uint32_t parallelism() const override { return bench->parallelism(); }
    [[nodiscard]] std::uint32_t max_parallelism() const override { return JoinBench::max_parallelism; }
    [[nodiscard]] std::uint32_t attempt() const override { return 0; }
    [[nodiscard]] const std::string& job_id() const override { return name; }
    [[nodiscard]] Timestamp now() const override { return clock; }
    [[nodiscard]] Timestamp watermark() const override { return event_time; }
    [[nodiscard]] StateBackendPtr state_backend() const override { return bench->backend_; }
    Counter& counter(std::string_view of) override { return counters[std::string{of}]; }
    void emit(BatchPtr batch, std::size_t output) override {
      if (batch->rows() == 0) return;
      CHECK(batch->rows() <= max_batch_rows);
      (output == 0 ? emitted : errors).push_back(std::move(batch));
    }
    [[nodiscard]] bool full() const override { return bench->moods != nullptr && (*bench->moods)() % 2 == 0; }
    std::vector<BatchPtr> emitted;
    std::vector<BatchPtr> errors;  ///< of the side output
  };

  [[nodiscard]] std::uint32_t parallelism() const { return static_cast<std::uint32_t>(subtasks_.size()); }

  void start(std::uint32_t parallelism) {
    subtasks_.clear();
    uploaded_ = std::make_unique<UploadedFiles>(0);
    backend_ = new_backend_ ? new_backend_() : nullptr;
    for (std::uint32_t i = 0; i < parallelism; ++i) {
      auto subtask = std::make_unique<Subtask>();
      subtask->bench = this;
      subtask->index = i;
      subtask->op = node_->factory->create();
      subtasks_.push_back(std::move(subtask));
      REQUIRE(subtasks_.back()->op->open(*subtasks_.back()).has_value());
    }
  }

  template <class First>
  static void run(Subtask& subtask, First first) {
    Result<Step> step = first();
    while (step && *step == Step::yield) step = subtask.op->resume(subtask);
    REQUIRE_MESSAGE(step.has_value(), step.error().message());
  }

  void collect() {
    for (auto& subtask : subtasks_) {
      collected_.insert(collected_.end(), subtask->emitted.begin(), subtask->emitted.end());
      subtask->emitted.clear();
    }
  }

  NewBackend new_backend_;
  StateBackendPtr backend_;
  LoadedTopology loaded_;
  const StreamNode* node_ = nullptr;
  std::vector<std::unique_ptr<Subtask>> subtasks_;
  std::vector<BatchPtr> collected_;
  mutable std::map<std::string, std::uint64_t> counted_before_;
  std::uint32_t next_ = 0;
  std::unique_ptr<UploadedFiles> uploaded_;  ///< by this attempt
  std::size_t checkpoints_ = 0;
};

}  // namespace dataflow::testing_support
