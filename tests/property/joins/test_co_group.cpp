// co_group of the C++ API against a reference that remembers every record and looks at all of them for each window:
// disorder and lateness, equal times, keys of one side only, and checkpoints.

#include <dataflow/testing.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <set>
#include <tuple>

#include "tests/support/seeds.hpp"

namespace dataflow {
namespace {

using testing::CoHarness;
using namespace std::chrono_literals;

struct Ask {
  std::int64_t key = 0;
  std::int64_t number = 0;
  Timestamp at;
};
DATAFLOW_RECORD(Ask, key, number, at)

struct Bid {
  Timestamp at;
  std::int64_t number = 0;
  std::int64_t key = 0;
};
DATAFLOW_RECORD(Bid, at, number, key)

using Lines = std::vector<std::string>;

std::string line_of(std::int64_t key, std::int64_t start, std::int64_t end, std::vector<std::int64_t> sides[2],
                    bool in_order) {
  std::string text = std::to_string(key) + " [" + std::to_string(start) + ", " + std::to_string(end) + ")";
  for (int side = 0; side < 2; ++side) {
    // Where sessions become one, the records of one come behind the other's.
    if (!in_order) std::sort(sides[side].begin(), sides[side].end());
    text += side == 0 ? ":" : " |";
    for (const std::int64_t number : sides[side]) text += " " + std::to_string(number);
  }
  return text;
}

class Grouped : public CoGroupProcess<std::int64_t, Ask, Bid, std::string> {
 public:
  explicit Grouped(bool in_order) : in_order_{in_order} {}
  void on_group(const Window& window, std::span<const Timed<Ask>> asks, std::span<const Timed<Bid>> bids,
                Context& context, Output<std::string>& out) override {
    std::vector<std::int64_t> sides[2];
    for (const auto& [time, ask] : asks) sides[0].push_back(ask.number);
    for (const auto& [time, bid] : bids) sides[1].push_back(bid.number);
    out.emit(line_of(context.key(), window.start.micros, window.end.micros, sides, in_order_));
  }

 private:
  bool in_order_;
};

struct Taken {
  int side = 0;
  std::int64_t key = 0;
  std::int64_t number = 0;
  std::int64_t time = 0;
  std::int64_t watermark = 0;  ///< when it came
};
using Bounds = std::pair<std::int64_t, std::int64_t>;

class GroupsByHand {
 public:
  explicit GroupsByHand(const WindowSpec& spec) : spec_{spec} {}

  [[nodiscard]] std::int64_t watermark() const { return watermark_; }
  [[nodiscard]] const std::set<std::int64_t>& late() const { return late_; }

  /// What the windows that it is late for give at once.
  Lines push(Taken record) {
    record.watermark = watermark_;
    taken_.push_back(record);
    Lines given;
    const auto windows = windows_of(taken_.back());
    for (const auto& [start, end] : windows) {
      if (end - 1 <= watermark_) given.push_back(group(record.key, {start, end}));
    }
    if (windows.empty()) {
      late_.insert(record.number);
      taken_.pop_back();
    }
    std::sort(given.begin(), given.end());
    return given;
  }

  Lines time_comes_to(std::int64_t watermark) {
    std::set<std::tuple<std::int64_t, Bounds>> over;
    for (const Taken& record : taken_) {
      for (const Bounds& window : windows_of(record)) {
        if (watermark_ < window.second - 1 && window.second - 1 <= watermark) over.insert({record.key, window});
      }
    }
    Lines given;
    for (const auto& [key, window] : over) given.push_back(group(key, window));
    watermark_ = watermark;
    if (spec_.kind == WindowKind::session) {
      std::vector<Taken> left;
      for (const Taken& record : taken_) {
        if (!is_gone(session_of(record).second, watermark_)) left.push_back(record);
      }
      taken_ = std::move(left);
    }
    std::sort(given.begin(), given.end());
    return given;
  }

 private:
  [[nodiscard]] bool is_gone(std::int64_t end, std::int64_t watermark) const {
    return end - 1 + spec_.allowed_lateness.count() <= watermark;
  }

