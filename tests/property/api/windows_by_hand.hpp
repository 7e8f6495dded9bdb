#pragma once
// Windows with triggers and evictors as one would write them down from Flink's documentation: all windows that there
// are in one list, looked at from its beginning whenever anything happens.

#include <dataflow/testing.hpp>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace dataflow::testing_support {

struct Numbered {
  std::int64_t key = 0;
  std::int64_t number = 0;
  std::int64_t at = 0;
};
DATAFLOW_RECORD(Numbered, key, number, at)

using Lines = std::vector<std::string>;

inline std::string line_of(std::int64_t key, std::int64_t start, std::int64_t end,
                           const std::vector<std::int64_t>& numbers) {
  std::string text = std::to_string(key);
  // Of all there is, the ends of time.
  if (start != std::numeric_limits<std::int64_t>::min()) {
    text += " [" + std::to_string(start) + ", " + std::to_string(end) + ")";
  }
  text += ":";
  for (const std::int64_t number : numbers) text += " " + std::to_string(number);
  return text;
}

class WindowsByHand {
 public:
  explicit WindowsByHand(WindowSettings<Numbered> settings) : settings_{std::move(settings)} {
    if (settings_.spec.kind != WindowKind::count) return;
    settings_.trigger = purging(on_count(settings_.spec.count));
  }

  Lines push(const Numbered& record) {
    given_.clear();
    bool taken = false;
    for (const auto& [start, end] : bounds_of(record)) {
      if (is_over(end, watermark_)) continue;
      taken = true;
      add(window_of(record.key, start, end), record);
    }
    if (!taken) ++late_;
    return std::exchange(given_, {});
  }
  Lines time_comes_to(std::int64_t time) {
    given_.clear();
    for (Window* next = next_due(&Window::event_times, time); next != nullptr;
         next = next_due(&Window::event_times, time)) {
      on_event(*next, *next->event_times.begin());
    }
    watermark_ = time;
    std::erase_if(windows_, [&](const Window& w) { return is_over(w.end, time); });
    return std::exchange(given_, {});
  }
  Lines clock_comes_to(std::int64_t time) {
    given_.clear();
    for (Window* next = next_due(&Window::clock_times, time); next != nullptr;
         next = next_due(&Window::clock_times, time)) {
      on_clock(*next, *next->clock_times.begin());
    }
    clock_ = time;
    return std::exchange(given_, {});
  }
  [[nodiscard]] std::uint64_t late() const { return late_; }

 private:
  using Times = std::set<std::int64_t>;
  static constexpr std::int64_t first = std::numeric_limits<std::int64_t>::min();
  static constexpr std::int64_t last = std::numeric_limits<std::int64_t>::max();
  struct Window {
    std::int64_t key = 0;
    std::int64_t start = 0;
    std::int64_t end = 0;
    std::vector<Numbered> records{};
    std::uint64_t count = 0;  ///< since the trigger's last result
    bool changed = false;     ///< since the last result
    bool ticks = false;       ///< its next one, of a trigger that has some, is set
    Times event_times{};
    Times clock_times{};
  };
  using Bounds = std::pair<std::int64_t, std::int64_t>;

  [[nodiscard]] bool is_over(std::int64_t end, std::int64_t time) const {
    if (end == last) return time == last;
    return end - 1 + settings_.spec.allowed_lateness.count() <= time;
  }
  [[nodiscard]] static std::int64_t next_multiple(std::int64_t time, std::int64_t of) { return (time / of + 1) * of; }

  [[nodiscard]] std::vector<Bounds> bounds_of(const Numbered& record) const {
    const WindowSpec& spec = settings_.spec;
    const std::int64_t size = spec.size.count();
    std::vector<Bounds> all;
    switch (spec.kind) {
      case WindowKind::tumbling:
      case WindowKind::sliding:
      case WindowKind::cumulate:
        for (std::int64_t start = -size; start <= record.at; ++start) {
          const std::int64_t every = spec.kind == WindowKind::sliding ? spec.slide.count() : size;
          if (start % every != 0) continue;
          const std::int64_t step = spec.kind == WindowKind::cumulate ? spec.step.count() : size;
          for (std::int64_t end = start + step; end <= start + size; end += step) {
            if (record.at < end) all.emplace_back(start, end);
          }
        }
        return all;
      case WindowKind::session: {
        Bounds joined{record.at, record.at + spec.gap.count()};
        for (const Window& w : windows_) {
          if (w.key != record.key || w.start > record.at + spec.gap.count() || w.end < record.at) continue;
          joined = {std::min(joined.first, w.start), std::max(joined.second, w.end)};
        }
        return {joined};
      }
      default: return {{first, last}};
    }
  }
  /// Of sessions, those within it become it.
  Window& window_of(std::int64_t key, std::int64_t start, std::int64_t end) {
    for (Window& w : windows_) {
      if (w.key == key && w.start == start && w.end == end) return w;
    }
    Window made{.key = key, .start = start, .end = end};
    if (settings_.spec.kind == WindowKind::session) {
      std::erase_if(windows_, [&](const Window& w) {
        if (w.key != key || w.start < start || w.end > end) return false;
        made.records.insert(made.records.end(), w.records.begin(), w.records.end());
        made.count += w.count;
        made.changed = made.changed || w.changed;
        made.ticks = made.ticks || w.ticks;
        made.clock_times.insert(w.clock_times.begin(), w.clock_times.end());
        return true;
      });
      if (settings_.trigger.kind == Trigger::Kind::at_end_by_the_clock) made.clock_times.clear();
    }
    windows_.push_back(std::move(made));
    return windows_.back();
  }

