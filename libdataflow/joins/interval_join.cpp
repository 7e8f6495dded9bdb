// Rows whose times lie close to each other: the right's between the left's plus a low and plus a high bound, in whose
// place each left row may have a time of its own (until when an auction is open). A row meets those of the other side
// when it comes, and is kept until time has passed everything that could still match it (Flink's IntervalJoin).
//
// A row without a match is a result as soon as it is certain that it has none: when time has passed the end of its
// interval, which is also the result's time, so that it is not late for what follows. The same holds for a semi join's,
// whose time then does not depend on which match came first. A pair has the later of its rows' times.
//
// Rows are put under their keys as late as may be: see put_off_rows.hpp.

#include <algorithm>
#include <tuple>
#include <utility>

#include "libdataflow/joins/best_pairs.hpp"
#include "libdataflow/joins/interval_bounds.hpp"
#include "libdataflow/joins/put_off_rows.hpp"
#include "libdataflow/joins/timed_join.hpp"
#include "libdataflow/windows/time_buckets.hpp"

namespace dataflow::joins {

namespace {

class IntervalJoin final : public TimedJoin {
 public:
  explicit IntervalJoin(std::shared_ptr<const IntervalJoinSpec> spec)
      : TimedJoin{spec->join, BestPairs::numbers_of(*spec)},
        spec_{std::move(spec)},
        bounds_{*spec_},
        best_{*spec_},
        due_{windows::TimeBuckets<TimedRow*>{bounds_.bucket_width()},
             windows::TimeBuckets<TimedRow*>{bounds_.bucket_width()}} {}

  Result<Step> process(std::size_t input, const BatchPtr& batch, OperatorOutput& out) override {
    side_ = input;
    pieces_.start(batch);
    return go_on_with_batch(out);
  }

  Result<Step> resume(OperatorOutput& out) override {
    if (batch_ || !pieces_.empty()) return go_on_with_batch(out);
    for (PairSide& side : results_.sides) side.batch = nullptr;
    auto given = give_due([&](std::int64_t until) { return give_certain(until, out); });
    if (!given || *given == Step::yield) return given;
    return ended(rows().make_room());
  }

  [[nodiscard]] std::optional<Timestamp> waits_for() const override {
    std::int64_t first = KeyEntry::never;
    for (const std::size_t side : {left_input, right_input}) {
      if (!gives_unmatched(join().kind, side)) continue;
      const auto due = due_[side].first_due([](const TimedRow& row) { return row.flag == 0; });
      first = std::min({first, due.value_or(KeyEntry::never), rows().wakes()});
    }
    return first == KeyEntry::never ? std::nullopt : std::optional{Timestamp{first}};
  }

  void came_back(TimedRow& row) override {
    newest_[row.side] = std::max(newest_[row.side], row.time);
    row.due_time = end_of_interval(row);
    due_[row.side].add(&row);
  }
  void forget_rows_without_key() override {
    for (auto& due : due_) due.erase_if([](const TimedRow& row) { return row.key == nullptr; });
  }
  void set_waking(std::span<TimedRow* const> left, std::span<TimedRow* const> right, KeyEntry& entry) const override {
    std::int64_t last = Timestamp::min().micros;
    for (const auto& of_side : {left, right}) {
      if (of_side.empty()) continue;
      const bool gives_alone = gives_unmatched(join().kind, of_side.front()->side);
      for (const TimedRow* row : of_side) {
        last = std::max(last, row->due_time);
        if (gives_alone && row->flag == 0 && row->due_time < entry.wakes) entry.wake_at(row->due_time);
      }
    }
    if (entry.wakes != KeyEntry::never) return;
    entry.wake_at(last);
    entry.ends = true;
  }

 private:
  [[nodiscard]] std::int64_t end_of_interval(const TimedRow& row) const {
    return bounds_.end_of(row, layout(left_input));
  }
  static std::int64_t certain_at(const TimedRow& row) { return std::max(row.time, row.due_time); }

  /// Whether rows of the side wait only for what is out of order, and no more is asked of them than whom they meet.
  [[nodiscard]] bool can_put_off(std::size_t side) const {
    const bool knows_pairs = side == left_input && (is_of_left_rows(join().kind) || best_.are_wanted());
    return bounds_.meets_earlier_only(side) && !knows_pairs && !gives_unmatched(join().kind, side);
  }

