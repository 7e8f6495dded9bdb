// Every trigger with every evictor over every kind of window, against windows by hand: several keys, disorder and
// lateness, purging, both clocks, and checkpoints.
#include <dataflow/testing.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>

#include "tests/property/api/windows_by_hand.hpp"
#include "tests/support/seeds.hpp"

namespace dataflow {
namespace {

using namespace testing_support;
using namespace std::chrono_literals;
using Settings = WindowSettings<Numbered>;

class Listing : public WindowProcess<std::int64_t, Numbered, std::string> {
 public:
  void on_window(const Window& window, std::span<const Timed<Numbered>> records, Context& ctx,
                 Output<std::string>& out) override {
    std::vector<std::int64_t> numbers;
    for (const auto& timed : records) numbers.push_back(timed.record.number);
    out.emit(line_of(ctx.key(), window.start.micros, window.end.micros, numbers));
  }
};

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_{seed} {}
  std::int64_t up_to(std::int64_t most) {
    return static_cast<std::int64_t>(engine_() % static_cast<std::uint64_t>(most + 1));
  }
  Duration from_one_to(std::int64_t most) { return Duration{1 + up_to(most - 1)}; }

 private:
  std::mt19937_64 engine_;
};

WindowSpec any_window(Random& random) {
  const Duration slide = random.from_one_to(8);
  const Duration size = slide * (1 + random.up_to(3));
  switch (random.up_to(5)) {
    case 0: return tumbling(size);
    case 1: return sliding(size, slide);
    case 2: return cumulate(size, slide);
    case 3: return session(random.from_one_to(8));
    case 4: return global_window();
    default: return count_of(static_cast<std::uint64_t>(1 + random.up_to(4)));
  }
}

/// One that fits the window.
Trigger any_trigger(const WindowSpec& spec, Random& random) {
  const bool has_end = spec.kind != WindowKind::global && spec.kind != WindowKind::count;
  for (;;) {
    Trigger trigger;
    switch (random.up_to(6)) {
      case 0: trigger = on_event_time(); break;
      case 1: trigger = early(random.from_one_to(8)); break;
      case 2: trigger = on_processing_time(); break;
      case 3: trigger = on_count(static_cast<std::uint64_t>(1 + random.up_to(4))); break;
      case 4: trigger = continuously(random.from_one_to(8)); break;
      case 5: trigger = continuously_by_the_clock(random.from_one_to(8)); break;
      default: trigger = never();
    }
    if (trigger.kind == Trigger::Kind::at_end_by_the_clock && !has_end) continue;
    if (trigger.kind == Trigger::Kind::continuous && (!has_end || spec.kind == WindowKind::session)) continue;
    return random.up_to(2) == 0 ? purging(trigger) : trigger;
  }
}

void choose_evictor(Settings& settings, Random& random) {
  switch (random.up_to(4)) {
    case 0: settings.evictor = keep_last(static_cast<std::size_t>(random.up_to(4))); break;
    case 1: settings.evictor = keep_newest(random.from_one_to(10)); break;
    case 2:
      settings.own_evictor = [](std::vector<Timed<Numbered>>& records, const Window&) {
        std::erase_if(records, [](const auto& timed) { return timed.record.number % 3 == 0; });
      };
      break;
    default: return;
  }
  if (random.up_to(1) == 0) settings.evictor = after(settings.evictor);
}

/// In no order: one that a key is given in before another says nothing.
std::string text_of(Lines lines) {
  std::sort(lines.begin(), lines.end());
  std::string text;
  for (const std::string& line : lines) text += line + "; ";
  return text;
}

}  // namespace

TEST_CASE("windows with any trigger and evictor give what one finds by hand, also through checkpoints") {
  std::map<std::pair<int, int>, std::size_t> results;  // by window and trigger
  const auto all = seeds(1000);
  for (const std::uint64_t seed : all) {
    CAPTURE(seed);
    Random random{seed};
    Settings settings{.spec = any_window(random)};
    settings.spec.allowed_lateness = Duration{random.up_to(1) * random.up_to(15)};
    settings.trigger = any_trigger(settings.spec, random);
    choose_evictor(settings, random);
    const auto what = std::pair{static_cast<int>(settings.spec.kind), static_cast<int>(settings.trigger.kind)};
    CAPTURE(what.first);
    CAPTURE(what.second);
    CAPTURE(settings.trigger.purging);
    testing::Harness<Windowed<Listing>> h{settings};
    WindowsByHand by_hand{settings};
    std::int64_t watermark = 0;
    std::int64_t clock = 0;
    const auto check = [&](const Lines& expected) {
      REQUIRE(text_of(h.output()) == text_of(expected));
      h.clear_output();
      results[what] += expected.size();
    };
    for (int step = 1; step <= 80; ++step) {
      CAPTURE(step);
      switch (random.up_to(6)) {
        case 0:
          watermark += random.up_to(8);
          h.watermark(Timestamp{watermark});
          check(by_hand.time_comes_to(watermark));
          break;
        case 1:
          clock += random.up_to(8);
          h.processing_time(Timestamp{clock});
          check(by_hand.clock_comes_to(clock));
          break;
        default: {
          const Numbered record{random.up_to(2), step, std::max<std::int64_t>(0, watermark + random.up_to(30) - 15)};
          h.push(record, Timestamp{record.at});
          check(by_hand.push(record));
        }
      }
      REQUIRE(h.counter("late") == by_hand.late());
      if (random.up_to(9) == 0) h.restore(h.snapshot());
    }
    clock += 50;
    h.processing_time(Timestamp{clock});
    check(by_hand.clock_comes_to(clock));
    h.watermark(Timestamp::max());
    check(by_hand.time_comes_to(Timestamp::max().micros));
  }
  if (all.size() == 1) return;
  CHECK(results.size() > 20);
}

}  // namespace dataflow
