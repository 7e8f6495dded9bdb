#include "libdataflow/process/timer_queue.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace dataflow {
namespace {

using Entry = std::tuple<std::int64_t, std::int64_t, std::string>;  // time, key, name

/// Adds, removes and takes out at random, beside a set. `times`: how many different ones there are.
void compare_with_a_set(std::uint64_t seed, std::int64_t times) {
  CAPTURE(seed);
  std::mt19937_64 random{seed};
  const auto pick = [&](std::int64_t below) {
    return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(below));
  };
  KeyTable keys{KeyShape::integer};
  std::vector<std::pair<std::int64_t, std::uint32_t>> slots;  // of keys, not in their order
  for (std::int64_t i = 0; i < 500; ++i) slots.emplace_back(i * 37 % 500, keys.slot_of_integer(i * 37 % 500));
  TimerQueue queue{keys};
  std::set<Entry> expected;
  std::vector<std::pair<FrozenTimers, std::set<Entry>>> frozen;
  const auto check_next = [&](Timestamp until) {
    const auto timer = queue.pop(until);
    REQUIRE(timer.has_value() == (!expected.empty() && std::get<0>(*expected.begin()) <= until.micros));
    if (!timer) return;
    CHECK(Entry{timer->time.micros, keys.integer(timer->slot), queue.name(*timer)} == *expected.begin());
    expected.erase(expected.begin());
  };
  for (int step = 0; step < 20'000; ++step) {
    const auto [key, slot] = slots[static_cast<std::size_t>(pick(500))];
    const std::int64_t time = pick(times);
    const std::string name = pick(2) == 0 ? "" : "named";
    const Entry entry{time, key, name};
    const std::int64_t what = pick(8);
    if (what < 5) {
      REQUIRE(queue.add(Timestamp{time}, slot, name) == expected.insert(entry).second);
    } else if (what < 6) {
      REQUIRE(queue.remove(Timestamp{time}, slot, name) == (expected.erase(entry) == 1));
    } else {
      check_next(Timestamp{pick(times)});
    }
    REQUIRE(queue.size() == expected.size());
    REQUIRE(queue.first().has_value() == !expected.empty());
    if (queue.first()) REQUIRE(queue.first()->micros == std::get<0>(*expected.begin()));
    const auto nameless =
        std::find_if(expected.begin(), expected.end(), [](const Entry& e) { return std::get<2>(e).empty(); });
    const auto found = queue.first_not_named("named");
    REQUIRE(found.has_value() == (nameless != expected.end()));
    if (found) REQUIRE(found->micros == std::get<0>(*nameless));
    if (step % 5000 == 2500) frozen.emplace_back(queue.freeze(), expected);
  }
  for (const auto& [timers, then] : frozen) {
    auto at = then.begin();
    const Status read = timers.for_each([&](const KeyTimer& timer, const std::string& name) -> Status {
      REQUIRE(at != then.end());
      CHECK(Entry{timer.time.micros, keys.integer(timer.slot), name} == *at++);
      return {};
    });
    CHECK(read.has_value());
    CHECK(at == then.end());
  }
  while (!expected.empty()) check_next(Timestamp::max());
  CHECK(!queue.first());
}

TEST_CASE("timers come out by time, key and name, each once, and as they were where they were frozen") {
  for (std::uint64_t seed = 0; seed < 3; ++seed) {
    compare_with_a_set(seed, 1);  // all at once
    compare_with_a_set(seed, 10);
    compare_with_a_set(seed, 1'000'000);
  }
}

}  // namespace
}  // namespace dataflow
