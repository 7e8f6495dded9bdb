// Rows of both sides that are in the same session: a key's rows, of either side, that follow one another within the gap
// (Flink's window join on session windows). Rows wait under their key until no further one can go on with their
// session; then its left and its right rows are joined. A session is [first row, last row + gap), and its results have
// its last microsecond.
//
// A row is late when its session is over, so one that is old by itself still counts where it goes on with an open one.

#include "libdataflow/joins/session_join.hpp"

#include <algorithm>
#include <deque>

#include "libdataflow/joins/timed_join.hpp"
#include "libdataflow/windows/assign.hpp"
#include "libdataflow/windows/time_buckets.hpp"

namespace dataflow::joins {

namespace {

constexpr std::int64_t buckets_in_a_gap = 8;

/// One that is over.
struct Session {
  std::int64_t start = 0;
  std::int64_t end = 0;
  std::vector<TimedRow*> sides[2];  ///< in the order of their times
  std::size_t left = 0;             ///< the row that comes next,
  std::size_t walk = 0;             ///< and the right one that it meets next
  std::size_t right = 0;            ///< the next one that may have had no match
};

class SessionJoin final : public TimedJoin {
 public:
  explicit SessionJoin(std::shared_ptr<const WindowJoinSpec> spec)
      : TimedJoin{spec->join, {"join.matched"}},
        spec_{std::move(spec)},
        gap_{spec_->window.gap.count()},
        due_{gap_ / buckets_in_a_gap} {}

  Result<Step> process(std::size_t input, const BatchPtr& batch, OperatorOutput& out) override {
    BatchPieces pieces;
    for (pieces.start(batch); !pieces.empty();) {
      const BatchPtr piece = pieces.next(rows().rows_at_once());
      rows_with_key(*piece, join().sides[input].keys, taken_.rows, without_key_);
      count_without_key(input, without_key_.size());
      Status taken = take(input, *piece);
      if (taken) late().give(input, *piece, late_rows_, out);
      if (taken) taken = give_without_key(input, *piece, out);
      if (taken) taken = rows().make_room();
      if (!taken) return fail(taken.error());
    }
    return Step::done;
  }

  Result<Step> resume(OperatorOutput& out) override {
    auto given = give_due([&](std::int64_t until) { return give_sessions(until, out); });
    if (!given || *given == Step::yield) return given;
    return ended(rows().make_room());
  }

  [[nodiscard]] std::optional<Timestamp> waits_for() const override {
    const auto due = due_.first_due([](const TimedRow&) { return true; });
    const std::int64_t first = std::min(due.value_or(KeyEntry::never), rows().wakes());
    return first == KeyEntry::never ? std::nullopt : std::optional{Timestamp{first}};
  }

  void came_back(TimedRow& row) override {
    row.due_time = last_micros_of(row.time);
    due_.add(&row);
  }
  void forget_rows_without_key() override {
    due_.erase_if([](const TimedRow& row) { return row.key == nullptr; });
  }
  void set_waking(std::span<TimedRow* const> left, std::span<TimedRow* const> right, KeyEntry& entry) const override {
    if (left.empty() && right.empty()) return;
    // When the first session is over.
    std::int64_t last =
        std::min(left.empty() ? last_micros : left.front()->time, right.empty() ? last_micros : right.front()->time);
    while (true) {
      const bool from_left = goes_on(left, last);
      if (!from_left && !goes_on(right, last)) break;
      auto& side = from_left ? left : right;
      last = std::max(last, side.front()->time);
      side = side.subspan(1);
    }
    entry.wake_at(last_micros_of(last));
  }

 private:
  /// Of the session if no row came after this time.
  [[nodiscard]] std::int64_t last_micros_of(std::int64_t time) const {
    return saturating_sub(saturating_add(time, gap_), 1);
  }
  [[nodiscard]] bool goes_on(std::span<TimedRow* const> of_side, std::int64_t last) const {
    return !of_side.empty() && of_side.front()->time <= saturating_add(last, gap_);
  }
  [[nodiscard]] bool is_over(std::int64_t time) const { return last_micros_of(time) <= context().watermark().micros; }

  Status take(std::size_t input, const Batch& batch) {
    const auto times = batch.timestamps()->as<std::int64_t>();
    Status packed = rows().find_and_pack(layout(input), keys_of_input(input), batch, times,
                                         static_cast<std::uint32_t>(input), taken_);
    if (!packed) return packed;
    late_rows_.clear();
    for (std::size_t i = 0; i < taken_.stored.size(); ++i) {
      TimedRow* const row = taken_.stored[i];
      if (is_over(row->time) && !has_neighbour(*row)) {
        late_rows_.push_back(taken_.rows[i]);
        rows().free(row);
        continue;
      }
      came_back(*row);
      rows().keep(row);
    }
    return {};
  }

