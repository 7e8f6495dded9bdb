#include <dataflow/testing.hpp>

#include <doctest/doctest.h>

#include <algorithm>

#include "tests/support/faults.hpp"

namespace df = dataflow;
using namespace std::chrono_literals;
using dataflow::testing_support::check_exact;
using df::testing::CoHarness;
using df::testing::run;

namespace {

struct Order {
  std::string id;
  std::int64_t pieces = 0;
  df::Timestamp time;
};
DATAFLOW_RECORD(Order, id, pieces, time)

/// Has its key at another place than an order.
struct Parcel {
  double weight = 0;
  df::Timestamp sent;
  std::string order;
};
DATAFLOW_RECORD(Parcel, weight, sent, order)

struct Shipment {
  std::string id;
  std::int64_t pieces = 0;
  double weight = 0;
};
DATAFLOW_RECORD(Shipment, id, pieces, weight)

/// An order and its parcel, whichever comes first; what waits in vain for so long goes to "lonely".
class Shipped : public df::KeyedCoProcess<std::string, Order, Parcel, Shipment> {
 public:
  explicit Shipped(df::Duration within) : within_{within} {}
  void process_first(const Order& o, Context& ctx, df::Output<Shipment>& out) override {
    if (parcel_) return give(ctx, o, *parcel_, out);
    order_ = o;
    ctx.on_event_time(ctx.timestamp() + within_, "order");
  }
  void process_second(const Parcel& p, Context& ctx, df::Output<Shipment>& out) override {
    if (order_) return give(ctx, *order_, p, out);
    parcel_ = p;
    ctx.on_event_time(ctx.timestamp() + within_, "parcel");
  }
  void on_timer(df::Timestamp, Context& ctx, df::Output<Shipment>&) override {
    if (order_ || parcel_) ctx.emit("lonely", ctx.key());
    order_.clear();
    parcel_.clear();
  }

 private:
  void give(Context& ctx, const Order& o, const Parcel& p, df::Output<Shipment>& out) {
    out.emit({ctx.key(), o.pieces, p.weight});
    order_.clear();
    parcel_.clear();
  }
  df::Duration within_;
  df::ValueState<Order> order_{this, "order"};
  df::ValueState<Parcel> parcel_{this, "parcel"};
};

TEST_CASE("two streams share the state of a key, whichever record comes first") {
  CoHarness<Shipped> h{1h};
  h.push_first({"a", 3, 0s});
  h.push_second({1.5, 10min, "b"});
  CHECK(h.output().empty());
  h.push_second({2.5, 20min, "a"});
  h.push_first({"b", 4, 20min});
  const auto out = h.output();
  REQUIRE(out.size() == 2);
  CHECK(out[0].id == "a");
  CHECK(out[0].pieces == 3);
  CHECK(out[0].weight == 2.5);
  CHECK(out[1].id == "b");
  CHECK(out[1].weight == 1.5);
}

TEST_CASE("a timer belongs to the key, and state and timers of two streams go through a checkpoint") {
  CoHarness<Shipped> h{1h};
  h.side_output<std::string>("lonely");
  h.push_first({"a", 3, 0s});
  h.push_second({1.5, 10min, "b"});
  h.push_second({1.5, 10min, "c"});
  h.restore(h.snapshot());
  CHECK(h.ask("parcel", "\"b\"") == R"({"weight":1.5,"sent":"1970-01-01T00:10:00Z","order":"b"})");
  h.push_first({"c", 1, 11min});
  h.watermark(1h);
  CHECK(h.side_output<std::string>("lonely") == std::vector<std::string>{"a"});
  h.watermark(2h);
  CHECK(h.side_output<std::string>("lonely") == std::vector<std::string>{"a", "b"});
  CHECK(h.output().size() == 1);
}

std::vector<Order> orders(std::int64_t count) {
  std::vector<Order> all;
  for (std::int64_t i = 0; i < count; ++i) {
    all.push_back({"o" + std::to_string(i), i, df::Timestamp{std::chrono::seconds{i}}});
  }
  return all;
}
std::vector<Parcel> parcels(std::int64_t count) {
  std::vector<Parcel> all;
  for (std::int64_t i = 0; i < count; i += 2) {
    all.push_back({0.5 * static_cast<double>(i), df::Timestamp{std::chrono::seconds{i + 5}}, "o" + std::to_string(i)});
  }
  return all;
}

void shipping(df::Environment& env) {
  auto ordered = env.from_collection(orders(200)).event_time(&Order::time).named("orders");
  auto sent = env.from_collection(parcels(200)).event_time(&Parcel::sent).named("parcels");
  auto shipped = ordered.key_by(&Order::id).connect(sent.key_by(&Parcel::order)).process<Shipped>(1h).named("shipped");
  shipped.print();
  shipped.side_output<std::string>("lonely").print().named("lonely");
}

TEST_CASE("records of one key of both streams meet in one subtask") {
  for (const std::uint32_t parallelism : {1U, 3U}) {
    const auto outputs = run(shipping, {}, {.parallelism = parallelism});
    auto shipped = outputs.of<Shipment>("shipped");
    CHECK(outputs.of<std::string>("lonely").size() == 100);
    REQUIRE(shipped.size() == 100);
    for (const Shipment& s : shipped) CHECK(s.weight == 0.5 * static_cast<double>(s.pieces));
  }
}

TEST_CASE("connected streams are exact whatever goes wrong") {
  check_exact(shipping, {"shipped", "lonely"});
}

TEST_CASE("lambdas over connected streams need neither key nor name") {
  const auto outputs = run([](df::Environment& env) {
    auto texts =
        env.from_collection<Order>({{"a", 1, 0s}, {"b", 2, 0s}}).connect(env.from_collection<Parcel>({{0.5, 0s, "c"}}));
    texts.map([](const Order& o) { return o.id; }, [](const Parcel& p) { return p.order; }).print().named("names");
    texts
        .flat_map<std::int64_t>(
            [](const Order& o, df::Output<std::int64_t>& out) {
              for (std::int64_t i = 0; i < o.pieces; ++i) out.emit(i);
            },
            [](const Parcel&, df::Output<std::int64_t>& out) { out.emit(-1); })
        .print()
        .named("numbers");
  });
  auto names = outputs.of<std::string>("names");
  std::sort(names.begin(), names.end());
  CHECK(names == std::vector<std::string>{"a", "b", "c"});
  auto numbers = outputs.of<std::int64_t>("numbers");
  std::sort(numbers.begin(), numbers.end());
  CHECK(numbers == std::vector<std::int64_t>{-1, 0, 0, 1});
}

class CountBoth : public df::CoProcess<Order, Parcel, std::int64_t> {
 public:
  void process_first(const Order&, Context&, df::Output<std::int64_t>& out) override { count(out); }
  void process_second(const Parcel&, Context&, df::Output<std::int64_t>& out) override { count(out); }