  /// The next rows, or nothing in `batch_` when they wait.
  Status begin_piece() {
    batch_ = pieces_.next(rows().rows_at_once());
    times_ = batch_->timestamps()->as<std::int64_t>();
    rows_with_key(*batch_, join().sides[side_].keys, own_.rows, without_key_);
    std::tie(first_, last_) = least_and_greatest(times_);
    if (first_ <= context().watermark().micros) {
      drop_late(times_, own_.rows, without_key_);
      first_ = saturating_add(context().watermark().micros, 1);
    }
    count_without_key(side_, without_key_.size());
    std::reverse(without_key_.begin(), without_key_.end());  // they are taken from the end
    newest_[side_] = std::max(newest_[side_], last_);
    matched_.clear();
    all_rows_.clear();
    next_block_ = 0;
    if (may_be_ahead()) {
      put_off(ahead_[side_]);
      return {};
    }
    if (Status under_keys = settle_what_meets(); !under_keys) return under_keys;
    for (Pairs* pairs : {&candidates_, &results_}) {
      pairs->sides[side_].batch = batch_.get();
      pairs->sides[other(side_)].batch = nullptr;
    }
    row_ = 0;
    walking_ = false;
    puts_off_ = can_put_off(side_);
    keys_ = &keys_of_input(side_).read(*batch_);
    if (best_.are_wanted() && side_ == right_input) best_.start(*batch_, *keys_);
    if (!best_.are_wanted() || !puts_off_) matched_.resize(batch_->rows());
    if (puts_off_ && join().condition) {
      layout(side_).sizes(*batch_, own_.rows, own_.sizes);
      return rows().find_known(layout(side_), *keys_, *batch_, own_);
    }
    if (puts_off_) {
      all_rows_.swap(own_.rows);
      own_.rows.clear();
      return {};
    }
    if (Status found = rows().find(layout(side_), *keys_, *batch_, own_); !found) return found;
    rows().pack(layout(side_), *batch_, times_, static_cast<std::uint32_t>(side_), own_);
    for (TimedRow* row : own_.stored) row->due_time = end_of_interval(*row);
    return {};
  }

  /// Whether the rows of the batch meet nothing yet and may wait for it.
  [[nodiscard]] bool may_be_ahead() const {
    if (own_.rows.empty() || gives_unmatched(join().kind, side_) || is_of_left_rows(join().kind)) return false;
    if (rows().may_be_on_disk() || ahead_[side_].full()) return false;
    return bounds_.start_of(side_, first_) > newest_[other(side_)];
  }

  /// The rows of the batch.
  void put_off(PutOffRows& to) {
    to.add({side_, std::move(batch_), std::move(all_rows_.empty() ? own_.rows : all_rows_), std::exchange(matched_, {}),
            bounds_.start_of(side_, first_), bounds_.end_of(side_, last_)});
  }
  /// Puts under their keys what the batch may meet, and what there is no more room for.
  Status settle_what_meets() {
    const std::size_t met = other(side_);
    if (Status settled = settle(ahead_[met], first_of_all, last_); !settled) return settled;
    if (Status settled = settle(joined_[met], first_, last_); !settled) return settled;
    for (PutOffRows& joined : joined_) {
      if (!joined.full() && !rows().may_be_on_disk()) continue;
      if (Status settled = settle(joined, first_of_all, last_of_all); !settled) return settled;
    }
    return {};
  }
  Status settle() override {
    for (PutOffRows* put_off :
         {&ahead_[left_input], &ahead_[right_input], &joined_[left_input], &joined_[right_input]}) {
      if (Status settled = settle(*put_off, first_of_all, last_of_all); !settled) return settled;
    }
    return {};
  }
  Status settle(PutOffRows& put_off, std::int64_t first, std::int64_t last) {
    return put_off.take_meeting(first, last, [&](PutOff& rows_of_batch) { return put_under_keys(rows_of_batch); });
  }
  /// Those that still wait.
  Status put_under_keys(PutOff& put_off) {
    const Batch& batch = *put_off.batch;
    TimedBatch waiting{.rows = std::move(put_off.rows), .keys = {}, .sizes = {}, .stored = {}};
    const std::size_t side = put_off.side;
    const std::int64_t watermark = context().watermark().micros;
    std::erase_if(waiting.rows, [&](std::uint32_t row) { return bounds_.end_of(side, batch, row) <= watermark; });
    if (waiting.rows.empty()) return {};
    Status packed =
        rows().find_and_pack(layout(side), keys_of_input(side), batch, batch.timestamps()->as<std::int64_t>(),
                             static_cast<std::uint32_t>(side), waiting);
    if (!packed) return packed;
    for (std::size_t i = 0; i < waiting.rows.size(); ++i) {
      TimedRow* const row = waiting.stored[i];
      if (!put_off.matched.empty()) row->flag = put_off.matched[waiting.rows[i]];
      came_back(*row);
      rows().keep(row);
    }
    return {};
  }