  /// Whether the row goes on with a session: those of its key that are kept are not over.
  [[nodiscard]] bool has_neighbour(const TimedRow& row) const {
    const std::int64_t first = saturating_sub(row.time, gap_);
    const std::int64_t last = saturating_add(row.time, gap_);
    return !rows().of_key(row, left_input).between(first, last).empty() ||
           !rows().of_key(row, right_input).between(first, last).empty();
  }

  /// What has no key is a session by itself, without a match, which is certain at once.
  Status give_without_key(std::size_t input, const Batch& batch, OperatorOutput& out) {
    if (!gives_unmatched(join().kind, input)) return {};
    Pairs alone;
    alone.sides[input].batch = &batch;
    late_rows_.clear();
    for (const std::uint32_t row : without_key_) {
      const std::int64_t time = batch.timestamp(row).micros;
      if (is_over(time)) {
        late_rows_.push_back(row);
        continue;
      }
      alone.sides[input].rows.push_back(row);
      alone.sides[other(input)].stored.push_back(nullptr);
      end_result(alone, time, saturating_add(time, gap_));
    }
    late().give(input, batch, late_rows_, out);
    return emit(alone, out);
  }

  Result<Step> give_sessions(std::int64_t until, OperatorOutput& out) {
    bool all = false;
    while (!all) {
      all = collect(until);
      if (Status joined = apply(out); !joined) return fail(joined.error());
      if (!all && !results_.full() && sessions_.size() < candidates_at_once) continue;
      if (Status emitted = emit(results_, out); !emitted) return fail(emitted.error());
      for (; sessions_.size() > (joining_ ? 1U : 0U); sessions_.pop_front()) free_rows(sessions_.front());
      if (!all && out.full()) return Step::yield;
    }
    return Step::done;
  }

  void free_rows(const Session& session) {
    for (const auto& side : session.sides) {
      for (TimedRow* row : side) rows().free(row);
    }
  }

  /// The next session that is over, as the last one of `sessions_`; false when there is none.
  bool begin_session(std::int64_t until) {
    due_.take_due(until, [&](TimedRow& row) {
      if (!is_last_of_session(row)) return true;  // the last one will come here
      begin_session_of(row);
      return false;
    });
    return joining_;
  }

  [[nodiscard]] bool is_last_of_session(const TimedRow& row) const {
    return std::all_of(std::begin(both_sides), std::end(both_sides), [&](std::size_t side) {
      const auto after = rows().of_key(row, side).between(row.time, saturating_add(row.time, gap_));
      if (!after.empty() && after.back()->time > row.time) return false;
      return std::all_of(after.begin(), after.end(),
                         [&](const TimedRow* at_once) { return at_once->sequence <= row.sequence; });
    });
  }

  void begin_session_of(const TimedRow& last) {
    Session& session = sessions_.emplace_back();
    session.start = last.time;
    session.end = saturating_add(last.time, gap_);
    std::span<TimedRow* const> before[2];
    for (const std::size_t side : both_sides) before[side] = rows().of_key(last, side).between(first_micros, last.time);
    while (true) {
      const bool left_is_later =
          !before[0].empty() && (before[1].empty() || before[0].back()->time >= before[1].back()->time);
      const std::size_t side = left_is_later ? left_input : right_input;
      if (before[side].empty() || saturating_add(before[side].back()->time, gap_) < session.start) break;
      session.start = before[side].back()->time;
      session.sides[side].push_back(before[side].back());
      before[side] = before[side].first(before[side].size() - 1);
    }
    for (auto& side : session.sides) {
      std::reverse(side.begin(), side.end());
      for (TimedRow* row : side) rows().take_out(*row);
    }
    joining_ = true;
  }

  /// Gathers candidates until there are enough; true when no more sessions are over.
  bool collect(std::int64_t until) {
    candidates_.clear();
    met_.clear();
    ends_.clear();
    while (ends_.size() < candidates_at_once) {
      if (!joining_ && !begin_session(until)) return true;
      if (!collect_from(sessions_.back())) return false;
      joining_ = false;
    }
    return false;
  }

