// Rows whose times lie close to each other: the right's between the left's plus a low and plus a high bound. A row
// meets those of the other side when it comes, and is kept until time has passed everything that could still match it
// (Flink's IntervalJoin).
//
// A row without a match is a result as soon as it is certain that it has none: when time has passed the end of its
// interval, which is also the result's time, so that it is not late for what follows. The same holds for a semi join's,
// whose time then does not depend on which match came first. A pair has the later of its rows' times.

#include <algorithm>

#include "libdataflow/joins/time_buckets.hpp"
#include "libdataflow/joins/timed_rows.hpp"
#include "libdataflow/windows/assign.hpp"

namespace dataflow::joins {

namespace {

/// What an interval is cut into for cleaning up: so much longer than needed a row may stay.
constexpr std::int64_t buckets_in_an_interval = 8;

class IntervalJoin final : public JoinOperator {
 public:
  explicit IntervalJoin(std::shared_ptr<const IntervalJoinSpec> spec)
      : JoinOperator{spec->join, {"join.event_time", "join.sequence", "join.matched"}},
        spec_{std::move(spec)},
        rows_{keys_of_input(left_input).form()},
        due_{TimeBuckets<TimedRow>{bucket_width()}, TimeBuckets<TimedRow>{bucket_width()}} {}

  Status open(OperatorContext& context) override {
    late_ = &context.counter("late");
    return JoinOperator::open(context);
  }

  Result<Step> process(std::size_t input, const BatchPtr& batch, OperatorOutput& out) override {
    side_ = input;
    batch_ = batch;
    watermark_ = context().watermark().micros;
    times_ = batch->timestamps()->as<std::int64_t>();
    rows_with_key(*batch, join().sides[input].keys, own_.rows, without_key_);
    const std::size_t before = own_.rows.size() + without_key_.size();
    const auto is_late = [&](std::uint32_t row) { return times_[row] <= watermark_; };
    std::erase_if(own_.rows, is_late);
    std::erase_if(without_key_, is_late);
    late_->add(before - own_.rows.size() - without_key_.size());
    std::reverse(without_key_.begin(), without_key_.end());  // they are taken from the end
    rows_.pack(layout(input), keys_of_input(input), *batch, times_, static_cast<std::uint32_t>(input), own_);
    for (Pairs* pairs : {&candidates_, &results_}) {
      pairs->sides[side_].batch = batch_.get();
      pairs->sides[other(side_)].batch = nullptr;
    }
    row_ = 0;
    walking_ = false;
    return resume(out);
  }

  Result<Step> on_watermark(Timestamp watermark, OperatorOutput& out) override {
    passed_ = watermark.micros;
    for (PairSide& side : results_.sides) side.batch = nullptr;
    return resume(out);
  }

  Result<Step> resume(OperatorOutput& out) override { return batch_ ? go_on_with_batch(out) : go_on_with_due(out); }

  Result<CapturedStatePtr> snapshot() override {
    auto captured = std::make_unique<CapturedRows>(context().max_parallelism());
    for (const std::size_t side : {left_input, right_input}) {
      captured->begin(table(side));
      rows_.for_each(side, [&](const TimedRow& row) {
        captured->add(row.bytes(), {row.time, row.sequence, row.flag});
      });
    }
    return captured;
  }

  Status restore(StateReader& state) override {
    for (const std::uint32_t side : {0U, 1U}) {
      Status read = table(side).restore(state, [&](const BatchPtr& rows) -> Status {
        rows_.restore(table(side), keys_of_table(side), *rows, side, [&](TimedRow* row) {
          row->due_time = end_of_interval(side, row->time);
          due_[side].add(row);
        });
        return {};
      });
      if (!read) return read;
    }
    return {};
  }

 private:
  [[nodiscard]] std::int64_t bucket_width() const {
    return saturating_sub(spec_->high.count(), spec_->low.count()) / buckets_in_an_interval;
  }
  /// Up to then a row of the side may find a match.
  [[nodiscard]] std::int64_t end_of_interval(std::size_t side, std::int64_t time) const {
    return side == left_input ? saturating_add(time, spec_->high.count()) : saturating_sub(time, spec_->low.count());
  }
  [[nodiscard]] std::int64_t start_of_interval(std::size_t side, std::int64_t time) const {
    return side == left_input ? saturating_add(time, spec_->low.count()) : saturating_sub(time, spec_->high.count());
  }
  static std::int64_t certain_at(const TimedRow& row) { return std::max(row.time, row.due_time); }

  Result<Step> go_on_with_batch(OperatorOutput& out) {
    while (true) {
      if (row_ < own_.rows.size()) {
        collect();
        if (Status matched = apply(); !matched) return fail(matched.error());
      } else {
        add_rows_without_key();
      }
      const bool through = row_ == own_.rows.size() && without_key_.empty();
      if (!through && !results_.full()) continue;
      if (Status emitted = emit(results_, out); !emitted) return fail(emitted.error());
      if (through) break;
      if (out.full()) return Step::yield;
    }
    batch_.reset();
    return Step::done;
  }

  void collect() {
    candidates_.clear();
    met_.clear();
    ends_.clear();
    while (row_ < own_.rows.size() && ends_.size() < candidates_at_once) {
      TimedRow& row = *own_.stored[row_];
      if (!walking_) {
        row.due_time = end_of_interval(side_, row.time);
        walk_ = rows_.of_key(row, other(side_)).between(start_of_interval(side_, row.time), row.due_time);
        walking_ = true;
      }
      while (!walk_.empty() && candidates_.count < candidates_at_once && candidates_.bytes < max_batch_bytes / 2) {
        add_candidate(*walk_.front());
        walk_ = walk_.subspan(1);
      }
      const bool complete = walk_.empty();
      ends_.push_back({row_, candidates_.count, complete});
      if (!complete) return;
      walking_ = false;
      ++row_;
    }
  }

