#pragma once
// Which windows a timestamp belongs to: plain arithmetic over microseconds, shared by the window operators, the C++
// API and windowed joins.
//
// A window is [start, end), starts at offset + n * slide for any whole n (also negative), as in Flink's
// TimeWindow.getWindowStartWithOffset. Near the ends of time the results saturate instead of wrapping around: a
// window that would begin before int64's minimum begins there.

#include <cassert>
#include <cstdint>
#include <limits>

namespace dataflow {

inline constexpr std::int64_t first_micros = std::numeric_limits<std::int64_t>::min();
inline constexpr std::int64_t last_micros = std::numeric_limits<std::int64_t>::max();

/// a + b, or the nearest representable value.
[[nodiscard]] constexpr std::int64_t saturating_add(std::int64_t a, std::int64_t b) {
  std::int64_t sum = 0;
  if (!__builtin_add_overflow(a, b, &sum)) return sum;
  return b > 0 ? last_micros : first_micros;
}

/// a - b, or the nearest representable value.
[[nodiscard]] constexpr std::int64_t saturating_sub(std::int64_t a, std::int64_t b) {
  std::int64_t difference = 0;
  if (!__builtin_sub_overflow(a, b, &difference)) return difference;
  return b < 0 ? last_micros : first_micros;
}

/// The start of the window of `size` (> 0) that contains `ts`.
[[nodiscard]] constexpr std::int64_t tumbling_start(std::int64_t ts, std::int64_t size, std::int64_t offset = 0) {
  assert(size > 0);
  // Both remainders lie in (-size, size): their difference cannot overflow where ts - offset could.
  std::int64_t into = ts % size - offset % size;
  if (into < 0) into += size;
  if (into < 0) into += size;
  if (into >= size) into -= size;
  return saturating_sub(ts, into);
}

/// The end of that window, exclusive.
[[nodiscard]] constexpr std::int64_t tumbling_end(std::int64_t ts, std::int64_t size, std::int64_t offset = 0) {
  assert(size > 0);
  std::int64_t into = ts % size - offset % size;
  if (into < 0) into += size;
  if (into < 0) into += size;
  if (into >= size) into -= size;
  return saturating_add(ts, size - into);
}

/// Calls `visit(start, end)` for each sliding window that contains `ts`, from the last one to the first as in Flink.
/// Windows of `size` start every `slide`; with slide > size, `ts` may be in none. Near the ends of time the windows
/// that cannot be represented are left out.
template <class Visit>
constexpr void for_each_sliding_window(std::int64_t ts, std::int64_t size, std::int64_t slide, std::int64_t offset,
                                       Visit&& visit) {
  std::int64_t start = tumbling_start(ts, slide, offset);
  const std::int64_t first = saturating_sub(ts, size);  // exclusive, unless it was cut off
  while (start > first || (first == first_micros && start == first)) {
    visit(start, saturating_add(start, size));
    if (start < first_micros + slide) return;
    start -= slide;
  }
}

/// Calls `visit(start, end)` for each cumulating window that contains `ts`, from the shortest to the longest: they
/// all start where the window of `size` starts, and end `step` apart. `size` is a multiple of `step`.
template <class Visit>
constexpr void for_each_cumulating_window(std::int64_t ts, std::int64_t size, std::int64_t step, std::int64_t offset,
                                          Visit&& visit) {
  const std::int64_t start = tumbling_start(ts, size, offset);
  const std::int64_t last = tumbling_end(ts, size, offset);
  std::int64_t end = tumbling_end(ts, step, offset);
  while (end <= last) {
    visit(start, end);
    if (end > last_micros - step) return;
    end += step;
  }
}

/// Whether nothing on time can still come for a window ending at `end`: the moment it fires.
[[nodiscard]] constexpr bool window_complete(std::int64_t end, std::int64_t watermark) {
  return saturating_sub(end, 1) <= watermark;
}

/// Whether a window ending at `end` is past its allowed lateness: its state goes, and its records are late.
[[nodiscard]] constexpr bool window_expired(std::int64_t end, std::int64_t allowed_lateness, std::int64_t watermark) {
  return saturating_add(saturating_sub(end, 1), allowed_lateness) <= watermark;
}

}  // namespace dataflow