  Result<Step> go_on_with_batch(OperatorOutput& out) {
    while (batch_ || !pieces_.empty()) {
      if (!batch_) {
        if (Status begun = begin_piece(); !begun) return fail(begun.error());
        if (!batch_) continue;
      }
      auto joined = join_piece(out);
      if (!joined || *joined == Step::yield) return joined;
      if (puts_off_) put_off(joined_[side_]);
      batch_.reset();
      if (Status made = rows().make_room(); !made) return fail(made.error());
      if (!pieces_.empty() && out.full()) return Step::yield;
    }
    return Step::done;
  }

  Result<Step> join_piece(OperatorOutput& out) {
    while (true) {
      if (has_rows_left() && puts_off_ && !join().condition) {
        if (Status matched = match_put_off(); !matched) return fail(matched.error());
      } else if (row_ < own_.rows.size()) {
        collect();
        if (Status matched = apply(out); !matched) return fail(matched.error());
      } else {
        add_rows_without_key();
      }
      const bool through = !has_rows_left() && without_key_.empty();
      if (!through && !results_.full()) continue;
      if (Status emitted = emit_results(out); !emitted) return fail(emitted.error());
      if (through) return Step::done;
      if (out.full()) return Step::yield;
    }
  }

  [[nodiscard]] bool has_rows_left() const { return row_ < own_.rows.size() || next_block_ < all_rows_.size(); }
  /// Rows that are put off, when nothing is asked beside keys and times: their pairs are results at once.
  Status match_put_off() {
    while (!results_.full() && has_rows_left()) {
      if (row_ == own_.rows.size()) {
        if (Status begun = begin_block(); !begun) return begun;
      }
      if (!walking_) row_ = next_with_candidates(row_);
      if (row_ == own_.rows.size()) continue;
      const std::uint32_t row = own_.rows[row_];
      if (TimedRow* const only = walking_ ? nullptr : rows().single_of_key(own_.keys[row_], other(side_))) {
        add_match(row, *only, nullptr);
        ++row_;
        continue;
      }
      if (!std::exchange(walking_, true)) walk_ = met_by(own_.keys[row_], row);
      for (; !walk_.empty() && !results_.full(); walk_ = walk_.subspan(1)) {
        if (is_candidate(row, *walk_.front())) add_match(row, *walk_.front(), nullptr);
      }
      walking_ = !walk_.empty();
      row_ += walking_ ? 0 : 1;
    }
    return {};
  }
  /// Of the next rows of the batch those that may meet something.
  Status begin_block() {
    const auto left = std::span{all_rows_}.subspan(next_block_);
    const auto block = best_.are_wanted() ? left.first(std::min(rows_in_a_block_, left.size())) : left;
    next_block_ += block.size();
    row_ = 0;
    if (best_.are_wanted()) best_.choose(block, own_.rows);
    if (!best_.are_wanted()) own_.rows.assign(block.begin(), block.end());
    return rows().find_known(layout(side_), *keys_, *batch_, own_);
  }

  void collect() {
    candidates_.clear();
    met_.clear();
    ends_.clear();
    while (row_ < own_.rows.size() && ends_.size() < candidates_at_once) {
      if (puts_off_ && !walking_) row_ = next_with_candidates(row_);
      if (row_ == own_.rows.size()) return;
      const std::uint32_t row = own_.rows[row_];
      if (!std::exchange(walking_, true)) walk_ = met_by(own_.keys[row_], row);
      while (!walk_.empty() && candidates_.count < candidates_at_once && candidates_.bytes < max_batch_bytes / 2) {
        TimedRow& met = *walk_.front();
        if (is_candidate(row, met)) add_candidate(row, met);
        walk_ = walk_.subspan(1);
      }
      walking_ = !walk_.empty();
      if (!puts_off_) ends_.push_back({row_, candidates_.count, !walking_});
      if (walking_) return;
      ++row_;
    }
  }