  /// Those that had not gone when it came.
  [[nodiscard]] std::vector<Bounds> windows_of(const Taken& record) const {
    std::vector<Bounds> windows;
    const auto add = [&](std::int64_t start, std::int64_t end) {
      if (!is_gone(end, record.watermark)) windows.emplace_back(start, end);
    };
    const std::int64_t size = spec_.size.count();
    if (spec_.kind == WindowKind::session) {
      const auto [start, end] = session_of(record);
      add(start, end);
      return windows;
    }
    for (std::int64_t start = -size; start <= record.time; ++start) {
      if (spec_.kind == WindowKind::cumulate) {
        for (std::int64_t end = start + spec_.step.count(); start % size == 0 && end <= start + size;
             end += spec_.step.count()) {
          if (record.time < end) add(start, end);
        }
      } else if (start % (spec_.kind == WindowKind::sliding ? spec_.slide.count() : size) == 0) {
        if (record.time < start + size) add(start, start + size);
      }
    }
    return windows;
  }

  /// Of all records of the key that follow one another.
  [[nodiscard]] Bounds session_of(const Taken& record) const {
    const std::int64_t gap = spec_.gap.count();
    Bounds session{record.time, record.time + gap};
    for (bool grows = true; grows;) {
      const Bounds before = session;
      for (const Taken& other : taken_) {
        if (other.key != record.key || other.time > session.second || other.time + gap < session.first) continue;
        session = {std::min(session.first, other.time), std::max(session.second, other.time + gap)};
      }
      grows = session != before;
    }
    return session;
  }

  [[nodiscard]] std::string group(std::int64_t key, const Bounds& window) const {
    std::vector<std::int64_t> sides[2];
    for (const Taken& record : taken_) {
      if (record.key != key) continue;
      const auto windows = windows_of(record);
      if (std::find(windows.begin(), windows.end(), window) == windows.end()) continue;
      sides[record.side].push_back(record.number);
    }
    return line_of(key, window.first, window.second, sides, spec_.kind != WindowKind::session);
  }

  WindowSpec spec_;
  std::int64_t watermark_ = -1'000;
  std::vector<Taken> taken_;  ///< in the order in which they came, without those that were late
  std::set<std::int64_t> late_;
};

TEST_CASE("a co_group gives what one finds by looking at all records, also through checkpoints") {
  for (const std::uint64_t seed : testing_support::seeds(500)) {
    CAPTURE(seed);
    std::mt19937_64 random{seed};
    const auto up_to = [&](int most) { return static_cast<std::int64_t>(random() % static_cast<unsigned>(most + 1)); };
    const Duration step{1 + up_to(5)};
    const Duration size = step * (1 + up_to(3));
    const WindowSpec specs[] = {tumbling(size), sliding(size, step), cumulate(size, step), session(step)};
    WindowSpec spec = specs[up_to(3)];
    spec.allowed_lateness = Duration{up_to(1) * up_to(10)};
    CoHarness<Windowed<Grouped>> harness{WindowSettings<std::variant<Ask, Bid>>{.spec = spec},
                                         spec.kind != WindowKind::session};
    harness.set_keys(&Ask::key, &Bid::key);
    harness.side_output<Ask>("late_left");
    harness.side_output<Bid>("late_right");
    GroupsByHand by_hand{spec};
    const std::int64_t keys = up_to(3);
    std::set<std::int64_t> late;
    for (std::int64_t i = 1; i <= 80; ++i) {
      Lines expected;
      if (up_to(3) == 0) {
        const std::int64_t to = std::max<std::int64_t>(by_hand.watermark(), 0) + up_to(6);
        harness.watermark(Timestamp{to});
        expected = by_hand.time_comes_to(to);
      } else {
        const std::int64_t time = std::max<std::int64_t>(0, by_hand.watermark() + up_to(20) - 10);
        const Taken record{
            .side = static_cast<int>(up_to(1)), .key = up_to(static_cast<int>(keys)), .number = i, .time = time};
        if (record.side == 0) {
          harness.push_first({record.key, i, Timestamp{time}});
        } else {
          harness.push_second({Timestamp{time}, i, record.key});
        }
        expected = by_hand.push(record);
      }
      Lines lines = harness.output();
      std::sort(lines.begin(), lines.end());
      for (const Ask& ask : harness.side_output<Ask>("late_left")) late.insert(ask.number);
      for (const Bid& bid : harness.side_output<Bid>("late_right")) late.insert(bid.number);
      harness.clear_output();
      REQUIRE(lines == expected);
      REQUIRE(late == by_hand.late());
      if (up_to(9) == 0) harness.restore(harness.snapshot());
    }
  }
}

}  // namespace
}  // namespace dataflow
