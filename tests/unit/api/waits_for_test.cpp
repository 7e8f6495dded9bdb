// What operators of C++ jobs say that they wait for, as `dfnode why` tells it.

#include <dataflow/testing.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <optional>

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

struct Sum {
  double sum = 0;
  void add(const Payment& p) { sum += p.amount; }
  void merge(const Sum& other) { sum += other.sum; }
  [[nodiscard]] double result() const { return sum; }
};
DATAFLOW_RECORD(Sum, sum)

class Counting : public df::WindowProcess<std::string, Payment, std::int64_t> {
 public:
  void on_window(const df::Window&, std::span<const df::Timed<Payment>> payments, Context&,
                 df::Output<std::int64_t>& out) override {
    out.emit(static_cast<std::int64_t>(payments.size()));
  }
};

class Grouping : public df::CoGroupProcess<std::string, Payment, Payment, std::int64_t> {
 public:
  void on_group(const df::Window&, std::span<const df::Timed<Payment>> left, std::span<const df::Timed<Payment>> right,
                Context&, df::Output<std::int64_t>& out) override {
    out.emit(static_cast<std::int64_t>(left.size() + right.size()));
  }
};

/// A timer for each record, an hour behind it; a negative amount deletes that of its time.
class Later : public df::KeyedProcess<std::string, Payment, Payment> {
 public:
  void process(const Payment& p, Context& ctx, df::Output<Payment>&) override {
    if (p.amount < 0) return ctx.delete_event_timer(p.time + 1h);
    ctx.on_event_time(p.time + 1h);
    ctx.on_processing_time(df::Timestamp{1s});
  }
  void on_timer(df::Timestamp, Context&, df::Output<Payment>&) override {}
};

using Settings = df::WindowSettings<Payment>;
using Counted = Harness<df::Windowed<Counting>>;
using Time = std::optional<df::Timestamp>;

Payment pay(df::Duration at, double amount = 1, std::string card = "c") {
  return {std::move(card), amount, df::Timestamp{at}};
}

}  // namespace

TEST_CASE("a window of records waits for its end, the earliest of all keys', and for nothing once it has fired") {
  Settings settings{.spec = df::tumbling(10s)};
  settings.spec.allowed_lateness = 1h;
  Counted h{settings};
  CHECK(h.waits_for() == std::nullopt);
  h.push(pay(15s));
  CHECK(h.waits_for() == Time{19999999us});
  h.push(pay(3s, 1, "d"));
  CHECK(h.waits_for() == Time{9999999us});
  h.restore(h.snapshot());
  CHECK(h.waits_for() == Time{9999999us});
  h.watermark(12s);
  CHECK(h.waits_for() == Time{19999999us});
  h.watermark(20s);
  CHECK(h.output().size() == 2);
  CHECK(h.waits_for() == std::nullopt);  // only for late records
}

TEST_CASE("a window waits for what its trigger waits for") {
  Counted by_count{Settings{.spec = df::tumbling(10s), .trigger = df::on_count(3)}};
  by_count.push(pay(1s));
  CHECK(by_count.waits_for() == std::nullopt);
  Counted continuous{Settings{.spec = df::tumbling(1min), .trigger = df::continuously(10s)}};
  continuous.push(pay(1s));
  CHECK(continuous.waits_for() == Time{10s});
  Counted by_clock{Settings{.spec = df::tumbling(10s), .trigger = df::on_processing_time()}};
  by_clock.push(pay(1s));
  CHECK(by_clock.waits_for() == std::nullopt);
}

TEST_CASE("a window of an aggregator waits for its end, a session for the end that it has now") {
  using Function = df::WindowFunction<df::KeyedProcess<std::string, Payment, double>, Sum>;
  df::WindowSpec spec = df::session(10s);
  spec.allowed_lateness = 1h;
  Harness<Function> h{spec, std::string{"late"}};
  h.push(pay(1s));
  CHECK(h.waits_for() == Time{10999999us});
  h.push(pay(5s));
  h.push(pay(20s));
  CHECK(h.waits_for() == Time{14999999us});
  h.push(pay(12s));
  CHECK(h.waits_for() == Time{29999999us});
  h.watermark(30s);
  CHECK(h.output() == std::vector<double>{4});
  CHECK(h.waits_for() == std::nullopt);
}

TEST_CASE("a co-group waits for its window's end") {
  df::testing::CoHarness<df::Windowed<Grouping>> h{
      df::WindowSettings<std::variant<Payment, Payment>>{.spec = df::tumbling(10s)}};
  h.push_second(pay(1s));
  CHECK(h.waits_for() == Time{9999999us});
}

TEST_CASE("a process function waits for its next event timer") {
  Harness<Later> h;
  h.push(pay(2h));
  h.push(pay(1h, 1, "d"));
  CHECK(h.waits_for() == Time{2h});
  h.push(pay(1h, -1, "d"));
  CHECK(h.waits_for() == Time{3h});
  h.watermark(3h);
  CHECK(h.waits_for() == std::nullopt);
}