 private:
  void count(df::Output<std::int64_t>& out) {
    n_ = n_.value_or(0) + 1;
    out.emit(*n_);
  }
  df::ValueState<std::int64_t> n_{this, "n"};
};

TEST_CASE("a function over two streams without key has the state of its subtask") {
  CoHarness<CountBoth> h;
  h.push_first({"a", 1, 0s});
  h.restore(h.snapshot());
  h.push_second({1, 0s, "b"});
  CHECK(h.output() == std::vector<std::int64_t>{1, 2});
}

/// Says for each record how old it was when time had come so far.
class Ages : public df::KeyedCoProcess<std::string, Order, Parcel, std::string> {
 public:
  void process_first(const Order& o, Context& ctx, df::Output<std::string>&) override {
    ctx.on_event_time(o.time + 1min);
  }
  void process_second(const Parcel&, Context& ctx, df::Output<std::string>& out) override {
    out.emit("without time " + ctx.key());
  }
  void on_timer(df::Timestamp time, Context& ctx, df::Output<std::string>& out) override {
    out.emit(ctx.key() + " at " + std::to_string(time.micros / 1000000) + " while time is " +
             (ctx.watermark() == df::Timestamp::max() ? "over" : "going on"));
  }
};

/// Never gives anything, and never ends.
class Silent : public df::Source<Parcel> {
 public:
  [[nodiscard]] std::unique_ptr<df::SplitReader<Parcel>> reader() const override { return std::make_unique<Reader>(); }
  [[nodiscard]] bool bounded() const override { return false; }

 private:
  class Reader : public df::SplitReader<Parcel> {
   public:
    void open(std::string_view, std::string_view) override {}
    df::ReadStep next(df::Output<Parcel>&, std::uint32_t) override { return df::ReadStep::wait(1s); }
    [[nodiscard]] std::string position() const override { return ""; }
  };
};

TEST_CASE("a connected stream without event time does not hold the other's back") {
  const auto job = [](df::Environment& env) {
    auto timed = env.from_collection<Order>({{"a", 1, 0s}, {"b", 1, 5min}}).event_time(&Order::time);
    auto untimed = env.from_source<Parcel>(std::make_shared<Silent>());
    timed.key_by(&Order::id).connect(untimed.key_by(&Parcel::order)).process<Ages>().named("ages").print();
  };
  const auto outputs = run(job, {}, {.until = df::Timestamp{1min}});
  CHECK(outputs.of<std::string>("ages").size() == 2);
}

template <class Build>
std::string mistakes_of(Build build) {
  df::Environment env;
  build(env);
  const auto graph = env.build("job");
  return graph ? "" : graph.error().message();
}

TEST_CASE("a function over connected streams that keeps state needs a name") {
  const std::string keyed = mistakes_of([](df::Environment& env) {
    env.from_collection<Order>({})
        .key_by(&Order::id)
        .connect(env.from_collection<Parcel>({}).key_by(&Parcel::order))
        .process<Shipped>(1h)
        .discard();
  });
  CHECK(keyed.starts_with("connect_test.cpp:"));
  CHECK(keyed.find("this process keeps state and needs a name") != std::string::npos);
  const std::string without_key = mistakes_of([](df::Environment& env) {
    env.from_collection<Order>({}).connect(env.from_collection<Parcel>({})).process<CountBoth>().discard();
  });
  CHECK(without_key.find("this process keeps state and needs a name") != std::string::npos);
}

}  // namespace
