#pragma once
// Private to this folder.
//
// With which times of the other side a row of an interval join meets: the right's time between the left's plus a low
// and plus a high bound, in whose place each left row may have a time of its own.

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>

#include "libdataflow/joins/join_spec.hpp"
#include "libdataflow/joins/timed_rows.hpp"
#include "libdataflow/windows/assign.hpp"

namespace dataflow::joins {

class IntervalBounds {
 public:
  explicit IntervalBounds(const IntervalJoinSpec& spec)
      : low_{spec.low.count()}, high_{spec.high.count()}, own_end_{spec.join.sides[left_input].meets_until} {}

  /// Whether the end of a left row's interval is a field of it.
  [[nodiscard]] bool has_own_ends() const { return own_end_.has_value(); }
  /// Into what pieces time is cut for cleaning up: so much longer than needed a row may stay.
  [[nodiscard]] std::int64_t bucket_width() const {
    return own_end_ ? bucket_of_own_ends : saturating_sub(high_, low_) / buckets_in_an_interval;
  }
  /// Whether a row of the side meets only such as are not later than it.
  [[nodiscard]] bool meets_earlier_only(std::size_t side) const {
    return side == right_input ? low_ >= 0 : !own_end_ && high_ <= 0;
  }

  /// A row of the side with that time meets none that is earlier.
  [[nodiscard]] std::int64_t start_of(std::size_t side, std::int64_t time) const {
    if (side == left_input) return saturating_add(time, low_);
    return own_end_ ? Timestamp::min().micros : saturating_sub(time, high_);
  }
  /// Nor one that is later; as far as that is known of the time alone.
  [[nodiscard]] std::int64_t end_of(std::size_t side, std::int64_t time) const {
    if (side == right_input) return saturating_sub(time, low_);
    return own_end_ ? Timestamp::max().micros : saturating_add(time, high_);
  }
  /// Up to then a row of a batch may meet others.
  [[nodiscard]] std::int64_t end_of(std::size_t side, const Batch& batch, std::uint32_t row) const {
    const std::int64_t time = batch.timestamp(row).micros;
    if (side == right_input) return saturating_sub(time, low_);
    if (!own_end_) return saturating_add(time, high_);
    const Column& ends = batch.column(*own_end_);
    return ends.is_null(row) ? meets_nothing : ends.values.as<std::int64_t>()[row];
  }
  /// The same of a stored row; `left`: how those of the left side are packed.
  [[nodiscard]] std::int64_t end_of(const TimedRow& row, const PackedLayout& left) const {
    if (row.side == right_input) return saturating_sub(row.time, low_);
    if (!own_end_) return saturating_add(row.time, high_);
    return left.number(row.bytes(), left.place_of(*own_end_)).value_or(meets_nothing);
  }
  /// 1 if a row of the side with that time meets that one of the other side, else 0: without a branch.
  [[nodiscard]] unsigned in_time(std::size_t side, std::int64_t time, const TimedRow& met) const {
    return static_cast<unsigned>(met.time >= start_of(side, time)) &
           static_cast<unsigned>(met.time <= end_of(side, time)) &
           static_cast<unsigned>(!own_end_.has_value() | (met.due_time >= time));
  }

 private:
  static constexpr std::int64_t buckets_in_an_interval = 8;
  static constexpr std::int64_t bucket_of_own_ends = 250'000;  // in microseconds
  static constexpr std::int64_t meets_nothing = Timestamp::min().micros;

  std::int64_t low_;
  std::int64_t high_;
  std::optional<std::size_t> own_end_;  ///< the left's field
};

/// The first and the last of the times of a batch. In two halves, so that one time need not wait for the one before.
inline std::pair<std::int64_t, std::int64_t> least_and_greatest(std::span<const std::int64_t> times) {
  std::int64_t least = Timestamp::max().micros;
  std::int64_t greatest = Timestamp::min().micros;
  std::int64_t least_behind = least;
  std::int64_t greatest_behind = greatest;
  const std::size_t half = times.size() / 2;
  for (std::size_t i = 0; i < half; ++i) {
    least = std::min(least, times[i]);
    greatest = std::max(greatest, times[i]);
    least_behind = std::min(least_behind, times[half + i]);
    greatest_behind = std::max(greatest_behind, times[half + i]);
  }
  if (times.size() % 2 != 0) {
    least = std::min(least, times.back());
    greatest = std::max(greatest, times.back());
  }
  return {std::min(least, least_behind), std::max(greatest, greatest_behind)};
}

}  // namespace dataflow::joins
