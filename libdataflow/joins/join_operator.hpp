#pragma once
// What all joins have in common: how their sides' rows are packed, where a batch's keys are, how pairs become results.

#include <array>
#include <memory>
#include <vector>

#include "libdataflow/joins/entry_form.hpp"
#include "libdataflow/joins/pairs.hpp"
#include "libdataflow/joins/row_state.hpp"
#include "libdataflow/operators/keeps_keys.hpp"
#include "libdataflow/operators/row_errors.hpp"
#include "libdataflow/windows/key_batch.hpp"

namespace dataflow::joins {

/// A list of candidates ends here, also within one row's.
inline constexpr std::size_t candidates_at_once = 1024;
/// A table of keys is made anew without empty ones when so many may be empty.
inline constexpr std::size_t few_empty_keys = 1024;
/// The side output of pairs that cannot be computed.
inline constexpr std::size_t errors_output = 1;

class JoinOperator : public Operator {
 public:
  /// `numbers`: what the join keeps with each row, for checkpoints. `spec` outlives the operator.
  JoinOperator(const JoinSpec& spec, const std::vector<std::string>& numbers);

  Status open(OperatorContext& context) override;

 protected:
  [[nodiscard]] const JoinSpec& join() const { return spec_; }
  [[nodiscard]] OperatorContext& context() const { return *context_; }
  [[nodiscard]] const PackedLayout& layout(std::size_t side) const { return *layouts_[side]; }
  [[nodiscard]] const RowTable& table(std::size_t side) const { return tables_[side]; }
  /// Reads keys of batches of a side's input, and of its table in a checkpoint.
  [[nodiscard]] windows::KeyReader& keys_of_input(std::size_t side) { return input_keys_[side]; }
  [[nodiscard]] windows::KeyReader& keys_of_table(std::size_t side) { return table_keys_[side]; }

  /// How rows of both sides lie in a store. After `open`.
  [[nodiscard]] const EntryFormPtr& entries();
  /// Rows of checkpoints: those of the sides' tables, and, `stored`, those that were in a store. `keep(side, rows)`.
  template <class Keep>
  Status read_rows(StateReader& state, bool stored, Keep&& keep) {
    for (const std::uint32_t side : {0U, 1U}) {
      Status read = table(side).restore(state, [&](const BatchPtr& rows) { return keep(side, *rows); });
      if (!read) return read;
    }
    if (!stored) return {};
    const StateDescription& table = entries()->description();
    return state.read(table.name, table.schema, [&](std::uint32_t, const BatchPtr& rows) -> Status {
      for (const std::uint32_t side : {0U, 1U}) {
        const BatchPtr of_side = entries_->rows_of(side, *rows);
        if (Status kept = of_side->rows() == 0 ? Status{} : keep(side, *of_side); !kept) return kept;
      }
      return {};
    });
  }

  /// Of `candidates` those for which the condition is true, in `selected`. For which it cannot be computed: `on_error`.
  /// Errors: arithmetic, with the pair.
  Status select(const Pairs& candidates, OperatorOutput& out);
  [[nodiscard]] const std::vector<std::uint32_t>& selected() const { return selected_; }
  /// Emits a batch of them, without those that cannot be computed, and clears them. Errors: likewise.
  Status emit(Pairs& results, OperatorOutput& out);

  /// Counts rows of a side that have no key, where such rows are in no result.
  void count_without_key(std::size_t side, std::size_t rows) const {
    if (rows != 0 && !gives_unmatched(spec_.kind, side)) context_->counter("without_key").add(rows);
  }
  /// Counts left rows that are in no result, since nothing matches them: of a join in windows, for each window.
  void count_without_match(std::size_t rows) const {
    if (rows != 0) context_->counter("without_match").add(rows);
  }

  static Result<Step> ended(const Status& status, Step step = Step::done) {
    if (!status) return fail(status.error());
    return step;
  }

 private:
  Status refuse_or_drop(const Pairs& pairs, OperatorOutput& out);

  const JoinSpec& spec_;
  std::array<std::shared_ptr<const PackedLayout>, 2> layouts_;
  std::vector<RowTable> tables_;
  EntryFormPtr entries_;
  std::vector<windows::KeyReader> input_keys_;
  std::vector<windows::KeyReader> table_keys_;
  PairEvaluator evaluator_;
  std::vector<std::uint32_t> selected_;
  RowErrors row_errors_;
  std::vector<RowError> errors_;  ///< of the pairs at hand
  OperatorContext* context_ = nullptr;
};

/// What becomes of rows that come too late: they are counted, and go to their side's output where there is one.
class LateRows {
 public:
  explicit LateRows(const JoinSpec& spec) : outputs_{spec.late_outputs} {}
  void open(OperatorContext& context) { counter_ = &context.counter("late"); }
  void count(std::size_t rows) { counter_->add(rows); }
  void give(std::size_t side, const Batch& batch, std::span<const std::uint32_t> rows, OperatorOutput& out) {
    if (rows.empty()) return;
    count(rows.size());
    if (const auto output = outputs_[side]) out.emit(batch.select_rows(rows), *output);
  }

 private:
  std::array<std::optional<std::size_t>, 2> outputs_;
  Counter* counter_ = nullptr;
};

/// A batch piece by piece, for a join whose keys lie on disk and are brought in for so many rows at once.
class BatchPieces {
 public:
  void start(BatchPtr batch) {
    batch_ = std::move(batch);
    next_ = 0;
  }
  [[nodiscard]] bool empty() const { return batch_ == nullptr; }
  /// The next rows, at most so many (and at least one); all when there is room for them.
  BatchPtr next(std::size_t most);

 private:
  BatchPtr batch_;
  std::uint32_t next_ = 0;
};

/// The factory of an operator that is made from a spec with a JoinSpec in it.
template <class Op, class Spec>
class JoinFactory final : public OperatorFactory, public KeepsKeys {
 public:
  explicit JoinFactory(Spec spec) : spec_{std::make_shared<const Spec>(std::move(spec))} {}
  [[nodiscard]] std::unique_ptr<Operator> create() const override { return std::make_unique<Op>(spec_); }
  [[nodiscard]] std::optional<FieldUse> field_use_of(std::size_t input) const override {
    return fields_used(spec_->join, input);
  }
  [[nodiscard]] std::vector<std::vector<std::size_t>> keys_in_output() const override {
    return joins::keys_in_output(spec_->join);
  }

 private:
  std::shared_ptr<const Spec> spec_;
};

}  // namespace dataflow::joins
