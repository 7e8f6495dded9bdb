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
  df::Timestamp sent;
  std::int64_t number = 0;
  std::string order;
};
DATAFLOW_RECORD(Parcel, sent, number, order)

using Orders = std::span<const df::Timed<Order>>;
using Parcels = std::span<const df::Timed<Parcel>>;
using Lines = std::vector<std::string>;

/// "1 2|3": the pieces of the orders and the numbers of the parcels.
std::string listed(Orders orders, Parcels parcels) {
  std::string text;
  for (const auto& [time, order] : orders) text += (text.empty() ? "" : " ") + std::to_string(order.pieces);
  text += "|";
  for (const auto& [time, parcel] : parcels) text += (text.ends_with("|") ? "" : " ") + std::to_string(parcel.number);
  return text;
}

/// The key, how often its windows have been given, the window's start in seconds, and what is in it: "a#1 0: 1 2|3".
class Listing : public df::CoGroupProcess<std::string, Order, Parcel, std::string> {
 public:
  void on_group(const df::Window& window, Orders orders, Parcels parcels, Context& ctx,
                df::Output<std::string>& out) override {
    given_ = given_.value_or(0) + 1;
    out.emit(ctx.key() + "#" + std::to_string(*given_) + " " + std::to_string(window.start.micros / 1'000'000) + ": " +
             listed(orders, parcels));
  }

 private:
  df::ValueState<std::int64_t> given_{this, "given"};
};

using Settings = df::WindowSettings<std::variant<Order, Parcel>>;
using Listed = CoHarness<df::Windowed<Listing>>;

/// What has been given since it was asked last.
Lines given(Listed& h) {
  Lines lines = h.output();
  h.clear_output();
  return lines;
}

TEST_CASE("a co_group gives a function all records of both streams in a window, also where one has none") {
  Listed h{Settings{.spec = df::tumbling(10s)}};
  h.push_first({"a", 1, 1s});
  h.push_second({2s, 2, "a"});
  h.push_second({3s, 3, "b"});
  h.push_first({"a", 4, 0s});
  h.push_first({"c", 5, 12s});
  h.restore(h.snapshot());
  CHECK(given(h).empty());
  h.watermark(9'999'999us);
  CHECK(given(h) == Lines{"a#1 0: 1 4|2", "b#1 0: |3"});
  h.push_second({19s, 6, "a"});
  h.watermark(df::Timestamp::max());
  CHECK(given(h) == Lines{"a#2 10: |6", "c#1 10: 5|"});
}

TEST_CASE(
    "late records of either stream change a result within the allowed lateness, and then have outputs of their own") {
  Settings settings{.spec = df::tumbling(10s)};
  settings.spec.allowed_lateness = 10s;
  Listed h{settings};
  h.side_output<Order>("late_left");
  h.side_output<Parcel>("late_right");
  h.push_first({"a", 1, 1s});
  h.watermark(10s);
  CHECK(given(h) == Lines{"a#1 0: 1|"});
  h.restore(h.snapshot());
  h.push_second({2s, 2, "a"});
  CHECK(given(h) == Lines{"a#2 0: 1|2"});
  h.push_second({2s, 3, "b"});
  CHECK(given(h) == Lines{"b#1 0: |3"});
  h.watermark(20s);
  h.push_second({3s, 4, "a"});
  h.push_first({"a", 5, 4s});
  CHECK(h.side_output<Parcel>("late_right").at(0).number == 4);
  CHECK(h.side_output<Order>("late_left").at(0).pieces == 5);
  CHECK(h.counter("late") == 2);
  CHECK(given(h).empty());
}

TEST_CASE("a session is of the records of both streams") {
  Listed h{Settings{.spec = df::session(10s)}};
  h.push_first({"a", 1, 0s});
  h.push_first({"a", 2, 15s});
  h.push_second({8s, 3, "a"});
  h.watermark(24s);
  CHECK(given(h).empty());
  h.watermark(25s);
  CHECK(given(h) == Lines{"a#1 0: 1 2|3"});
}

