#include <doctest/doctest.h>

#include "libdataflow/master/restart_strategy.hpp"

using namespace dataflow;
using namespace std::chrono_literals;
using Strategy = RestartSettings::Strategy;

TEST_CASE("exponential: at once, then doubling up to the maximum, and back to the start after a quiet minute") {
  RestartStrategy strategy{{.strategy = Strategy::exponential}};
  Timestamp now{1h};
  for (const Duration expected : {Duration{0}, Duration{100ms}, Duration{200ms}, Duration{400ms}, Duration{800ms},
                                  Duration{1600ms}, Duration{3200ms}, Duration{6400ms}, Duration{10s}, Duration{10s}}) {
    CHECK(strategy.on_failure(now) == expected);
    now = now + 10s;
  }
  CHECK(strategy.on_failure(now + 2min) == Duration{0});
}

TEST_CASE("fixed: so many restarts and no more") {
  RestartStrategy strategy{{.strategy = Strategy::fixed, .attempts = 2, .delay = 3s}};
  CHECK(strategy.on_failure({}) == Duration{3s});
  CHECK(strategy.on_failure({}) == Duration{3s});
  CHECK_FALSE(strategy.on_failure({}));
  CHECK(strategy.exhausted_reason() == "restarted 2 times, as often as `attempts` allows");
}

TEST_CASE("failure rate: failures spread over time go on for ever, a burst does not") {
  const RestartSettings settings{.strategy = Strategy::failure_rate, .delay = 1s, .max_failures = 2, .interval = 1min};
  RestartStrategy spread{settings};
  for (int i = 0; i < 10; ++i) CHECK(spread.on_failure(Timestamp{i * 40s}));
  RestartStrategy burst{settings};
  CHECK(burst.on_failure(Timestamp{1s}));
  CHECK(burst.on_failure(Timestamp{2s}));
  CHECK_FALSE(burst.on_failure(Timestamp{3s}));
}

TEST_CASE("none: the first failure is the last") {
  RestartStrategy strategy{{.strategy = Strategy::none}};
  CHECK_FALSE(strategy.on_failure({}));
}