  /// Those of the other side that are near enough in time to a row of the batch; `key`: null when there is none.
  [[nodiscard]] std::span<TimedRow* const> met_by(std::byte* key, std::uint32_t row) const {
    if (key == nullptr) return {};
    return rows()
        .of_key(key, other(side_))
        .between(bounds_.start_of(side_, times_[row]), bounds_.end_of(side_, *batch_, row));
  }

  /// Most rows that are put off meet nothing, or nothing that they are better than: those are passed over in one go.
  /// Without a branch for each: it may go either way, and waiting for the processor to see which was half of what a bid
  /// cost (benchmark nexmark_q4).
  [[nodiscard]] std::size_t next_with_candidates(std::size_t i) {
    if (best_.are_wanted()) {
      return rows().next_met(own_, left_input, i, [this](std::uint32_t row, const TimedRow& left) {
        return best_.meets(row, left, bounds_.in_time(right_input, times_[row], left));
      });
    }
    return rows().next_met(own_, other(side_), i, [this](std::uint32_t row, const TimedRow& met) {
      return bounds_.in_time(side_, times_[row], met) != 0 && is_candidate(row, met);
    });
  }

  [[nodiscard]] bool is_candidate(std::uint32_t row, const TimedRow& met) const {
    if (side_ == left_input) return true;
    // What it had to wait for may be over before this row, though time has not passed that yet.
    if (bounds_.has_own_ends() && met.due_time < times_[row]) return false;
    if (best_.are_wanted() && !BestPairs::is_best(best_.rank_in_batch(row), met)) return false;
    // Of a left row no more is asked than whether it has a match.
    return !is_of_left_rows(join().kind) || met.flag == 0;
  }

  void add_candidate(std::uint32_t row, TimedRow& met) {
    candidates_.sides[side_].rows.push_back(row);
    candidates_.sides[other(side_)].stored.push_back(met.bytes());
    met_.push_back(&met);
    ++candidates_.count;
    candidates_.bytes += PackedLayout::size_of(met.bytes()) + own_.sizes[row_];
  }

  Status apply(OperatorOutput& out) {
    if (Status chosen = select(candidates_, out); !chosen) return chosen;
    const auto add = [this](std::uint32_t candidate, TimedRow* own) {
      add_match(candidates_.sides[side_].rows[candidate], *met_[candidate], own);
    };
    std::size_t next = 0;
    for (const RowEnd& end : ends_) {
      TimedRow& own = *own_.stored[end.row];
      for (; next < selected().size() && selected()[next] < end.candidates; ++next) add(selected()[next], &own);
      if (end.complete) finish_row(own_.rows[end.row], own);
    }
    for (; next < selected().size(); ++next) add(selected()[next], nullptr);
    return {};
  }

  /// `own`: the stored row; null when it is put off, which no left row is whose pairs are compared.
  void add_match(std::uint32_t batch_row, TimedRow& met, TimedRow* own) {
    if (best_.are_wanted()) {
      TimedRow& left = side_ == right_input || own == nullptr ? met : *own;
      const auto rank = side_ == left_input ? best_.rank_of(met, layout(right_input)) : best_.rank_in_batch(batch_row);
      if (!BestPairs::is_best(rank, left)) return;
      const bool better = left.flag != 0 && *rank > left.best;
      left.best = *rank;
      if (side_ == right_input) {
        if (better && left.flag >= first_in_results)
          return replace_result(left.flag - first_in_results, batch_row, left);
        left.flag = first_in_results + static_cast<std::uint32_t>(results_.count);
        in_results_.push_back(&left);
        return add_result(batch_row, left.bytes(), std::max(times_[batch_row], left.time));
      }
      left.flag = 1;
    }
    const bool first = met.flag == 0;
    matched_[batch_row] = met.flag = 1;
    if (!is_of_left_rows(join().kind)) {
      add_result(batch_row, met.bytes(), std::max(times_[batch_row], met.time));
    } else if (join().kind == JoinKind::semi && side_ == right_input && first) {
      add_result(no_row, met.bytes(), certain_at(met));
    }
  }