TEST_CASE("triggers and evictors see the records of both streams in the order in which they come") {
  Listed h{Settings{.spec = df::global_window(), .trigger = df::on_count(2), .evictor = df::keep_last(3)}};
  h.push_first({"a", 1, 1s});
  h.push_second({2s, 2, "a"});
  h.push_second({1s, 3, "a"});
  h.push_first({"a", 4, 1s});
  h.restore(h.snapshot());
  h.push_first({"a", 5, 1s});
  h.push_second({1s, 6, "a"});
  const Lines lines = given(h);
  REQUIRE(lines.size() == 3);
  CHECK(lines[0].ends_with(": 1|2"));
  CHECK(lines[1].ends_with(": 4|2 3"));
  CHECK(lines[2].ends_with(": 4 5|6"));
}

/// How often each window has been given.
class Numbered : public df::CoGroupProcess<std::string, Order, Parcel, std::int64_t> {
 public:
  void on_group(const df::Window&, Orders, Parcels, Context&, df::Output<std::int64_t>& out) override {
    given_ = given_.value_or(0) + 1;
    out.emit(*given_.get());
  }

 private:
  df::WindowState<std::int64_t> given_{this, "given"};
};

TEST_CASE("a function of a co_group has state of its windows") {
  CoHarness<df::Windowed<Numbered>> h{Settings{.spec = df::tumbling(10s), .trigger = df::on_count(1)}};
  h.push_first({"a", 1, 1s});
  h.push_first({"a", 1, 11s});
  h.restore(h.snapshot());
  h.push_second({1s, 1, "a"});
  CHECK(h.output() == std::vector<std::int64_t>{1, 1, 2});
}

struct Streams {
  df::KeyedStream<Order, std::string> orders;
  df::KeyedStream<Parcel, std::string> parcels;
};
Streams streams(df::Environment& env) {
  std::vector<Order> orders;
  std::vector<Parcel> parcels;
  for (int i = 0; i < 200; ++i) {
    orders.push_back({"o" + std::to_string(i % 7), i, df::Timestamp{1s * i}});
    parcels.push_back({df::Timestamp{1s * i}, i, "o" + std::to_string(i % 11)});
  }
  return {env.from_collection(orders).event_time(&Order::time).named("orders").key_by(&Order::id),
          env.from_collection(parcels).event_time(&Parcel::sent).named("parcels").key_by(&Parcel::order)};
}

/// The bigger side of each key and minute.
void balance(df::Environment& env) {
  auto [orders, parcels] = streams(env);
  orders.co_group(parcels)
      .window(df::tumbling(1min))
      .apply<std::string>([](Orders o, Parcels p, df::Output<std::string>& out) {
        if (o.size() == p.size()) return;
        out.emit(o.size() > p.size() ? o.front().record.id + " lacks parcels"
                                     : p.front().record.order + " lacks orders");
      })
      .named("balance")
      .print();
}

TEST_CASE("records of one key of both streams meet in one subtask, in a lambda, too") {
  const auto sorted = [](void (*job)(df::Environment&), std::uint32_t parallelism, const char* output) {
    auto lines = run(job, {}, {.parallelism = parallelism}).of<std::string>(output);
    std::sort(lines.begin(), lines.end());
    return lines;
  };
  const Lines lacking = sorted(balance, 1, "balance");
  CHECK(lacking == sorted(balance, 3, "balance"));
  CHECK(std::count(lacking.begin(), lacking.end(), "o9 lacks orders") == 4);
  CHECK(std::count(lacking.begin(), lacking.end(), "o3 lacks parcels") > 0);
}

TEST_CASE("a co_group is exact whatever goes wrong") {
  check_exact(balance, {"balance"});
}

