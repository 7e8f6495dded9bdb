// Triggers of one's own in all that they may do, and those of the engine that say when nothing else does.
#include <dataflow/testing.hpp>

#include <doctest/doctest.h>

#include <utility>

namespace df = dataflow;
using namespace std::chrono_literals;
using Lines = std::vector<std::string>;

namespace {

struct Payment {
  std::string card;
  std::int64_t number = 0;
  df::Timestamp time;
};
DATAFLOW_RECORD(Payment, card, number, time)

Payment pay(std::int64_t number, df::Duration at) {
  return {"c", number, df::Timestamp{at}};
}

/// The window's bounds in seconds, and its records' numbers: "0-10 1 2".
class Listing : public df::WindowProcess<std::string, Payment, std::string> {
 public:
  void on_window(const df::Window& window, std::span<const df::Timed<Payment>> payments, Context&,
                 df::Output<std::string>& out) override {
    std::string text =
        std::to_string(window.start.micros / 1'000'000) + "-" + std::to_string(window.end.micros / 1'000'000);
    for (const auto& timed : payments) text += " " + std::to_string(timed.record.number);
    out.emit(text);
  }
};
using Settings = df::WindowSettings<Payment>;
using Listed = df::testing::Harness<df::Windowed<Listing>>;

Lines given(Listed& h) {
  Lines lines = h.output();
  h.clear_output();
  return lines;
}

/// Gives a session at its end, for which it sets one timer, and another when it has become longer by another session.
/// Keeps the number of each record under its own name, and the newest under one name for all.
class EndOfSession : public df::WindowTrigger<Payment> {
 public:
  explicit EndOfSession(std::int64_t records) : records_{records} {}
  df::TriggerResult on_record(const Payment& p, df::Timestamp, const df::Window& window,
                              df::TriggerContext& ctx) const override {
    ctx.put("of " + std::to_string(p.number), p.number);
    ctx.put("newest", p.number);
    if (!ctx.get<bool>("waits")) ctx.set_event_timer(df::Timestamp{window.end.micros - 1});
    ctx.put("waits", true);
    return df::TriggerResult::go_on;
  }
  df::TriggerResult on_event_time(df::Timestamp time, const df::Window& window,
                                  df::TriggerContext& ctx) const override {
    CHECK(time.micros == window.end.micros - 1);
    for (std::int64_t number = 1; number <= records_; ++number) {
      CHECK(ctx.get<std::int64_t>("of " + std::to_string(number)) == number);
    }
    CHECK(ctx.get<std::int64_t>("newest") == records_);
    return df::TriggerResult::fire;
  }
  [[nodiscard]] bool merges() const override { return true; }
  void on_merge(const df::Window& window, df::TriggerContext& ctx) const override {
    ctx.set_event_timer(df::Timestamp{window.end.micros - 1});
  }

