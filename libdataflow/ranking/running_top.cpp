// A top that gives every change of the first rows.

#include <array>

#include "libdataflow/ranking/top_operator.hpp"
#include "libdataflow/state/ttl_sweep.hpp"

namespace dataflow {

namespace {

/// Of keys that no row comes of any more so many are looked at in one go.
constexpr std::uint32_t tops_in_a_sweep = 1024;

class RunningTop final : public Top {
 public:
  using Top::Top;

  Result<Step> process(std::size_t, const BatchPtr& batch, OperatorOutput& out) override {
    set_has_time(batch->has_event_time());
    const auto slots = runtime().begin_batch(*batch, context().now());
    if (!slots) return fail(slots.error());
    if (spec().ttl && !next_sweep_) next_sweep_ = context().now() + pause();
    batch_ = batch;
    slots_ = *slots;
    row_ = 0;
    return resume(out);
  }

  Result<Step> resume(OperatorOutput& out) override {
    if (!batch_) return Step::done;
    while (row_ < batch_->rows()) {
      take(row_++);
      if (!results_full() && entered_.size() < max_batch_rows) continue;
      give(out);
      if (out.full()) return Step::yield;
    }
    give(out);
    batch_.reset();
    if (Status ended = runtime().end_batch(); !ended) return fail(ended.error());
    return Step::done;
  }

  // Keys that have outlived their time are looked for now and then, so that they do not stay for want of a next row.
  [[nodiscard]] std::optional<Timestamp> next_processing_timer() const override { return next_sweep_; }
  Result<Step> on_processing_time(Timestamp now, OperatorOutput&) override {
    runtime().set_now(now);
    runtime().expire(tops_in_a_sweep);
    next_sweep_.reset();
    if (runtime().keys() != 0) next_sweep_ = now + pause();
    return Step::done;
  }

 protected:
  Status restore_groups(StateReader& state) override {
    if (spec().ttl) next_sweep_ = context().now() + pause();
    return runtime().restore(state);
  }

 private:
  /// Between two looks at some of the keys.
  [[nodiscard]] Duration pause() const { return pause_between_sweeps(*spec().ttl, runtime().keys(), tops_in_a_sweep); }

  void take(std::uint32_t row) {
    runtime().select(slots_[row]);
    const Placed placed = place(*batch_, row);
    if (placed.rows == nullptr) return;
    if (spec().rank.empty()) {
      if (placed.dropped) {
        changes_.push_back(of_removed | results());
        add_removed(*placed.dropped);
      }
      changes_.push_back(static_cast<std::uint32_t>(entered_.size()));
      entered_.push_back(row);
      return;
    }
    const auto& now = placed.rows->rows;
    for (std::size_t rank = placed.rank; rank < now.size(); ++rank) {
      const bool last = rank + 1 == now.size();
      const RankedRow* const before = !last ? &now[rank + 1] : placed.dropped ? &*placed.dropped : nullptr;
      if (before != nullptr) add_result(*before, rank, RowKind::update_before);
      add_result(now[rank], rank, before != nullptr ? RowKind::update_after : RowKind::insert);
    }
  }

  void give(OperatorOutput& out) {
    if (entered_.empty()) return flush(out);
    out.emit(changes());
    entered_.clear();
    changes_.clear();
  }
  /// Rows that enter are the batch's and most of its rows, so that columns are copied, or nothing at all, and only what
  /// has been removed is read out of the state (benchmark nexmark_q9).
  BatchPtr changes() {
    const auto count = static_cast<std::uint32_t>(entered_.size());
    BatchPtr entered = count == batch_->rows() ? batch_ : batch_->select_rows(entered_);
    if (results() == 0) return entered;
    for (std::uint32_t& change : changes_) {
      if ((change & of_removed) != 0) change = count + (change & ~of_removed);
    }
    const std::array<BatchPtr, 2> both{std::move(entered), take_results()};
    return concatenate(both)->select_rows(changes_);
  }

  static constexpr std::uint32_t of_removed = 1U << 31U;

  BatchPtr batch_;
  const std::uint32_t* slots_ = nullptr;  ///< of its rows
  std::uint32_t row_ = 0;
  // Of a top without rank, whose results are those that were removed.
  std::vector<std::uint32_t> entered_;   ///< rows of the batch
  std::vector<std::uint32_t> changes_;   ///< in order: of `entered_`, and, marked with of_removed, of the results
  std::optional<Timestamp> next_sweep_;  ///< with a TTL, while there are keys
};

}  // namespace

std::unique_ptr<Operator> make_running_top(const TopSpec& spec, SchemaPtr input) {
  return std::make_unique<RunningTop>(spec, std::move(input));
}

}  // namespace dataflow
