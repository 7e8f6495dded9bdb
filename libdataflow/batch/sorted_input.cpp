#include "libdataflow/batch/sorted_input.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include <absl/container/flat_hash_set.h>

#include "libdataflow/batch/forgets_keys.hpp"
#include "libdataflow/batch/rows_aside.hpp"
#include "serialization/builder.hpp"

namespace dataflow {

namespace {

/// The table of a checkpoint that has the keys which the operator keeps: of no other may it ever get rows before the
/// end.
constexpr const char* kept_keys_table = "kept_keys";

const SchemaPtr& kept_keys_schema() {
  static const SchemaPtr schema = make_schema({{"hash", TypeKind::int64}});
  return schema;
}

/// The place of an operator for which the input begins again after it has ended.
class PartContext final : public OperatorContext {
 public:
  explicit PartContext(OperatorContext& whole) : whole_{whole} {}
  /// Whether rows come of which the end of time is behind, and not yet told.
  void set_before_the_end(bool before) { before_the_end_ = before; }
  [[nodiscard]] const std::string& operator_name() const override { return whole_.operator_name(); }
  [[nodiscard]] std::uint32_t subtask() const override { return whole_.subtask(); }
  [[nodiscard]] std::uint32_t parallelism() const override { return whole_.parallelism(); }
  [[nodiscard]] std::uint32_t max_parallelism() const override { return whole_.max_parallelism(); }
  [[nodiscard]] std::uint32_t attempt() const override { return whole_.attempt(); }
  [[nodiscard]] const std::string& job_id() const override { return whole_.job_id(); }
  [[nodiscard]] Timestamp now() const override { return whole_.now(); }
  [[nodiscard]] std::shared_ptr<StateBackend> state_backend() const override { return whole_.state_backend(); }
  [[nodiscard]] std::shared_ptr<StateBackend> spill_backend() const override { return whole_.spill_backend(); }
  [[nodiscard]] Timestamp watermark() const override { return before_the_end_ ? Timestamp::min() : whole_.watermark(); }
  Counter& counter(std::string_view name) override { return whole_.counter(name); }

 private:
  OperatorContext& whole_;
  bool before_the_end_ = false;
};

class CapturedSortedInput final : public CapturedState {
 public:
  CapturedStatePtr of_operator;
  CapturedStatePtr aside;                          ///< null: nothing is
  std::optional<std::vector<std::uint64_t>> kept;  ///< nothing: all keys
  std::uint32_t max_parallelism = 1;

  Status write(StateWriter& writer) override {
    if (Status written = of_operator ? of_operator->write(writer) : Status{}; !written) return written;
    if (Status written = aside ? aside->write(writer) : Status{}; !written) return written;
    return kept ? write_kept(writer) : Status{};
  }

 private:
  Status write_kept(StateWriter& writer) {
    Status done = writer.begin({kept_keys_table, StateKind::keyed, 1, kept_keys_schema()});
    std::sort(kept->begin(), kept->end());  // key groups are ranges of hashes
    BatchBuilder rows{kept_keys_schema()};
    for (std::size_t i = 0; i < kept->size() && done; ++i) {
      const std::uint64_t hash = (*kept)[i];
      const std::uint32_t group = key_group_of(hash, max_parallelism);
      rows.column(0).append_int64(static_cast<std::int64_t>(hash));
      rows.end_row();
      const bool last = i + 1 == kept->size() || key_group_of((*kept)[i + 1], max_parallelism) != group;
      if (last || rows.full()) done = writer.add(group, rows.finish());
    }
    return done;
  }
};

class SortedInput final : public Operator {
 public:
  SortedInput(OperatorFactoryPtr factory, SchemaPtr input, std::vector<std::size_t> key_fields, KeyGrowth growth)
      : factory_{std::move(factory)}, input_{std::move(input)}, key_fields_{std::move(key_fields)}, growth_{growth} {}

  Status open(OperatorContext& context) override {
    context_ = &context;
    part_context_.emplace(context);
    operator_ = factory_->create();
    if (Status opened = operator_->open(*part_context_); !opened) return opened;
    const StateBackendPtr backend = context.spill_backend();
    if (!backend || backend->has_stores()) return {};
    room_ = Room::yes;
    return open_aside(backend);
  }

