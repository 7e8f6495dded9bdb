// What the C++ API alone has of windows and of keys, under faults of every kind: what is committed depends on none.
#include <dataflow/testing.hpp>

#include <doctest/doctest.h>

#include <algorithm>

#include "tests/support/faults.hpp"

namespace df = dataflow;
using namespace std::chrono_literals;
using dataflow::testing_support::check_exact;

namespace {

struct Payment {
  std::string card;
  std::int64_t cents = 0;
  df::Timestamp time;
};
DATAFLOW_RECORD(Payment, card, cents, time)

/// With pauses, for sessions; of two neighbours the later one comes first.
std::vector<Payment> payments() {
  std::vector<Payment> all;
  for (std::int64_t i = 0; i < 500; ++i) {
    const std::int64_t second = (i ^ 1) + i / 50 * 40;
    all.push_back({"card" + std::to_string(i * 7 % 11), i * 37 % 101, df::Timestamp{second * 1s}});
  }
  return all;
}

df::KeyedStream<Payment, std::string> by_card(df::Environment& env) {
  return env.from_collection(payments())
      .event_time(&Payment::time, df::out_of_orderness(5s))
      .named("payments")
      .key_by(&Payment::card);
}

struct Spread {
  std::string card;
  df::Timestamp until;
  std::int64_t spread = 0;
};
DATAFLOW_RECORD(Spread, card, until, spread)

struct SpreadOf {
  std::int64_t low = 1000;
  std::int64_t high = -1000;
  void add(const Payment& p) {
    low = std::min(low, p.cents);
    high = std::max(high, p.cents);
  }
  void merge(const SpreadOf& other) {
    low = std::min(low, other.low);
    high = std::max(high, other.high);
  }
  Spread result(const std::string& card, const df::Window& window) const { return {card, window.end, high - low}; }
};
DATAFLOW_RECORD(SpreadOf, low, high)

TEST_CASE("aggregators of one's own are exact in windows of every kind, whatever goes wrong") {
  check_exact(
      [](df::Environment& env) {
        auto keyed = by_card(env);
        keyed.window(df::tumbling(1min)).aggregate<SpreadOf>().named("tumbling").print();
        keyed.window(df::sliding(1min, 20s)).aggregate<SpreadOf>().named("sliding").print();
        keyed.window(df::cumulate(1min, 30s)).aggregate<SpreadOf>().named("cumulate").print();
        keyed.window(df::session(25s)).aggregate<SpreadOf>().named("sessions").print();
      },
      {"tumbling", "sliding", "cumulate", "sessions"});
}

/// How often a window has been given, and the sum of what was in it up to the result's own time: what comes behind that
/// may or may not be there, by the batches in which records come.
class Sums : public df::WindowProcess<std::string, Payment, std::string> {
 public:
  void on_window(const df::Window& window, std::span<const df::Timed<Payment>> payments, Context& ctx,
                 df::Output<std::string>& out) override {
    given_ = given_.value_or(0) + 1;
    std::int64_t sum = 0;
    for (const auto& [time, payment] : payments) sum += time <= ctx.timestamp() ? payment.cents : 0;
    out.emit(ctx.key() + " from " + std::to_string(window.start.micros) + ": " + std::to_string(*given_.get()) + ", " +
             std::to_string(sum));
  }

 private:
  df::WindowState<std::int64_t> given_{this, "given"};
};

/// The same without state of the window, which sessions have not.
class Cents : public df::WindowProcess<std::string, Payment, std::string> {
 public:
  void on_window(const df::Window& window, std::span<const df::Timed<Payment>> payments, Context& ctx,
                 df::Output<std::string>& out) override {
    std::int64_t sum = 0;
    for (const auto& [time, payment] : payments) sum += payment.cents;
    out.emit(ctx.key() + " from " + std::to_string(window.start.micros) + ": " + std::to_string(payments.size()) +
             ", " + std::to_string(sum));
  }
};

/// Gives and empties a window when its cents since the last result are more than so many, and gives the rest at its
/// end.
class Above : public df::WindowTrigger<Payment> {
 public:
  explicit Above(std::int64_t most) : most_{most} {}
  df::TriggerResult on_record(const Payment& p, df::Timestamp, const df::Window& window,
                              df::TriggerContext& ctx) const override {
    ctx.set_event_timer(df::Timestamp{window.end.micros - 1});
    const std::int64_t sum = ctx.get<std::int64_t>("sum").value_or(0) + p.cents;
    ctx.put("sum", sum > most_ ? 0 : sum);
    return sum > most_ ? df::TriggerResult::fire_and_purge : df::TriggerResult::go_on;
  }
  df::TriggerResult on_event_time(df::Timestamp, const df::Window&, df::TriggerContext&) const override {
    return df::TriggerResult::fire;
  }

 private:
  std::int64_t most_;
};

TEST_CASE("triggers are exact with what they and the function keep of a window, whatever goes wrong") {
  check_exact(
      [](df::Environment& env) {
        auto keyed = by_card(env);
        keyed.window(df::tumbling(2min)).trigger(df::on_count(3)).process<Sums>().named("counted").print();
        keyed.window(df::global_window()).trigger(df::purging(df::on_count(4))).process<Sums>().named("purged").print();
        keyed.window(df::tumbling(2min)).trigger(df::continuously(15s)).process<Sums>().named("continuous").print();
        keyed.window(df::tumbling(2min)).trigger(std::make_shared<Above>(150)).process<Sums>().named("above").print();
        keyed.window(df::session(25s)).trigger(df::purging(df::on_count(2))).process<Cents>().named("sessions").print();
      },
      {"counted", "purged", "continuous", "above", "sessions"});
}

TEST_CASE("a running reduce is exact whatever goes wrong") {
  check_exact(
      [](df::Environment& env) {
        by_card(env)
            .reduce([](const Payment& sum, const Payment& p) {
              return Payment{p.card, sum.cents + p.cents, p.time};
            })
            .named("running")
            .print();
      },
      {"running"});
}

TEST_CASE("event time behind a map is exact whatever goes wrong") {
  check_exact(
      [](df::Environment& env) {
        env.from_collection(payments())
            .named("payments")
            .map([](const Payment& p) {
              return Payment{p.card, p.cents * 2, p.time};
            })
            .named("doubled")
            .parallelism(2)
            // As many as there are of the map: one that reads several of those side by side finds records late by
            // chance.
            .event_time(&Payment::time, df::out_of_orderness(5s))
            .parallelism(2)
            .key_by(&Payment::card)
            .window(df::tumbling(1min))
            .aggregate<SpreadOf>()
            .named("spreads")
            .print();
      },
      {"spreads"});
}

}  // namespace