  void add_candidate(TimedRow& met) {
    // Of a left row no more is asked than whether it has a match.
    if (is_of_left_rows(join().kind) && side_ == right_input && met.flag != 0) return;
    candidates_.sides[side_].rows.push_back(own_.rows[row_]);
    candidates_.sides[other(side_)].stored.push_back(met.bytes());
    met_.push_back(&met);
    ++candidates_.count;
    candidates_.bytes += PackedLayout::size_of(met.bytes()) + own_.sizes[row_];
  }

  Status apply() {
    if (Status chosen = select(candidates_); !chosen) return chosen;
    std::size_t next = 0;
    for (const RowEnd& end : ends_) {
      TimedRow& own = *own_.stored[end.row];
      for (; next < selected().size() && selected()[next] < end.candidates; ++next) {
        TimedRow& met = *met_[selected()[next]];
        const bool first = met.flag == 0;
        own.flag = met.flag = 1;
        if (!is_of_left_rows(join().kind)) {
          add_result(own_.rows[end.row], met.bytes(), std::max(own.time, met.time));
        } else if (join().kind == JoinKind::semi && side_ == right_input && first) {
          add_result(no_row, met.bytes(), certain_at(met));
        }
      }
      if (end.complete) finish_row(own_.rows[end.row], own);
    }
    return {};
  }

  void finish_row(std::uint32_t batch_row, TimedRow& own) {
    const bool unmatched = own.flag == 0;
    const bool no_more = own.due_time <= watermark_;
    if (!unmatched && side_ == left_input && join().kind == JoinKind::semi) {
      add_result(batch_row, nullptr, certain_at(own));
    }
    if (no_more && unmatched && gives_unmatched(join().kind, side_)) add_result(batch_row, nullptr, certain_at(own));
    const bool decided = side_ == left_input && !unmatched && is_of_left_rows(join().kind);
    if (no_more || decided) {
      rows_.free(&own);
      return;
    }
    rows_.keep(&own);
    due_[side_].add(&own);
  }

  void add_result(std::uint32_t batch_row, const std::byte* met, std::int64_t time) {
    results_.sides[side_].rows.push_back(batch_row);
    results_.sides[other(side_)].stored.push_back(met);
    results_.times.push_back(time);
    ++results_.count;
    if (met != nullptr) results_.bytes += PackedLayout::size_of(met);
  }

  /// What has no key never has a match, which is certain at once.
  void add_rows_without_key() {
    if (!gives_unmatched(join().kind, side_)) without_key_.clear();
    for (; !without_key_.empty() && !results_.full(); without_key_.pop_back()) {
      const std::uint32_t row = without_key_.back();
      add_result(row, nullptr, std::max(times_[row], end_of_interval(side_, times_[row])));
    }
  }

  /// Gives what has become certain and forgets what cannot match any more.
  Result<Step> go_on_with_due(OperatorOutput& out) {
    for (const std::size_t side : {left_input, right_input}) {
      if (!gives_unmatched(join().kind, side)) {
        due_[side].take_buckets(passed_, [&](TimedRow& row) {
          rows_.take_out(row);
          rows_.free(&row);
        });
        continue;
      }
      bool all = false;
      while (!all) {
        all = due_[side].take_due(passed_, [&](TimedRow& row) {
          rows_.take_out(row);
          gone_.push_back(&row);
          if (row.flag == 0) add_due(side, row);
          return !results_.full();
        });
        if (!all && !results_.full()) continue;
        if (Status emitted = emit(results_, out); !emitted) return fail(emitted.error());
        for (TimedRow* row : gone_) rows_.free(row);
        gone_.clear();
        if (!all && out.full()) return Step::yield;
      }
    }
    rows_.tidy();
    return Step::done;
  }

  void add_due(std::size_t side, const TimedRow& row) {
    results_.sides[side].stored.push_back(row.bytes());
    results_.sides[other(side)].stored.push_back(nullptr);
    results_.times.push_back(certain_at(row));
    ++results_.count;
    results_.bytes += PackedLayout::size_of(row.bytes());
  }

  struct RowEnd {
    std::size_t row;  ///< in own_
    std::size_t candidates;
    bool complete;
  };

  std::shared_ptr<const IntervalJoinSpec> spec_;
  TimedRows rows_;
  std::array<TimeBuckets<TimedRow>, 2> due_;
  std::int64_t passed_ = Timestamp::min().micros;
  std::vector<TimedRow*> gone_;  ///< taken out, but a result may refer to them
  Counter* late_ = nullptr;

  // The batch at hand.
  std::size_t side_ = left_input;
  BatchPtr batch_;
  std::span<const std::int64_t> times_;
  std::int64_t watermark_ = 0;
  TimedBatch own_;
  std::vector<std::uint32_t> without_key_;
  std::size_t row_ = 0;   ///< in own_: the next one
  bool walking_ = false;  ///< it is half through
  std::span<TimedRow* const> walk_;
  Pairs candidates_;
  Pairs results_;
  std::vector<TimedRow*> met_;  ///< the candidates' other rows
  std::vector<RowEnd> ends_;
};

}  // namespace

OperatorFactoryPtr make_interval_join(IntervalJoinSpec spec) {
  return std::make_shared<JoinFactory<IntervalJoin, IntervalJoinSpec>>(std::move(spec));
}

}  // namespace dataflow::joins