  Result<Step> process(std::size_t input, const BatchPtr& batch, OperatorOutput& out) override {
    if (room_ == Room::yes && kept_bytes_ > most_kept_bytes()) end_room();
    if (room_ == Room::for_all) return operator_->process(input, batch, out);
    keys_.clear();
    for (const std::size_t field : key_fields_) keys_.push_back(&batch->column(field));
    hash_rows(keys_, batch->rows(), hashes_);
    if (room_ == Room::yes) {
      keep_keys(*batch);
      return operator_->process(input, batch, out);
    }
    kept_rows_.clear();
    other_rows_.clear();
    for (std::uint32_t row = 0; row < batch->rows(); ++row) {
      (kept_.contains(hashes_[row]) ? kept_rows_ : other_rows_).push_back(row);
    }
    if (Status added = aside_->add(*batch, other_rows_, hashes_); !added) return fail(added.error());
    if (kept_rows_.empty()) return Step::done;
    return operator_->process(input, other_rows_.empty() ? batch : batch->select_rows(kept_rows_), out);
  }

  Result<Step> on_watermark(Timestamp watermark, OperatorOutput& out) override {
    // What it keeps of its keys then is of no use to anybody: checkpoints after the end are small.
    if (watermark == Timestamp::max() && aside_) next_ = Next::clean_up;
    return stepped(operator_->on_watermark(watermark, out), out);
  }
  Result<Step> resume(OperatorOutput& out) override {
    if (next_ == Next::nothing) return operator_->resume(out);
    if (std::exchange(operator_yielded_, false)) return stepped(operator_->resume(out), out);
    return stepped(Step::done, out);
  }
  Result<Step> on_processing_time(Timestamp now, OperatorOutput& out) override {
    return operator_->on_processing_time(now, out);
  }
  [[nodiscard]] std::optional<Timestamp> next_processing_timer() const override {
    return operator_->next_processing_timer();
  }
  [[nodiscard]] std::optional<Timestamp> waits_for() const override { return operator_->waits_for(); }
  Result<Step> end_of_data(OperatorOutput& out) override { return operator_->end_of_data(out); }
  void abort() override { operator_->abort(); }
  Status close() override { return operator_->close(); }
  Result<std::string> receive(std::string_view message, std::string_view json) override {
    return operator_->receive(message, json);
  }
  Result<std::string> query(std::string_view state, std::string_view key_json) override {
    return operator_->query(state, key_json);
  }

  Result<CapturedStatePtr> snapshot() override {
    auto captured = std::make_unique<CapturedSortedInput>();
    auto of_operator = operator_->snapshot();
    if (!of_operator) return of_operator;
    captured->of_operator = std::move(*of_operator);
    if (aside_) captured->aside = aside_->capture();
    if (room_ != Room::for_all) captured->kept.emplace(kept_.begin(), kept_.end());
    captured->max_parallelism = context_->max_parallelism();
    return captured;
  }

  Status restore(StateReader& state) override {
    if (Status restored = operator_->restore(state); !restored) return restored;
    const bool has_rows = state.find(rows_aside_table) != nullptr;
    const StateBackendPtr backend = context_->spill_backend();
    if (has_rows && !aside_) {
      // It has room for all keys now, but these rows are before others of their keys.
      if (!backend) return fail(ErrorCode::invalid_argument, "there is no place for rows that a batch had put aside");
      if (Status opened = open_aside(backend); !opened) return opened;
    }
    if (Status restored = has_rows ? aside_->restore(state) : Status{}; !restored) return restored;
    // Where one subtask has such rows all of them tell the next checkpoint which keys do not wait.
    if (has_rows && (room_ == Room::for_all || !aside_->empty())) room_ = Room::no;
    if (state.find(kept_keys_table) == nullptr) room_ = Room::for_all;  // of a stream: nobody knows what its keys are
    if (room_ == Room::for_all) return {};
    return state.read(kept_keys_table, kept_keys_schema(), [&](std::uint32_t, const BatchPtr& batch) -> Status {
      for (const std::int64_t hash : batch->column(0).as<std::int64_t>()) {
        kept_.insert(static_cast<std::uint64_t>(hash));
        kept_bytes_ += row_overhead_bytes;
      }
      return {};
    });
  }

 private:
  Status open_aside(const StateBackendPtr& backend) {
    auto folder = backend->open_folder();
    if (!folder) return fail(folder.error());
    folder_ = std::move(*folder);
    aside_.emplace(folder_, std::make_shared<const AsideForm>(input_, key_fields_, context_->max_parallelism()));
    return {};
  }

  /// For more keys in the operator.
  enum class Room : std::uint8_t {
    for_all,  ///< as long as it runs: they need not be known
    yes,
    no,
  };
  /// What comes when the operator is done with what it does, once the input has ended with rows put aside.
  enum class Next : std::uint8_t {
    nothing,
    end_of_time,  ///< it has had all rows of its part
    rows,
    clean_up,  ///< it has given everything
  };

  /// Half of what the operator may use; what waits to be written, and the sets, have the rest.
  [[nodiscard]] std::uint64_t most_kept_bytes() const { return folder_->backend()->cache_bytes() / 2; }

