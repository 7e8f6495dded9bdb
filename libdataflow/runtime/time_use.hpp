#pragma once
// What a task does with its time: busy (running, or ready to run again), back-pressured (its output has no credit) or
// idle (nothing to do). Flink shows the same three (busyTimeMsPerSecond and its sisters).
//
// A run that ends with work left is followed by another at once: the time up to that one is busy, and no clock is read.
// One that ends for want of input or credit reads the clock once (TaskHost::clock_now), so that what follows is told
// from what was; when a run began comes from the shell anyway.

#include <algorithm>
#include <cstdint>

#include "serialization/time.hpp"

namespace dataflow {

struct TimeTotals {
  Duration busy{0};
  Duration back_pressured{0};
  Duration idle{0};

  /// What has been added since `earlier`.
  [[nodiscard]] TimeTotals since(const TimeTotals& earlier) const {
    return {busy - earlier.busy, back_pressured - earlier.back_pressured, idle - earlier.idle};
  }
};

class TimeUse {
 public:
  enum class Doing : std::uint8_t { nothing, waiting_for_credit, work };

  /// From `now` on the task does that. A clock that goes back adds nothing.
  void change(Doing doing, Timestamp now) {
    totals_ = totals(now);
    doing_ = doing;
    since_ = now;
    started_ = true;
  }
  [[nodiscard]] TimeTotals totals(Timestamp now) const {
    TimeTotals all = totals_;
    if (!started_) return all;
    const Duration passed = std::max(Duration{0}, now - since_);
    switch (doing_) {
      case Doing::nothing: all.idle += passed; break;
      case Doing::waiting_for_credit: all.back_pressured += passed; break;
      case Doing::work: all.busy += passed; break;
    }
    return all;
  }
  [[nodiscard]] Doing doing() const { return doing_; }

 private:
  TimeTotals totals_;
  Doing doing_ = Doing::nothing;
  Timestamp since_{};
  bool started_ = false;
};

}  // namespace dataflow
