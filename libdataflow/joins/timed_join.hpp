#pragma once
// What joins that go by how the times of two rows lie to each other have in common: their rows, in memory and in
// checkpoints, the time that has passed, and the batch at hand.

#include <limits>
#include <string>
#include <utility>

#include "libdataflow/joins/timed_rows.hpp"

namespace dataflow::joins {

class TimedJoin : public JoinOperator, public TimedRowsOwner {
 public:
  /// `more`: what the flag of a row is called in checkpoints, and its best number where it has one.
  TimedJoin(const JoinSpec& spec, const std::vector<std::string>& more)
      : JoinOperator{spec, numbers_of_rows(more)}, rows_{keys_of_input(left_input).form(), *this}, late_{spec} {}

  Status open(OperatorContext& context) override {
    late_.open(context);
    if (Status opened = JoinOperator::open(context); !opened) return opened;
    const StateBackendPtr backend = context.state_backend();
    return backend ? rows_.use_backend(backend, entries()) : Status{};
  }

  Result<Step> on_watermark(Timestamp watermark, OperatorOutput& out) final {
    passed_ = watermark.micros;
    if (Status woken = wake(); !woken) return fail(woken.error());
    return resume(out);
  }

  Result<CapturedStatePtr> snapshot() final {
    if (Status settled = settle(); !settled) return fail(settled.error());
    auto captured = std::make_unique<CapturedRows>(context().max_parallelism());
    Status copied = rows_.capture({&table(left_input), &table(right_input)}, *captured);
    if (!copied) return fail(copied.error());
    return captured;
  }

  Status restore(StateReader& state) final {
    const auto taken = rows_.restore_store(state);
    if (!taken) return fail(taken.error());
    return read_rows(state, !*taken, [&](std::uint32_t side, const Batch& rows) {
      return rows_.restore(table(side), keys_of_table(side), rows, side);
    });
  }

 protected:
  /// Drops those of the rows that the watermark has passed, and counts them.
  void drop_late(std::span<const std::int64_t> times, std::vector<std::uint32_t>& with_key,
                 std::vector<std::uint32_t>& without_key) {
    const std::int64_t watermark = context().watermark().micros;
    const auto is_late = [&](std::uint32_t row) { return times[row] <= watermark; };
    late_.count(std::erase_if(with_key, is_late) + std::erase_if(without_key, is_late));
  }
  [[nodiscard]] LateRows& late() { return late_; }

  /// Brings rows that the join has elsewhere into `rows`.
  virtual Status settle() { return {}; }

  /// Gives what is due: calls `give(until)`, which gives what of the rows in memory is due up to then, until that is
  /// everything. Rows may go to disk in between.
  template <class Give>
  Result<Step> give_due(Give&& give) {
    while (true) {
      auto given = give(until_);
      if (!given || *given == Step::yield) return given;
      // Of keys that are due together some may still be on disk.
      if (until_ == passed_ && !rows_.may_wake(passed_)) return Step::done;
      if (Status made = rows_.make_room(); !made) return fail(made.error());
      if (Status woken = wake(); !woken) return fail(woken.error());
    }
  }

  [[nodiscard]] TimedRows& rows() { return rows_; }
  [[nodiscard]] const TimedRows& rows() const { return rows_; }
  [[nodiscard]] std::int64_t passed() const { return passed_; }

 private:
  static std::vector<std::string> numbers_of_rows(const std::vector<std::string>& more) {
    std::vector<std::string> names{"join.event_time", "join.sequence"};
    names.insert(names.end(), more.begin(), more.end());
    return names;
  }
  Status wake() {
    const auto until = rows_.wake(passed_);
    if (!until) return fail(until.error());
    until_ = *until;
    return {};
  }

  TimedRows rows_;
  std::int64_t passed_ = Timestamp::min().micros;
  std::int64_t until_ = Timestamp::min().micros;  ///< rows that are due by then have been brought back
  LateRows late_;
};

}  // namespace dataflow::joins