  void finish_row(std::uint32_t batch_row, TimedRow& own) {
    own.flag = matched_[batch_row];
    const bool unmatched = own.flag == 0;
    const bool no_more = own.due_time <= context().watermark().micros;
    if (!unmatched && side_ == left_input && join().kind == JoinKind::semi) {
      add_result(batch_row, nullptr, certain_at(own));
    }
    if (no_more && unmatched && gives_unmatched(join().kind, side_)) add_result(batch_row, nullptr, certain_at(own));
    const bool decided = side_ == left_input && !unmatched && is_of_left_rows(join().kind);
    if (no_more || decided) {
      rows().free(&own);
      return;
    }
    rows().keep(&own);
    due_[side_].add(&own);
  }

  /// The pair of that result is not the best of its left row any more.
  void replace_result(std::uint32_t result, std::uint32_t batch_row, const TimedRow& left) {
    results_.sides[right_input].rows[result] = batch_row;
    results_.times[result] = std::max(times_[batch_row], left.time);
  }
  Status emit_results(OperatorOutput& out) {
    for (TimedRow* left : in_results_) left->flag = 1;
    in_results_.clear();
    return emit(results_, out);
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
      add_result(row, nullptr, std::max(times_[row], bounds_.end_of(side_, *batch_, row)));
    }
  }

  /// Gives what has become certain and forgets what cannot match any more.
  Result<Step> give_certain(std::int64_t until, OperatorOutput& out) {
    for (const std::size_t side : {left_input, right_input}) {
      ahead_[side].forget_until(until);
      joined_[side].forget_until(until);
      if (!gives_unmatched(join().kind, side)) {
        due_[side].take_buckets_unordered(until, [&](TimedRow& row) {
          rows().take_out(row);
          rows().free(&row);
        });
        continue;
      }
      bool all = false;
      while (!all) {
        all = due_[side].take_due(until, [&](TimedRow& row) {
          rows().take_out(row);
          gone_.push_back(&row);
          if (row.flag == 0) add_due(side, row);
          return !results_.full();
        });
        if (!all && !results_.full()) continue;
        if (Status emitted = emit(results_, out); !emitted) return fail(emitted.error());
        for (TimedRow* row : gone_) rows().free(row);
        gone_.clear();
        if (!all && out.full()) return Step::yield;
      }
    }
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

  static constexpr std::int64_t first_of_all = Timestamp::min().micros;
  static constexpr std::int64_t last_of_all = Timestamp::max().micros;

  /// The flag of a left row whose best pair so far is the first of the results that are being gathered.
  static constexpr std::uint32_t first_in_results = 2;

  std::shared_ptr<const IntervalJoinSpec> spec_;
  IntervalBounds bounds_;
  BestPairs best_;
  std::array<windows::TimeBuckets<TimedRow*>, 2> due_;
  std::vector<TimedRow*> gone_;  ///< taken out, but a result may refer to them
  std::array<std::int64_t, 2> newest_{Timestamp::min().micros, Timestamp::min().micros};  ///< that has come, by side
  std::array<PutOffRows, 2> ahead_;   ///< rows that are ahead of the other side's newest
  std::array<PutOffRows, 2> joined_;  ///< rows that can only meet earlier ones: they have met those

  // The batch at hand.
  std::size_t side_ = left_input;
  BatchPieces pieces_;
  BatchPtr batch_;
  std::span<const std::int64_t> times_;
  std::int64_t first_ = 0;  ///< of the times, of those that are not late
  std::int64_t last_ = 0;
  bool puts_off_ = false;  ///< its rows are not packed
  TimedBatch own_;
  std::vector<std::uint32_t> without_key_;
  const windows::KeyBatch* keys_ = nullptr;
  std::vector<std::uint32_t> all_rows_;  ///< of a batch that is put off: own_ has a block of them after another
  std::size_t next_block_ = 0;           ///< where in all_rows_ it begins
  std::size_t rows_in_a_block_ = buggified(Buggify::few_join_results) ? 2 : 256;
  std::size_t row_ = 0;   ///< in own_: the next one
  bool walking_ = false;  ///< it is half through
  std::span<TimedRow* const> walk_;
  Pairs candidates_;
  Pairs results_;
  std::vector<std::uint32_t> matched_;  ///< for each row of the batch: its flag
  std::vector<TimedRow*> met_;          ///< the candidates' other rows
  std::vector<TimedRow*> in_results_;   ///< left rows whose flag says where in the results their best pair is
  std::vector<RowEnd> ends_;
};

}  // namespace

OperatorFactoryPtr make_interval_join(IntervalJoinSpec spec) {
  return std::make_shared<JoinFactory<IntervalJoin, IntervalJoinSpec>>(std::move(spec));
}

}  // namespace dataflow::joins
