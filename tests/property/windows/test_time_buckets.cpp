// Time buckets against a sorted set: whatever moves on to a later time while it waits comes out when it is due then.

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include "libdataflow/windows/time_buckets.hpp"
#include "tests/support/seeds.hpp"

namespace dataflow {

namespace {

struct Alarm {
  std::int64_t time;
  std::uint64_t sequence;
  [[nodiscard]] std::int64_t due() const { return time; }
};

using InOrder = std::set<std::pair<std::int64_t, std::uint64_t>>;

struct Run {
  explicit Run(std::uint64_t seed)
      : random{seed}, buckets{static_cast<std::int64_t>(std::uint64_t{1} << random() % 8)} {}

  std::mt19937_64 random;
  windows::TimeBuckets<Alarm> buckets;
  std::map<std::uint64_t, std::int64_t> due;  ///< of each alarm that waits
  std::int64_t now = -500;

  std::int64_t up_to(std::int64_t most) {
    return static_cast<std::int64_t>(random() % (static_cast<std::uint64_t>(most) + 1));
  }

  void change() {
    static constexpr std::int64_t far = 300;
    for (std::int64_t i = up_to(5); i > 0; --i) {
      const std::uint64_t number = random();
      due[number] = now + 1 + up_to(far);
      buckets.add({due[number], number});
    }
    for (auto& [number, time] : due) {
      if (random() % 4 == 0) time += up_to(far);
    }
    if (random() % 8 != 0) return;
    std::erase_if(due, [&](const auto&) { return random() % 2 == 0; });
    if (random() % 2 == 0) buckets.erase_if([&](const Alarm& alarm) { return !due.contains(alarm.sequence); });
  }

  /// False: it is not wanted any more.
  bool renew(Alarm& alarm) {
    const auto at = due.find(alarm.sequence);
    if (at == due.end()) return false;
    alarm.time = at->second;
    return true;
  }

  InOrder take(std::size_t most) {
    InOrder taken;
    buckets.take_due(
        now, [&](Alarm& alarm) { return renew(alarm); },
        [&](Alarm alarm) {
          const std::int64_t before = alarm.time;
          if (!renew(alarm)) return true;
          if (alarm.time != before) {
            buckets.add(alarm);
            return true;
          }
          if (!taken.empty()) CHECK(*taken.rbegin() < std::pair{alarm.time, alarm.sequence});
          taken.emplace(alarm.time, alarm.sequence);
          due.erase(alarm.sequence);
          return taken.size() < most;
        });
    return taken;
  }

  InOrder due_now() const {
    InOrder all;
    for (const auto& [number, time] : due) {
      if (time <= now) all.emplace(time, number);
    }
    return all;
  }
};

}  // namespace

TEST_CASE("what waits in time buckets comes out in the order in which it is due in the end") {
  for (const std::uint64_t seed : testing_support::seeds(300)) {
    CAPTURE(seed);
    Run run{seed};
    for (int step = 0; step < 100; ++step) {
      run.change();
      run.now += run.up_to(60);
      const InOrder expected = run.due_now();
      const std::size_t most = 1 + run.random() % 20;
      const InOrder taken = run.take(most);
      auto end = expected.begin();
      std::advance(end, static_cast<std::ptrdiff_t>(std::min(most, expected.size())));
      CHECK(taken == InOrder{expected.begin(), end});
      const auto none_before = run.buckets.none_due_before();
      for (const auto& [number, time] : run.due) CHECK(none_before.value_or(time + 1) <= time);
    }
    CHECK(run.buckets.size() >= run.due.size());
  }
}

}  // namespace dataflow
