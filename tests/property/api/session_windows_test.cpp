// Sessions of C++ jobs under random records, watermarks and restores: what an aggregator makes of them, what a function
// is given with all their records, and what is left at their end when a trigger gave results before, are one and the
// same.

#include <dataflow/testing.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "tests/support/seeds.hpp"

namespace df = dataflow;
using namespace std::chrono_literals;
using df::testing::Harness;

namespace {

struct Payment {
  std::string card;
  std::int64_t amount = 0;
  df::Timestamp time;
};
DATAFLOW_RECORD(Payment, card, amount, time)

struct Session {
  std::string card;
  df::Timestamp start;
  df::Timestamp end;
  std::int64_t sum = 0;
  auto operator<=>(const Session&) const = default;
};
DATAFLOW_RECORD(Session, card, start, end, sum)

struct Sum {
  std::int64_t sum = 0;
  void add(const Payment& p) { sum += p.amount; }
  void merge(const Sum& other) { sum += other.sum; }
  [[nodiscard]] Session result(const std::string& card, df::Window window) const {
    return {card, window.start, window.end, sum};
  }
};
DATAFLOW_RECORD(Sum, sum)

class Adding : public df::WindowProcess<std::string, Payment, Session> {
 public:
  void on_window(const df::Window& window, std::span<const df::Timed<Payment>> payments, Context& ctx,
                 df::Output<Session>& out) override {
    Session session{ctx.key(), window.start, window.end};
    for (const auto& timed : payments) session.sum += timed.record.amount;
    out.emit(session);
  }
};

using Aggregated = Harness<df::WindowFunction<df::KeyedProcess<std::string, Payment, Session>, Sum>>;
using Given = Harness<df::Windowed<Adding>>;
using Settings = df::WindowSettings<Payment>;

/// Records of a few keys whose times wander, with watermarks a random way behind them.
template <class Windows>
std::vector<Session> run(Windows& windows, std::uint64_t seed) {
  std::mt19937_64 random{seed};
  const auto pick = [&](std::int64_t below) {
    return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(below));
  };
  windows.template side_output<Payment>("late");
  df::Timestamp newest{};
  df::Timestamp watermark = df::Timestamp::min();
  for (int step = 0; step < 400; ++step) {
    const std::int64_t what = pick(20);
    if (what == 0) {
      windows.restore(windows.snapshot());
    } else if (what < 5) {
      watermark = std::max(watermark, newest - df::Duration{pick(60)});
      windows.watermark(watermark);
    } else {
      newest = std::max(newest, newest + df::Duration{pick(12) - 3});
      windows.push({std::string(1, static_cast<char>('a' + pick(3))), 1 + pick(9), newest - df::Duration{pick(40)}});
    }
  }
  windows.watermark(df::Timestamp::max());
  CHECK_FALSE(windows.waits_for().has_value());
  return windows.output();
}

std::vector<Session> sorted(std::vector<Session> sessions) {
  std::sort(sessions.begin(), sessions.end());
  return sessions;
}

/// Of each session the result that came last: the one at its end.
std::vector<Session> last_of_each(const std::vector<Session>& all) {
  std::map<std::tuple<std::string, df::Timestamp, df::Timestamp>, Session> last;
  for (const Session& session : all) last.insert_or_assign({session.card, session.start, session.end}, session);
  std::vector<Session> sessions;
  for (const auto& [key, session] : last) sessions.push_back(session);
  return sessions;
}

}  // namespace

TEST_CASE("sessions are the same whoever keeps them, and whatever came of them before their end") {
  for (const std::uint64_t seed : df::testing_support::seeds(60)) {
    CAPTURE(seed);
    df::WindowSpec spec = df::session(df::Duration{static_cast<std::int64_t>(5 + seed % 20)});
    if (seed % 3 == 0) spec.allowed_lateness = df::Duration{30};
    Aggregated aggregated{spec, std::string{"late"}};
    Given given{Settings{.spec = spec}};
    Given continuous{Settings{.spec = spec, .trigger = df::continuously(df::Duration{7})}};
    const std::vector<Session> expected = run(aggregated, seed);
    REQUIRE(expected.size() > 3);
    CHECK(run(given, seed) == expected);
    const std::vector<Session> all = run(continuous, seed);
    CHECK(all.size() > expected.size());
    const std::vector<Session> ended = sorted(last_of_each(expected));
    const std::vector<Session> last = last_of_each(all);
    CHECK(std::includes(last.begin(), last.end(), ended.begin(), ended.end()));
    CHECK(continuous.counter("late") == aggregated.counter("late"));
    CHECK(given.counter("late") == aggregated.counter("late"));
  }
}
