// A top that gives the first rows of a window when it is over; all of time is one, which is over with the input, where
// there are no others.
//
// A key is of one window. On the heap the windows are lists of keys, and come out in the order in which these came; in
// a store each key has a timer, which needs no memory however many there are.

#include <algorithm>
#include <map>

#include "libdataflow/ranking/cutoff.hpp"
#include "libdataflow/ranking/key_runs.hpp"
#include "libdataflow/ranking/top_operator.hpp"

namespace dataflow {

namespace {

class WindowedTop final : public Top {
 public:
  WindowedTop(const TopSpec& top, SchemaPtr input)
      : Top{top, std::move(input)}, runs_{top.key_fields}, cutoff_{top.order, limit_of(top)} {}

  Status open(OperatorContext& context) override {
    late_ = &context.counter("late");
    return Top::open(context);
  }

  Result<Step> process(std::size_t, const BatchPtr& batch, OperatorOutput&) override {
    set_has_time(batch->has_event_time());
    const BatchPtr keys = runs_.find(batch);
    const auto slots = runtime().begin_batch(*keys, context().now());
    if (!slots) return fail(slots.error());
    for (std::uint32_t run = 0; run < runs_.size(); ++run) {
      const std::uint32_t first = runs_.begin(run);
      const std::uint32_t end = runs_.begin(run + 1);
      if (spec().window_end && batch->column(*spec().window_end).is_null(first)) {
        return fail(ErrorCode::invalid_argument, "a row has no window_end: it is of no window");
      }
      if (fires_at(*batch, first) <= passed()) {
        late_->add(end - first);
        continue;
      }
      runtime().select((*slots)[run]);
      entering(*batch, first);
      place_run(*batch, first, end);
    }
    if (Status ended = runtime().end_batch(); !ended) return fail(ended.error());
    return Step::done;
  }

  [[nodiscard]] std::optional<Timestamp> waits_for() const override {
    std::optional<Timestamp> first;
    if (in_store()) {
      first = runtime().next_timer(TimerDomain::event_time);
    } else if (!windows_.empty()) {
      first = windows_.begin()->first;
    }
    if (first == Timestamp::max()) first = Timestamp::max() - Duration{1};  // of which nobody would know
    return first;
  }

  Result<Step> on_watermark(Timestamp watermark, OperatorOutput& out) override {
    passed_ = watermark;
    return resume(out);
  }

  Result<Step> resume(OperatorOutput& out) override {
    while (true) {
      if (!given_) {
        const Status next = next_key();
        if (!next) return fail(next.error());
        if (!given_) break;
      }
      runtime().select(*given_);
      const RankedRows* const given = kept().get();
      while (given != nullptr && rank_ < given->rows.size()) {
        add_result(given->rows[rank_], shown_rank(*given), RowKind::insert);
        ++rank_;
        if (!results_full()) continue;
        flush(out);
        if (out.full()) return Step::yield;
      }
      kept().clear();
      runtime().end_timer(*given_);
      given_.reset();
      rank_ = 0;
    }
    flush(out);
    return Step::done;
  }

 protected:
  /// The first row of a key opens its window.
  void entering(const Batch& batch, std::uint32_t row) override {
    const bool is_first = kept().get() == nullptr;
    if (in_store()) {
      if (is_first || announces_) runtime().set_timer(TimerDomain::event_time, fires_at(batch, row), "");
    } else if (is_first) {
      windows_[fires_at(batch, row)].keys.push_back(runtime().slot());
    }
  }

  Status restore_groups(StateReader& state) override {
    if (!in_store()) return take_back(state);
    if (Status restored = runtime().restore(state); !restored) return restored;
    if (runtime().next_timer(TimerDomain::event_time)) return {};
    announces_ = true;  // what was on the heap had no timers
    Status announced = announce(state);
    announces_ = false;
    return announced;
  }

 private:
  /// Rows of one key, which is selected.
  void place_run(const Batch& batch, std::uint32_t first, std::uint32_t end) {
    const Column& column = batch.column(spec().order.front().field);
    if (end - first == 1 || !Cutoff::knows(column)) {
      for (std::uint32_t row = first; row < end; ++row) place(batch, row);
      return;
    }
    cutoff_.set(kept().get());
    for (std::uint32_t row = first; (row = cutoff_.next(column, row, end)) != end; ++row) {
      place(batch, row);
      cutoff_.set(kept().get());
    }
  }

  /// Keys whose time is over together, in the order in which they came.
  struct Window {
    std::vector<std::uint32_t> keys;
    std::size_t given = 0;
  };

  /// Of the row that is given next.
  [[nodiscard]] std::size_t shown_rank(const RankedRows& given) const {
    return spec().ties && !spec().rank.empty() ? given.before_equals_of(rank_) : rank_;
  }

  /// A window's results have the time of its last microsecond.
  [[nodiscard]] Timestamp fires_at(const Batch& batch, std::uint32_t row) const {
    if (!spec().window_end) return Timestamp::max();
    const std::int64_t end = batch.column(*spec().window_end).as<std::int64_t>()[row];
    return end == Timestamp::max().micros ? Timestamp::max() : Timestamp{end - 1};
  }
  [[nodiscard]] Timestamp passed() const { return std::max(passed_, context().watermark()); }

  /// The next key whose window is over, if there is one, to be given.
  Status next_key() {
    rank_ = 0;
    if (in_store()) {
      const auto timer = runtime().pop_due(TimerDomain::event_time, passed());
      if (!timer) return fail(timer.error());
      if (*timer) given_ = (*timer)->slot;
      return {};
    }
    while (!windows_.empty() && windows_.begin()->first <= passed()) {
      Window& first = windows_.begin()->second;
      if (first.given < first.keys.size()) {
        given_ = first.keys[first.given++];
        return {};
      }
      windows_.erase(windows_.begin());
    }
    return {};
  }

  KeyRuns runs_;
  Cutoff cutoff_;
  bool announces_ = false;
  std::map<Timestamp, Window> windows_;  ///< on the heap: by the time at which they are over
  std::optional<std::uint32_t> given_;   ///< the key that is being given
  std::size_t rank_ = 0;                 ///< its next row
  Timestamp passed_ = Timestamp::min();
  Counter* late_ = nullptr;
};

}  // namespace

std::unique_ptr<Operator> make_windowed_top(const TopSpec& spec, SchemaPtr input) {
  return std::make_unique<WindowedTop>(spec, std::move(input));
}

}  // namespace dataflow
