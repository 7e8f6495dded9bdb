#include <dataflow/testing.hpp>

#include <doctest/doctest.h>

#include <algorithm>

#include "tests/support/faults.hpp"

namespace df = dataflow;
using namespace std::chrono_literals;
using dataflow::testing_support::check_exact;
using df::testing::Harness;
using df::testing::run;

namespace {

struct Payment {
  std::string card;
  double amount = 0;
  df::Timestamp time;
};
DATAFLOW_RECORD(Payment, card, amount, time)

/// The window's start in seconds, and its records' amounts in order: "0: 1 2 3".
class Listing : public df::WindowProcess<std::string, Payment, std::string> {
 public:
  void on_window(const df::Window& window, std::span<const df::Timed<Payment>> payments, Context&,
                 df::Output<std::string>& out) override {
    std::string text = window.start == df::Timestamp::min() ? "all" : std::to_string(window.start.micros / 1'000'000);
    for (const auto& timed : payments) text += (text.ends_with(" ") ? "" : " ") + amount_of(timed.record);
    out.emit(text);
  }

 private:
  static std::string amount_of(const Payment& p) { return std::to_string(static_cast<int>(p.amount)); }
};

using Settings = df::WindowSettings<Payment>;
using Listed = Harness<df::Windowed<Listing>>;
using Lines = std::vector<std::string>;

Payment pay(double amount, df::Duration at) {
  return {"c", amount, df::Timestamp{at}};
}

/// What has been given since it was asked last.
Lines given(Listed& h) {
  Lines lines = h.output();
  h.clear_output();
  return lines;
}

TEST_CASE("a window function is given all records of a window at its end, and again with each late one") {
  Settings settings{.spec = df::tumbling(10s)};
  settings.spec.allowed_lateness = 10s;
  Listed h{settings};
  h.side_output<Payment>("late");
  h.push(pay(1, 1s));
  h.push(pay(2, 11s));
  h.push(pay(3, 2s));
  CHECK(given(h).empty());
  h.watermark(9999999us);
  CHECK(given(h) == Lines{"0 1 3"});
  h.restore(h.snapshot());
  h.push(pay(4, 3s));
  CHECK(given(h) == Lines{"0 1 3 4"});
  h.watermark(20s);
  CHECK(given(h) == Lines{"10 2"});
  h.push(pay(5, 4s));
  CHECK(h.counter("late") == 1);
  CHECK(h.side_output<Payment>("late").at(0).amount == 5);
  CHECK(given(h).empty());
}

TEST_CASE("on_count gives a result for every so many records, and none at the end") {
  Listed h{Settings{.spec = df::tumbling(1min), .trigger = df::on_count(2)}};
  for (int i = 1; i <= 3; ++i) h.push(pay(i, 1s));
  h.restore(h.snapshot());
  CHECK(given(h) == Lines{"0 1 2"});
  h.push(pay(4, 1s));
  h.push(pay(5, 1s));
  CHECK(given(h) == Lines{"0 1 2 3 4"});
  h.watermark(1h);
  CHECK(given(h).empty());
}

TEST_CASE("purging takes what was given out of the window") {
  Listed h{Settings{.spec = df::global_window(), .trigger = df::purging(df::on_count(2))}};
  for (int i = 1; i <= 5; ++i) h.push(pay(i, 1s));
  CHECK(given(h) == Lines{"all 1 2", "all 3 4"});
  h.restore(h.snapshot());
  h.push(pay(6, 1s));
  CHECK(given(h) == Lines{"all 5 6"});
}

TEST_CASE("purging takes what an early result has given out of the window, too") {
  Listed h{Settings{.spec = df::tumbling(10s), .trigger = df::purging(df::early(5s))}};
  h.push(pay(1, 3s));
  h.processing_time(5s);
  CHECK(given(h) == Lines{"0 1"});
  h.push(pay(2, 4s));
  h.watermark(10s);
  CHECK(given(h) == Lines{"0 2"});
}

TEST_CASE("a session that was emptied goes on until it is over") {
  Listed h{Settings{.spec = df::session(10s), .trigger = df::purging(df::on_count(2))}};
  const std::string empty = h.snapshot();
  h.push(pay(1, 0s));
  h.push(pay(2, 5s));
  CHECK(given(h) == Lines{"0 1 2"});
  h.restore(h.snapshot());
  h.push(pay(3, 12s));
  h.push(pay(4, 8s));
  CHECK(given(h) == Lines{"0 3 4"});
  h.watermark(22s);
  CHECK(h.snapshot() == empty);
}

TEST_CASE("a window without end that gives results continuously is over with its input") {
  Listed h{Settings{.spec = df::global_window(), .trigger = df::continuously(10s)}};
  h.push(pay(1, 1s));
  h.push(pay(2, 25s));
  h.watermark(12s);
  CHECK(given(h) == Lines{"all 1 2"});
  h.watermark(df::Timestamp::max());
  CHECK(given(h) == Lines{"all 1 2", "all 1 2", "all 1 2"});  // at 20 s, 30 s and the end
}

TEST_CASE("count_of gives its function the records of each count") {
  Listed h{Settings{.spec = df::count_of(2)}};
  for (int i = 1; i <= 5; ++i) h.push(pay(i, 1s));
  CHECK(given(h) == Lines{"all 1 2", "all 3 4"});
}

TEST_CASE("continuously gives results at multiples of event time and at the window's end") {
  Listed h{Settings{.spec = df::tumbling(25s), .trigger = df::continuously(10s)}};
  h.push(pay(1, 3s));
  h.watermark(9s);
  CHECK(given(h).empty());
  h.watermark(10s);
  CHECK(given(h) == Lines{"0 1"});
  h.restore(h.snapshot());
  h.push(pay(2, 12s));
  h.watermark(20s);
  CHECK(given(h) == Lines{"0 1 2"});
  h.watermark(30s);
  CHECK(given(h) == Lines{"0 1 2"});
  h.watermark(1h);
  CHECK(given(h).empty());
}

TEST_CASE("continuously_by_the_clock gives results at multiples of the clock, and none at the end") {
  Listed h{Settings{.spec = df::tumbling(1min), .trigger = df::continuously_by_the_clock(10s)}};
  h.processing_time(7s);
  h.push(pay(1, 3s));
  h.processing_time(10s);
  CHECK(given(h) == Lines{"0 1"});
  h.push(pay(2, 3s));
  h.processing_time(20s);
  CHECK(given(h) == Lines{"0 1 2"});
  h.watermark(1min);
  CHECK(given(h).empty());
  h.processing_time(1h);
  CHECK(given(h).empty());
}

TEST_CASE("on_processing_time ends a window over event time by the clock") {
  Listed h{Settings{.spec = df::tumbling(10s), .trigger = df::on_processing_time()}};
  h.push(pay(1, 3s));
  h.processing_time(9s);
  CHECK(given(h).empty());
  h.processing_time(10s);
  CHECK(given(h) == Lines{"0 1"});
}

TEST_CASE("a window by the clock ends by the clock, or with the input") {
  Listed h{Settings{.spec = df::in_processing_time(df::tumbling(10s))}};
  h.push(pay(1, 3s));
  h.processing_time(10s);
  CHECK(given(h) == Lines{"0 1"});
  h.push(pay(2, 3s));
  h.watermark(df::Timestamp::max());
  CHECK(given(h) == Lines{"10 2"});
  h.processing_time(1h);
  CHECK(given(h).empty());
}

TEST_CASE("early shows what has changed, and the end still comes") {
  Listed h{Settings{.spec = df::tumbling(10s), .trigger = df::early(5s)}};
  h.push(pay(1, 3s));
  h.processing_time(5s);
  CHECK(given(h) == Lines{"0 1"});
  h.processing_time(20s);
  CHECK(given(h).empty());
  h.watermark(10s);
  CHECK(given(h) == Lines{"0 1"});
}

TEST_CASE("sessions that become one are one to a trigger") {
  Listed h{Settings{.spec = df::session(10s), .trigger = df::on_count(3)}};
  h.push(pay(1, 0s));
  h.push(pay(2, 15s));
  CHECK(given(h).empty());
  h.push(pay(3, 8s));
  CHECK(given(h) == Lines{"0 1 2 3"});
  Listed ends{Settings{.spec = df::session(10s)}};
  ends.push(pay(1, 0s));
  ends.push(pay(2, 15s));
  ends.push(pay(3, 8s));
  ends.watermark(24s);
  CHECK(given(ends).empty());
  ends.watermark(25s);
  CHECK(given(ends) == Lines{"0 1 2 3"});
}

TEST_CASE("an evictor leaves the last records, or the newest, before a result or behind it") {
  Settings last{.spec = df::global_window(), .trigger = df::on_count(2), .evictor = df::keep_last(3)};
  Listed by_count{last};
  for (int i = 1; i <= 6; ++i) by_count.push(pay(i, 1s));
  CHECK(given(by_count) == Lines{"all 1 2", "all 2 3 4", "all 4 5 6"});

  last.evictor = df::after(df::keep_last(1));
  Listed behind{last};
  for (int i = 1; i <= 4; ++i) behind.push(pay(i, 1s));
  CHECK(given(behind) == Lines{"all 1 2", "all 2 3 4"});

  Listed by_time{Settings{.spec = df::tumbling(1min), .evictor = df::keep_newest(10s)}};
  for (int i = 1; i <= 4; ++i) by_time.push(pay(i, i * 6s));
  by_time.watermark(1min);
  CHECK(given(by_time) == Lines{"0 3 4"});

  Settings own{.spec = df::tumbling(1min)};
  own.own_evictor = [](std::vector<df::Timed<Payment>>& records, const df::Window&) {
    std::erase_if(records, [](const auto& timed) { return timed.record.amount < 3; });
  };
  Listed by_function{own};
  for (int i = 1; i <= 4; ++i) by_function.push(pay(i, 1s));
  by_function.watermark(1min);
  CHECK(given(by_function) == Lines{"0 3 4"});
}

/// Gives a result when the amounts since the last one are more than so much, and when a minute has passed by the clock.
class Above : public df::WindowTrigger<Payment> {
 public:
  explicit Above(double most) : most_{most} {}
  df::TriggerResult on_record(const Payment& p, df::Timestamp, const df::Window&,
                              df::TriggerContext& ctx) const override {
    const double sum = ctx.get<double>("sum").value_or(0) + p.amount;
    ctx.set_processing_timer(df::Timestamp{1min});
    if (sum <= most_) {
      ctx.put("sum", sum);
      return df::TriggerResult::go_on;
    }
    ctx.remove("sum");
    return df::TriggerResult::fire_and_purge;
  }
  df::TriggerResult on_processing_time(df::Timestamp, const df::Window&, df::TriggerContext&) const override {
    return df::TriggerResult::fire;
  }

