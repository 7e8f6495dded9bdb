// A top that gives the first rows of a window when it is over; all of time is one, which is over with the input, where
// there are no others.
//
// A key is of one window. On the heap the windows are lists of keys, and come out in the order in which these came; in
// a store each key has a timer, which needs no memory however many there are.

#include <algorithm>
#include <map>

#include "libdataflow/ranking/top_operator.hpp"

namespace dataflow {

namespace {

class WindowedTop final : public Top {
 public:
  using Top::Top;

  Status open(OperatorContext& context) override {
    late_ = &context.counter("late");
    return Top::open(context);
  }

  Result<Step> process(std::size_t, const BatchPtr& batch, OperatorOutput&) override {
    set_has_time(batch->has_event_time());
    const auto slots = runtime().begin_batch(*batch, context().now());
    if (!slots) return fail(slots.error());
    for (std::uint32_t row = 0; row < batch->rows(); ++row) {
      if (spec().window_end && batch->column(*spec().window_end).is_null(row)) {
        return fail(ErrorCode::invalid_argument, "a row has no window_end: it is of no window");
      }
      if (fires_at(*batch, row) <= passed()) {
        late_->add(1);
        continue;
      }
      runtime().select((*slots)[row]);
      entering(*batch, row);
      place(*batch, row);
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
        add_result(given->rows[rank_], rank_, RowKind::insert);
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
  /// Keys whose time is over together, in the order in which they came.
  struct Window {
    std::vector<std::uint32_t> keys;
    std::size_t given = 0;
  };

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