  void add(Window& w, const Numbered& record) {
    const Trigger& trigger = settings_.trigger;
    const std::int64_t interval = trigger.interval.count();
    w.records.push_back(record);
    w.changed = true;
    ++w.count;
    switch (trigger.kind) {
      case Trigger::Kind::early: w.clock_times.insert(next_multiple(clock_, interval)); [[fallthrough]];
      case Trigger::Kind::at_end: wait_for_end(w); return;
      case Trigger::Kind::continuous:
        if (!wait_for_end(w) || std::exchange(w.ticks, true)) return;
        w.event_times.insert(std::min(next_multiple(record.at, interval), w.end - 1));
        return;
      case Trigger::Kind::at_end_by_the_clock: w.clock_times.insert(w.end - 1); return;
      case Trigger::Kind::continuous_by_the_clock:
        if (!std::exchange(w.ticks, true)) w.clock_times.insert(next_multiple(clock_, interval));
        return;
      case Trigger::Kind::count:
        if (w.count < trigger.count) return;
        w.count = 0;
        return give(w);
      case Trigger::Kind::never: return;
    }
  }
  /// Whether it is not there yet.
  bool wait_for_end(Window& w) {
    if (w.end != last && w.end - 1 <= watermark_) {
      give(w);
      return false;
    }
    w.event_times.insert(w.end == last ? last : w.end - 1);
    return true;
  }

  /// The one that is to act first, up to a time.
  Window* next_due(Times Window::*times, std::int64_t until) {
    Window* next = nullptr;
    for (Window& w : windows_) {
      if ((w.*times).empty() || *(w.*times).begin() > until) continue;
      if (next == nullptr || *(w.*times).begin() < *(next->*times).begin()) next = &w;
    }
    return next;
  }
  void on_event(Window& w, std::int64_t time) {
    w.event_times.erase(time);
    if (settings_.trigger.kind == Trigger::Kind::continuous && time < w.end - 1) {
      w.event_times.insert(std::min(time + settings_.trigger.interval.count(), w.end - 1));
    }
    give(w);
  }
  void on_clock(Window& w, std::int64_t time) {
    w.clock_times.erase(time);
    if (settings_.trigger.kind == Trigger::Kind::continuous_by_the_clock) {
      w.clock_times.insert(time + settings_.trigger.interval.count());
    }
    if (settings_.trigger.kind != Trigger::Kind::early || w.changed) give(w);
  }

  void give(Window& w) {
    if (w.records.empty()) return;
    if (!settings_.evictor.behind_result) evict(w);
    std::vector<std::int64_t> numbers;
    for (const Numbered& record : w.records) numbers.push_back(record.number);
    given_.push_back(line_of(w.key, w.start, w.end, numbers));
    if (settings_.evictor.behind_result) evict(w);
    w.changed = false;
    if (settings_.trigger.purging) w.records.clear();
  }
  void evict(Window& w) const {
    const Evictor& evictor = settings_.evictor;
    auto& records = w.records;
    while (evictor.last && records.size() > *evictor.last) records.erase(records.begin());
    if (evictor.newest) {
      std::int64_t newest = first;
      for (const Numbered& record : records) newest = std::max(newest, record.at);
      std::erase_if(records, [&](const Numbered& record) { return record.at <= newest - evictor.newest->count(); });
    }
    if (settings_.own_evictor) std::erase_if(records, [](const Numbered& record) { return record.number % 3 == 0; });
  }

  WindowSettings<Numbered> settings_;
  std::vector<Window> windows_;
  std::int64_t watermark_ = first;
  std::int64_t clock_ = 0;
  std::uint64_t late_ = 0;
  Lines given_;
};

}  // namespace dataflow::testing_support