 private:
  double most_;
};

TEST_CASE("a trigger of one's own keeps what it needs with the window, also in a checkpoint") {
  Listed h{Settings{.spec = df::global_window(), .own_trigger = std::make_shared<Above>(10)}};
  h.push(pay(4, 0s));
  h.push(pay(5, 0s));
  CHECK(given(h).empty());
  h.restore(h.snapshot());
  h.push(pay(6, 0s));
  CHECK(given(h) == Lines{"all 4 5 6"});
  h.push(pay(7, 0s));
  CHECK(given(h).empty());
  h.processing_time(1min);
  CHECK(given(h) == Lines{"all 7"});
}

/// How often each window has been given, and how many results the key has had.
class Numbered : public df::WindowProcess<std::string, Payment, std::string> {
 public:
  void on_window(const df::Window&, std::span<const df::Timed<Payment>> payments, Context& ctx,
                 df::Output<std::string>& out) override {
    given_ = given_.value_or(0) + 1;
    of_key_ = of_key_.value_or(0) + 1;
    out.emit(ctx.key() + std::to_string(*given_.get()) + "/" + std::to_string(*of_key_) + " of " +
             std::to_string(payments.size()));
  }

 private:
  df::WindowState<std::int64_t> given_{this, "given"};
  df::ValueState<std::int64_t> of_key_{this, "of_key"};
};

TEST_CASE("state of a window is its own, and state of a key that of all its windows") {
  Harness<df::Windowed<Numbered>> h{Settings{.spec = df::tumbling(10s), .trigger = df::on_count(1)}};
  h.push(pay(1, 1s));
  h.push(pay(1, 11s));
  h.restore(h.snapshot());
  h.push(pay(1, 1s));
  CHECK(h.output() == Lines{"c1/1 of 1", "c1/2 of 1", "c2/3 of 2"});
  CHECK(h.ask("of_key", "\"c\"") == "3");
  h.watermark(10s);
  h.clear_output();
  h.push(pay(1, 12s));
  CHECK(h.output() == Lines{"c2/4 of 2"});
}

struct Total {
  double sum = 0;
  void add(const Payment& p) { sum += p.amount; }
  double result() const { return sum; }
};
DATAFLOW_RECORD(Total, sum)

std::vector<Payment> payments() {
  std::vector<Payment> all;
  for (int i = 1; i <= 6; ++i) all.push_back({i % 2 == 0 ? "a" : "b", static_cast<double>(i), i * 1s});
  return all;
}

TEST_CASE("aggregators and reduces take triggers and evictors, with key and without") {
  const auto outputs = run([](df::Environment& env) {
    auto stream = env.from_collection(payments()).event_time(&Payment::time);
    auto keyed = stream.key_by(&Payment::card);
    keyed.window(df::global_window()).trigger(df::on_count(2)).aggregate<Total>().named("running").print();
    keyed.window(df::global_window())
        .trigger(df::purging(df::on_count(2)))
        .evictor(df::keep_last(1))
        .aggregate<Total>()
        .named("last")
        .print();
    stream.window(df::tumbling(1min))
        .trigger(df::on_count(3))
        .reduce([](const Payment& x, const Payment& y) {
          return Payment{x.card, x.amount + y.amount, y.time};
        })
        .named("sums")
        .map([](const Payment& p) { return p.amount; })
        .print()
        .named("all");
  });
  auto running = outputs.of<double>("running");
  std::sort(running.begin(), running.end());
  CHECK(running == std::vector<double>{4, 6});
  auto last = outputs.of<double>("last");
  std::sort(last.begin(), last.end());
  CHECK(last == std::vector<double>{3, 4});
  CHECK(outputs.of<double>("all") == std::vector<double>{6, 21});
}

class Count : public df::AllWindowProcess<Payment, std::int64_t> {
 public:
  void on_window(const df::Window&, std::span<const df::Timed<Payment>> payments, Context&,
                 df::Output<std::int64_t>& out) override {
    out.emit(static_cast<std::int64_t>(payments.size()));
  }
};

void listings(df::Environment& env) {
  std::vector<Payment> many;
  for (int i = 0; i < 300; ++i) {
    many.push_back({"c" + std::to_string(i % 7), static_cast<double>(i), df::Timestamp{1s * i}});
  }
  auto stream = env.from_collection(many).event_time(&Payment::time, df::out_of_orderness(5s)).named("payments");
  stream.key_by(&Payment::card)
      .window(df::sliding(1min, 30s))
      .evictor(df::keep_last(4))
      .late_to([](df::Stream<Payment> late) { late.print().named("late"); })
      .process<Listing>()
      .named("listed")
      .print();
  stream.window(df::tumbling(1min)).process<Count>().named("counted").print();
}

TEST_CASE("window functions run in jobs, and are exact whatever goes wrong") {
  const auto outputs = run(listings, {}, {.parallelism = 2});
  const auto counts = outputs.of<std::int64_t>("counted");
  CHECK(counts == std::vector<std::int64_t>{60, 60, 60, 60, 60});
  CHECK(outputs.of<std::string>("listed").size() == 7 * 11);
  check_exact(listings, {"listed", "counted"});
}

template <class Build>
std::string mistakes_of(Build build) {
  df::Environment env;
  build(env.from_collection(payments()).key_by(&Payment::card));
  const auto graph = env.build("job");
  return graph ? "" : graph.error().message();
}
using Keyed = df::KeyedStream<Payment, std::string>;

TEST_CASE("a trigger that does not fit its window is a mistake with its line") {
  const auto says = [](const std::string& mistakes, std::string_view why) {
    CAPTURE(mistakes);
    CHECK(mistakes.starts_with("trigger_test.cpp:"));
    CHECK(mistakes.find(why) != std::string::npos);
  };
  says(
      mistakes_of([](Keyed s) { s.window(df::global_window()).trigger(df::on_count(0)).process<Listing>().discard(); }),
      "on_count takes at least one record");
  says(mistakes_of([](Keyed s) { s.window(df::global_window()).process<Listing>().discard(); }),
       "this window keeps state and needs a name");
  says(mistakes_of([](Keyed s) {
         s.window(df::global_window()).trigger(df::continuously(1s)).process<Listing>().named("n").discard();
       }),
       "continuously(...) goes by event time, which the stream has not");
  says(mistakes_of(
           [](Keyed s) { s.window(df::count_of(2)).trigger(df::on_count(3)).process<Listing>().named("n").discard(); }),
       "count_of is a trigger already");
  says(mistakes_of([](Keyed s) {
         s.window(df::global_window()).trigger(df::on_processing_time()).process<Listing>().named("n").discard();
       }),
       "this window has no end that the clock could reach");
  says(mistakes_of([](Keyed s) {
         s.window(df::in_processing_time(df::session(1s)))
             .trigger(std::make_shared<Above>(1))
             .process<Listing>()
             .named("n")
             .discard();
       }),
       "needs merges() and on_merge");
  says(mistakes_of(
           [](Keyed s) { s.window(df::in_processing_time(df::session(1s))).process<Numbered>().named("n").discard(); }),
       "sessions merge, and have no state of their own");
  says(mistakes_of([](Keyed s) {
         s.window(df::in_processing_time(df::session(1s)))
             .trigger(df::on_count(2))
             .aggregate<Total>()
             .named("n")
             .discard();
       }),
       "a record may join two sessions, for which the aggregator");
}

}  // namespace