  /// Whether nothing of it is left.
  bool collect_from(Session& session) {
    const bool one_is_enough = is_of_left_rows(join().kind) && !join().condition;
    const auto& right = session.sides[right_input];
    for (; session.left < session.sides[left_input].size(); ++session.left) {
      if (ends_.size() >= candidates_at_once) return false;
      TimedRow* const left = session.sides[left_input][session.left];
      while (session.walk < right.size()) {
        if (candidates_.count >= candidates_at_once || candidates_.bytes >= max_batch_bytes / 2) {
          ends_.push_back({&session, left, nullptr, candidates_.count, false});
          return false;
        }
        add_candidate(session, left, right[session.walk]);
        session.walk = one_is_enough ? right.size() : session.walk + 1;
      }
      ends_.push_back({&session, left, nullptr, candidates_.count, true});
      session.walk = 0;
    }
    if (!gives_unmatched(join().kind, right_input)) return true;
    for (; session.right < right.size(); ++session.right) {
      if (ends_.size() >= candidates_at_once) return false;
      ends_.push_back({&session, nullptr, right[session.right], candidates_.count, true});
    }
    return true;
  }

  void add_candidate(const Session& session, TimedRow* left, TimedRow* right) {
    candidates_.sides[left_input].stored.push_back(left->bytes());
    candidates_.sides[right_input].stored.push_back(right->bytes());
    met_.push_back(right);
    if (join().condition) {
      candidates_.window_starts.push_back(session.start);
      candidates_.window_ends.push_back(session.end);
    }
    candidates_.bytes += PackedLayout::size_of(left->bytes()) + PackedLayout::size_of(right->bytes());
    ++candidates_.count;
  }

  Status apply(OperatorOutput& out) {
    if (Status chosen = select(candidates_, out); !chosen) return chosen;
    std::size_t next = 0;
    std::size_t left_out = 0;
    for (const RowEnd& end : ends_) {
      for (; next < selected().size() && selected()[next] < end.candidates; ++next) {
        TimedRow* const right = met_[selected()[next]];
        end.left->flag = right->flag = 1;
        if (!is_of_left_rows(join().kind)) add_result(*end.session, end.left, right);
      }
      if (!end.complete) continue;
      if (end.right != nullptr) {
        if (end.right->flag == 0) add_result(*end.session, nullptr, end.right);
        continue;
      }
      const bool alone = end.left->flag == 0 ? gives_unmatched(join().kind, left_input) : join().kind == JoinKind::semi;
      if (alone) add_result(*end.session, end.left, nullptr);
      if (!alone && end.left->flag == 0) ++left_out;
    }
    count_without_match(left_out);
    return {};
  }

  void add_result(const Session& session, const TimedRow* left, const TimedRow* right) {
    results_.sides[left_input].stored.push_back(left != nullptr ? left->bytes() : nullptr);
    results_.sides[right_input].stored.push_back(right != nullptr ? right->bytes() : nullptr);
    for (const TimedRow* row : {left, right}) {
      if (row != nullptr) results_.bytes += PackedLayout::size_of(row->bytes());
    }
    end_result(results_, session.start, session.end);
  }
  static void end_result(Pairs& results, std::int64_t start, std::int64_t end) {
    results.times.push_back(saturating_sub(end, 1));
    results.window_starts.push_back(start);
    results.window_ends.push_back(end);
    ++results.count;
  }

  /// Where the candidates of a left row end; or a right row all of whose candidates have been.
  struct RowEnd {
    const Session* session;
    TimedRow* left;
    TimedRow* right;
    std::size_t candidates;
    bool complete;
  };
  static constexpr std::size_t both_sides[] = {left_input, right_input};

  std::shared_ptr<const WindowJoinSpec> spec_;
  std::int64_t gap_;
  windows::TimeBuckets<TimedRow*> due_;  ///< by the end of the session if no row came after
  std::deque<Session> sessions_;         ///< results may refer to their rows
  bool joining_ = false;                 ///< the last one of them is half through

  TimedBatch taken_;
  std::vector<std::uint32_t> without_key_;
  std::vector<std::uint32_t> late_rows_;
  Pairs candidates_;
  std::vector<TimedRow*> met_;  ///< the candidates' right rows
  std::vector<RowEnd> ends_;
  Pairs results_;
};

}  // namespace

OperatorFactoryPtr make_session_join(WindowJoinSpec spec) {
  return std::make_shared<JoinFactory<SessionJoin, WindowJoinSpec>>(std::move(spec));
}

}  // namespace dataflow::joins