TEST_CASE("late_to has the late records, each of its stream") {
  const auto job = [](df::Environment& env) {
    std::vector<Order> many;
    for (int i = 0; i < 30'000; ++i) many.push_back({"a", i, df::Timestamp{1s * i}});
    for (int i = 0; i < 3; ++i) many.push_back({"a", -1 - i, df::Timestamp{1s * i}});
    // One source: both streams come to the same time together.
    auto orders = env.from_collection(many).event_time(&Order::time).named("orders");
    auto parcels = orders.filter([](const Order& o) { return o.pieces != -1; }).map([](const Order& o) {
      return Parcel{o.time, o.pieces, o.id};
    });
    const auto count = [](Orders o, Parcels p, df::Output<std::int64_t>& out) {
      out.emit(static_cast<std::int64_t>(o.size() + p.size()));
    };
    auto by_consumer = orders.key_by(&Order::id).co_group(parcels.key_by(&Parcel::order)).window(df::tumbling(1min));
    by_consumer
        .late_to([](df::Stream<Order> left, df::Stream<Parcel> right) {
          left.print().named("late_orders");
          right.print().named("late_parcels");
        })
        .apply<std::int64_t>(count)
        .named("counted")
        .print();
    auto by_name = orders.key_by(&Order::id).co_group(parcels.key_by(&Parcel::order)).window(df::tumbling(1min));
    by_name.late_to("old")
        .apply<std::int64_t>(count)
        .named("again")
        .side_output<Parcel>("old_right")
        .print()
        .named("old_parcels");
  };
  const auto outputs = run(job);
  CHECK(outputs.of<Order>("late_orders").size() == 3);
  CHECK(outputs.of<Parcel>("late_parcels").size() == 2);
  CHECK(outputs.of<Parcel>("old_parcels").size() == 2);
  const auto counts = outputs.of<std::int64_t>("counted");
  CHECK(std::count(counts.begin(), counts.end(), 120) == 500);
}

template <class Build>
std::string mistakes_of(Build build) {
  df::Environment env;
  build(env);
  const auto graph = env.build("job");
  return graph ? "" : graph.error().message();
}

TEST_CASE("what a co_group lacks is a mistake with its line") {
  const auto says = [](const std::string& mistakes, std::string_view why) {
    CAPTURE(mistakes);
    CHECK(mistakes.starts_with("co_group_test.cpp:"));
    CHECK(mistakes.find(why) != std::string::npos);
  };
  says(mistakes_of([](df::Environment& env) {
         auto [orders, parcels] = streams(env);
         orders.co_group(parcels).window(df::tumbling(1min)).process<Listing>().discard();
       }),
       "this co_group keeps state and needs a name");
  says(mistakes_of([](df::Environment& env) {
         auto [orders, parcels] = streams(env);
         orders.co_group(parcels).window(df::session(1min)).process<Numbered>().named("n").discard();
       }),
       "sessions merge, and have no state of their own");
  says(mistakes_of([](df::Environment& env) {
         auto [orders, parcels] = streams(env);
         orders.co_group(parcels).window(df::tumbling(0s)).process<Listing>().named("n").discard();
       }),
       "a tumbling window");
  says(mistakes_of([](df::Environment& env) {
         auto [orders, parcels] = streams(env);
         orders.co_group(env.from_collection<Parcel>({}).key_by(&Parcel::order))
             .window(df::tumbling(1min))
             .process<Listing>()
             .named("n")
             .discard();
       }),
       "goes by it in both streams, and the right one has none");
  CHECK(mistakes_of([](df::Environment& env) {
          env.from_collection<Order>({})
              .key_by(&Order::id)
              .co_group(env.from_collection<Parcel>({}).key_by(&Parcel::order))
              .window(df::in_processing_time(df::tumbling(1min)))
              .trigger(df::early(1s))
              .process<Listing>()
              .named("n")
              .discard();
        }).empty());
}

}  // namespace