  void keep_keys(const Batch& batch) {
    const std::uint64_t bytes = batch.byte_size() / batch.rows() + row_overhead_bytes;
    for (const std::uint64_t hash : hashes_) {
      if (kept_.insert(hash).second || growth_ == KeyGrowth::with_rows) kept_bytes_ += bytes;
    }
  }

  /// Behind the rows of the keys that are kept: a function that goes by the clock has shown it by then.
  void end_room() {
    const auto* const stays = dynamic_cast<const ForgetsKeys*>(operator_.get());
    room_ = stays != nullptr && stays->goes_by_the_clock() ? Room::for_all : Room::no;
    if (room_ == Room::for_all) kept_ = {};
  }

  /// Goes on behind what the operator has just done. Yields now and then, too: parts may give little and take long.
  Result<Step> stepped(Result<Step> step, OperatorOutput& out) {
    for (int steps = 0; step && next_ != Next::nothing; ++steps) {
      operator_yielded_ = *step == Step::yield;
      if (operator_yielded_ || out.full() || steps == most_steps) return Step::yield;
      step = take_next(out);
    }
    return step;
  }

  Result<Step> take_next(OperatorOutput& out) {
    if (next_ == Next::rows) {
      auto rows = aside_->next();
      if (!rows) return fail(rows.error());
      if (*rows) return operator_->process(0, *rows, out);
      next_ = Next::end_of_time;
    }
    if (next_ == Next::end_of_time) {
      next_ = Next::clean_up;
      part_context_->set_before_the_end(false);
      return operator_->on_watermark(Timestamp::max(), out);
    }
    if (Status begun = begin_anew(); !begun) return fail(begun.error());
    const auto more = aside_->begin_part(
        most_kept_bytes(), growth_ == KeyGrowth::none ? RowsAside::Counted::keys : RowsAside::Counted::rows);
    if (!more) return fail(more.error());
    next_ = *more ? Next::rows : Next::nothing;
    part_context_->set_before_the_end(*more);
    return Step::done;
  }

  /// With an operator that has no keys. The last one is there for the end of data, and for a checkpoint after it.
  Status begin_anew() {
    kept_ = {};
    if (auto* const stays = dynamic_cast<ForgetsKeys*>(operator_.get())) {
      stays->forget_keys();
      return {};
    }
    if (Status closed = operator_->close(); !closed) return closed;
    operator_.reset();
    operator_ = factory_->create();
    return operator_->open(*part_context_);
  }

  static constexpr int most_steps = 16;

  OperatorFactoryPtr factory_;
  SchemaPtr input_;
  std::vector<std::size_t> key_fields_;
  KeyGrowth growth_;
  OperatorContext* context_ = nullptr;
  std::optional<PartContext> part_context_;  ///< the operator's
  std::unique_ptr<Operator> operator_;
  OwnedFolderPtr folder_;
  std::optional<RowsAside> aside_;  ///< nothing: there is no place for them
  Room room_ = Room::for_all;
  absl::flat_hash_set<std::uint64_t> kept_;  ///< hashes of the operator's keys
  std::uint64_t kept_bytes_ = 0;
  Next next_ = Next::nothing;
  bool operator_yielded_ = false;
  std::vector<const Column*> keys_;  // scratch
  std::vector<std::uint64_t> hashes_;
  std::vector<std::uint32_t> kept_rows_;
  std::vector<std::uint32_t> other_rows_;
};

class SortedInputFactory final : public OperatorFactory {
 public:
  SortedInputFactory(OperatorFactoryPtr factory, SchemaPtr input, std::vector<std::size_t> key_fields, KeyGrowth growth)
      : factory_{std::move(factory)}, input_{std::move(input)}, key_fields_{std::move(key_fields)}, growth_{growth} {}
  [[nodiscard]] std::unique_ptr<Operator> create() const override {
    return std::make_unique<SortedInput>(factory_, input_, key_fields_, growth_);
  }
  [[nodiscard]] std::optional<FieldUse> field_use() const override { return factory_->field_use(); }

 private:
  OperatorFactoryPtr factory_;
  SchemaPtr input_;
  std::vector<std::size_t> key_fields_;
  KeyGrowth growth_;
};

}  // namespace

OperatorFactoryPtr with_sorted_input(OperatorFactoryPtr factory, SchemaPtr input, std::vector<std::size_t> key_fields,
                                     KeyGrowth growth) {
  return std::make_shared<SortedInputFactory>(std::move(factory), std::move(input), std::move(key_fields), growth);
}

void sort_input_in_batch(NodeBuilder& builder, const SchemaPtr& input, const std::vector<std::size_t>& key_fields,
                         KeyGrowth growth) {
  if (builder.job().mode != ExecutionMode::batch || key_fields.empty()) return;
  builder.node().factory = with_sorted_input(std::move(builder.node().factory), input, key_fields, growth);
}

}  // namespace dataflow