 private:
  std::int64_t records_;
};

TEST_CASE("a trigger of sessions that become one has what it kept of both, and only the timers that it sets then") {
  Listed h{Settings{.spec = df::session(10s), .own_trigger = std::make_shared<EndOfSession>(3)}};
  h.push(pay(1, 0s));
  h.push(pay(2, 15s));
  h.restore(h.snapshot());
  h.push(pay(3, 8s));
  h.restore(h.snapshot());
  h.watermark(24s);  // behind what had been the first session's end
  CHECK(given(h).empty());
  h.watermark(25s);
  CHECK(given(h) == Lines{"0-25 1 2 3"});
}

/// Sets and deletes timers as records say: 1 by time, 2 by the clock, -1 and -2 take them back, 0 empties the window.
class Timed : public df::WindowTrigger<Payment> {
 public:
  df::TriggerResult on_record(const Payment& p, df::Timestamp, const df::Window&,
                              df::TriggerContext& ctx) const override {
    for (const df::Duration at : {5s, 5s, 7s}) {
      if (p.number == 1) ctx.set_event_timer(df::Timestamp{at});
      if (p.number == 2) ctx.set_processing_timer(df::Timestamp{at});
    }
    if (p.number == -1) ctx.delete_event_timer(df::Timestamp{5s});
    if (p.number == -2) ctx.delete_processing_timer(df::Timestamp{5s});
    return p.number == 0 ? df::TriggerResult::purge : df::TriggerResult::go_on;
  }
  df::TriggerResult on_event_time(df::Timestamp, const df::Window&, df::TriggerContext& ctx) const override {
    CHECK(ctx.watermark() < df::Timestamp{1h});
    return df::TriggerResult::fire;
  }
  df::TriggerResult on_processing_time(df::Timestamp time, const df::Window&, df::TriggerContext& ctx) const override {
    CHECK(ctx.now() >= time);
    return df::TriggerResult::fire;
  }
};

TEST_CASE("a trigger's timers fire once each, by time and by the clock, and none that it has deleted") {
  for (const bool restored : {false, true}) {
    CAPTURE(restored);
    Listed h{Settings{.spec = df::tumbling(1min), .own_trigger = std::make_shared<Timed>()}};
    const auto pause = [&] {
      if (restored) h.restore(h.snapshot());
    };
    h.push(pay(1, 1s));
    h.push(pay(2, 1s));
    pause();
    h.watermark(5s);
    CHECK(given(h) == Lines{"0-60 1 2"});
    h.processing_time(5s);
    CHECK(given(h) == Lines{"0-60 1 2"});
    pause();
    h.watermark(30s);
    CHECK(given(h) == Lines{"0-60 1 2"});
    h.processing_time(30s);
    CHECK(given(h) == Lines{"0-60 1 2"});
    h.watermark(1h);
    CHECK(given(h).empty());

    Listed deleted{Settings{.spec = df::tumbling(1min), .own_trigger = std::make_shared<Timed>()}};
    for (const std::int64_t number : {1, 2, -1, -2}) {
      deleted.push(pay(number, 1s));
      if (restored) deleted.restore(deleted.snapshot());
    }
    deleted.watermark(6s);
    deleted.processing_time(6s);
    CHECK(given(deleted).empty());
    deleted.watermark(7s);
    CHECK(given(deleted) == Lines{"0-60 1 2 -1 -2"});
    deleted.push(pay(0, 2s));
    deleted.processing_time(7s);
    CHECK(given(deleted).empty());  // nothing is in the window
  }
}

TEST_CASE("never gives nothing, whatever time it is, and its windows go when they are over") {
  Listed h{Settings{.spec = df::tumbling(10s), .trigger = df::never()}};
  const std::string empty = h.snapshot();
  h.push(pay(1, 1s));
  CHECK(h.snapshot() != empty);
  h.watermark(9s);
  h.processing_time(1h);
  CHECK(h.snapshot() != empty);
  h.watermark(10s);
  CHECK(given(h).empty());
  CHECK(h.snapshot() == empty);
}

TEST_CASE("on_event_time is what a window does by itself, purging or not") {
  for (const bool said : {false, true}) {
    CAPTURE(said);
    Settings settings{.spec = df::tumbling(10s)};
    settings.spec.allowed_lateness = 10s;
    if (said) settings.trigger = df::on_event_time();
    Listed h{settings};
    h.push(pay(1, 1s));
    h.push(pay(2, 2s));
    h.watermark(10s);
    CHECK(given(h) == Lines{"0-10 1 2"});
    h.push(pay(3, 3s));
    CHECK(given(h) == Lines{"0-10 1 2 3"});
  }
  Settings settings{.spec = df::tumbling(10s), .trigger = df::purging(df::on_event_time())};
  settings.spec.allowed_lateness = 10s;
  Listed h{settings};
  h.push(pay(1, 1s));
  h.watermark(10s);
  h.push(pay(2, 2s));
  CHECK(given(h) == Lines{"0-10 1", "0-10 2"});
}

}  // namespace
