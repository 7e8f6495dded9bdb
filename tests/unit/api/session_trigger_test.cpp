// Triggers of sessions: nearly every record makes its session longer, so that what a trigger waits for has to outlive
// that.

#include <dataflow/testing.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <memory>

namespace df = dataflow;
using namespace std::chrono_literals;
using df::testing::Harness;

namespace {

struct Payment {
  std::string card;
  double amount = 0;
  df::Timestamp time;
};
DATAFLOW_RECORD(Payment, card, amount, time)

/// The session's start in seconds and its records' number: "0: 3".
class Counting : public df::WindowProcess<std::string, Payment, std::string> {
 public:
  void on_window(const df::Window& window, std::span<const df::Timed<Payment>> payments, Context&,
                 df::Output<std::string>& out) override {
    out.emit(std::to_string(window.start.micros / 1'000'000) + ": " + std::to_string(payments.size()));
  }
};

using Settings = df::WindowSettings<Payment>;
using Counted = Harness<df::Windowed<Counting>>;
using Lines = std::vector<std::string>;

Payment pay(df::Duration at) {
  return {"c", 1, df::Timestamp{at}};
}

/// What has been given since it was asked last.
Lines given(Counted& h) {
  Lines lines = h.output();
  h.clear_output();
  return lines;
}

/// A result when event time is 10 s behind the session's first record: it puts that time, and after a merge takes the
/// earliest of those that were put.
class TenSecondsBehind : public df::WindowTrigger<Payment> {
 public:
  df::TriggerResult on_record(const Payment&, df::Timestamp time, const df::Window&,
                              df::TriggerContext& ctx) const override {
    if (!ctx.get<df::Timestamp>("due")) set(time + 10s, ctx);
    return df::TriggerResult::go_on;
  }
  df::TriggerResult on_event_time(df::Timestamp, const df::Window&, df::TriggerContext&) const override {
    return df::TriggerResult::fire;
  }
  [[nodiscard]] bool merges() const override { return true; }
  void on_merge(const df::Window&, df::TriggerContext& ctx) const override {
    const auto all = ctx.merged<df::Timestamp>("due");
    if (!all.empty()) set(*std::min_element(all.begin(), all.end()), ctx);
  }

 private:
  static void set(df::Timestamp due, df::TriggerContext& ctx) {
    ctx.put("due", due);
    ctx.set_event_timer(due);
  }
};

}  // namespace

TEST_CASE("a session that grows keeps the time at which continuously gives its next result") {
  Counted h{Settings{.spec = df::session(1min), .trigger = df::continuously(10s)}};
  // Each record is further than the watermark by more than the interval.
  for (int second = 1; second <= 60; ++second) {
    h.push(pay(second * 1s));
    if (second > 20) h.watermark((second - 20) * 1s);
    const bool due = second > 20 && (second - 20) % 10 == 0;
    CAPTURE(second);
    CHECK(given(h) == (due ? Lines{"1: " + std::to_string(second)} : Lines{}));
  }
  h.restore(h.snapshot());
  h.watermark(1h);
  // 50, 60, and so on to the session's end, which is 120 s.
  CHECK(given(h) == Lines(8, "1: 60"));
}

TEST_CASE("of sessions that become one the earlier time at which continuously gives a result is kept") {
  Counted h{Settings{.spec = df::session(10s), .trigger = df::continuously(5s)}};
  h.push(pay(21s));  // 25 s
  h.push(pay(3s));   // 5 s
  h.push(pay(12s));  // joins both
  h.watermark(5s);
  CHECK(given(h) == Lines{"3: 3"});
  h.watermark(10s);
  CHECK(given(h) == Lines{"3: 3"});
}

TEST_CASE("a session that grows keeps the time at which the clock gives its next result") {
  Counted h{Settings{.spec = df::session(1min), .trigger = df::continuously_by_the_clock(10s)}};
  Lines all;
  for (int second = 1; second <= 31; ++second) {
    h.processing_time(second * 1s);
    h.push(pay(second * 1s));
    for (const std::string& line : given(h)) all.push_back(line);
  }
  CHECK(all == Lines{"1: 9", "1: 19", "1: 29"});
}

TEST_CASE("a session that is shorter than the interval gives no result where it seemed to end") {
  Counted h{Settings{.spec = df::session(2s), .trigger = df::continuously(10s)}};
  for (int second = 1; second <= 12; ++second) h.push(pay(second * 1s));
  h.watermark(9999999us);
  CHECK(given(h).empty());
  h.watermark(10s);
  CHECK(given(h) == Lines{"1: 12"});
  h.watermark(1h);
  CHECK(given(h) == Lines{"1: 12"});
}

TEST_CASE("a trigger of one's own sets the timers of sessions that become one anew, from what each had put") {
  Counted h{Settings{.spec = df::session(8s), .own_trigger = std::make_shared<TenSecondsBehind>()}};
  h.push(pay(15s));
  h.push(pay(1s));
  h.push(pay(8s));  // joins both
  h.restore(h.snapshot());
  h.push(pay(20s));
  h.watermark(10999999us);
  CHECK(given(h).empty());
  h.watermark(11s);
  CHECK(given(h) == Lines{"1: 4"});
  h.watermark(27s);
  CHECK(given(h).empty());
}

TEST_CASE("a session keeps no timer of the shorter ones that it was") {
  df::testing::Harness<df::Windowed<Counting>> h{Settings{.spec = df::session(1min)}};
  for (int second = 1; second <= 60; ++second) h.push(pay(second * 1s));
  CHECK(h.waits_for() == df::Timestamp{119999999us});
  h.watermark(2min);
  CHECK(given(h) == Lines{"1: 60"});
  CHECK_FALSE(h.waits_for().has_value());
}
