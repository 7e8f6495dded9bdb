#include <dataflow/testing.hpp>

#include <doctest/doctest.h>

#include <algorithm>

#include "tests/support/faults.hpp"

namespace df = dataflow;
using namespace std::chrono_literals;
using dataflow::testing_support::check_exact;
using df::testing::run;

namespace {

struct Order {
  std::string id;
  std::string city;
  df::Timestamp time;
};
DATAFLOW_RECORD(Order, id, city, time)

/// Has its key at another place, and a member that may be missing.
struct Payment {
  double amount = 0;
  df::Timestamp paid;
  std::string order;
  std::optional<std::string> note;
};
DATAFLOW_RECORD(Payment, amount, paid, order, note)

std::vector<Order> orders() {
  return {{"a", "Basel", 0s}, {"b", "Bern", 10min}, {"c", "Chur", 20min}, {"a", "Aarau", 65min}};
}
std::vector<Payment> payments() {
  return {{1, 5min, "a", "first"}, {2, 10min, "a", {}}, {3, 19min, "c", {}}, {4, 70min, "a", {}}, {5, 71min, "x", {}}};
}

std::string pair_of(const Order* o, const Payment* p) {
  return (o == nullptr ? "-" : o->city) + "/" +
         (p == nullptr ? "-" : std::to_string(static_cast<int>(p->amount)) + p->note.value_or(""));
}
const auto both = [](const Order& o, const Payment& p) { return pair_of(&o, &p); };
const auto left = [](const Order& o, const Payment* p) { return pair_of(&o, p); };
const auto right = [](const Order* o, const Payment& p) { return pair_of(o, &p); };
const auto either = [](const Order* o, const Payment* p) { return pair_of(o, p); };

struct Streams {
  df::KeyedStream<Order, std::string> orders;
  df::KeyedStream<Payment, std::string> payments;
};
Streams streams(df::Environment& env) {
  return {env.from_collection(orders()).event_time(&Order::time).named("orders").key_by(&Order::id),
          env.from_collection(payments()).event_time(&Payment::paid).named("payments").key_by(&Payment::order)};
}

std::vector<std::string> joined(void (*job)(df::Environment&), std::uint32_t parallelism = 1) {
  auto pairs = run(job, {}, {.parallelism = parallelism}).of<std::string>("pairs");
  std::sort(pairs.begin(), pairs.end());
  return pairs;
}
using Pairs = std::vector<std::string>;

TEST_CASE("a window join gives the pairs of each window, and of a sliding one again for each that they share") {
  const auto tumbling = [](df::Environment& env) {
    auto [o, p] = streams(env);
    o.join(p).window(df::tumbling(1h)).apply(both).named("pairs").print();
  };
  for (const std::uint32_t parallelism : {1U, 3U}) {
    CHECK(joined(tumbling, parallelism) == Pairs{"Aarau/4", "Basel/1first", "Basel/2", "Chur/3"});
  }
  CHECK(joined([](df::Environment& env) {
          auto [o, p] = streams(env);
          o.join(p).window(df::sliding(2h, 1h)).apply(both).named("pairs").print();
        }) == Pairs{"Aarau/1first", "Aarau/2", "Aarau/4", "Aarau/4", "Basel/1first", "Basel/1first", "Basel/2",
                    "Basel/2", "Basel/4", "Chur/3", "Chur/3"});
}

TEST_CASE("an outer join gives null for the side that has no match") {
  CHECK(joined([](df::Environment& env) {
          auto [o, p] = streams(env);
          o.left_join(p).window(df::tumbling(1h)).apply(left).named("pairs").print();
        }) == Pairs{"Aarau/4", "Basel/1first", "Basel/2", "Bern/-", "Chur/3"});
  CHECK(joined([](df::Environment& env) {
          auto [o, p] = streams(env);
          o.right_join(p).window(df::tumbling(1h)).apply(right).named("pairs").print();
        }) == Pairs{"-/5", "Aarau/4", "Basel/1first", "Basel/2", "Chur/3"});
  CHECK(joined([](df::Environment& env) {
          auto [o, p] = streams(env);
          o.full_join(p).window(df::tumbling(1h)).apply(either).named("pairs").print();
        }) == Pairs{"-/5", "Aarau/4", "Basel/1first", "Basel/2", "Bern/-", "Chur/3"});
}

TEST_CASE("a join in sessions gives the pairs of each session of both streams") {
  CHECK(joined([](df::Environment& env) {
          auto [o, p] = streams(env);
          o.full_join(p).window(df::session(6min)).apply(either).named("pairs").print();
        }) == Pairs{"-/5", "Aarau/4", "Basel/1first", "Basel/2", "Bern/-", "Chur/3"});
}

/// Orders that are late, and payments of all but one of them. The others do not meet, for there are many.
void late_in(df::Environment& env, df::WindowSpec window) {
  std::vector<Order> many;
  for (int i = 0; i < 30'000; ++i) many.push_back({"a", "Basel", df::Timestamp{1s * i}});
  for (int i = 0; i < 3; ++i) many.push_back({"late", "Bern" + std::to_string(i), df::Timestamp{1s * i}});
  // One source, and as many records in both streams: they come to the same time together.
  auto o = env.from_collection(many).event_time(&Order::time);
  auto p = o.filter([](const Order& order) { return order.city != "Bern0"; }).map([](const Order& order) {
    return Payment{1, order.time, order.id == "a" ? "b" : order.id, order.city};
  });
  o.key_by(&Order::id)
      .left_join(p.key_by(&Payment::order))
      .window(std::move(window))
      .late_to([](df::Stream<Order> orders, df::Stream<Payment> payments) {
        orders.map([](const Order& order) { return order.city; }).print().named("late_orders");
        payments.map([](const Payment& payment) { return payment.note.value_or(""); }).print().named("late_payments");
      })
      .apply([](const Order& order, const Payment*) { return order.id; })
      .named("pairs")
      .print();
}

TEST_CASE("late_to has the late records of a join in windows, each of its stream, with what nothing else reads") {
  for (void (*job)(df::Environment&) : {+[](df::Environment& env) { late_in(env, df::tumbling(1min)); },
                                        +[](df::Environment& env) { late_in(env, df::session(10min)); }}) {
    const auto outputs = run(job);
    CHECK(outputs.of<std::string>("late_orders") == Pairs{"Bern0", "Bern1", "Bern2"});
    CHECK(outputs.of<std::string>("late_payments") == Pairs{"Bern1", "Bern2"});
    const auto pairs = outputs.of<std::string>("pairs");
    CHECK(std::count(pairs.begin(), pairs.end(), "late") == 0);
  }
}

TEST_CASE("an interval join has both of its bounds included") {
  CHECK(joined([](df::Environment& env) {
          auto [o, p] = streams(env);
          o.join(p).between(-1min, 5min).apply(both).named("pairs").print();
        }) == Pairs{"Aarau/4", "Basel/1first", "Chur/3"});
  CHECK(joined([](df::Environment& env) {
          auto [o, p] = streams(env);
          o.full_join(p).between(0s, 10min).apply(either).named("pairs").print();
        }) == Pairs{"-/3", "-/5", "Aarau/4", "Basel/1first", "Basel/2", "Bern/-", "Chur/-"});
}

TEST_CASE("a join as of a time gives the version that was valid then") {
  CHECK(joined([](df::Environment& env) {
          auto [o, p] = streams(env);
          o.left_join(p).as_of().apply(left).named("pairs").print();
        }) == Pairs{"Aarau/2", "Basel/-", "Bern/-", "Chur/3"});
}

TEST_CASE("pairs have a time by which they can be put into windows") {
  const auto outputs = run([](df::Environment& env) {
    auto [o, p] = streams(env);
    o.join(p)
        .between(0s, 10min)
        .apply([](const Order& order, const Payment& payment) {
          return Payment{payment.amount, {}, order.id, {}};
        })
        .named("pairs")
        .key_by(&Payment::order)
        .window(df::tumbling(1h))
        .reduce([](const Payment& a, const Payment& b) {
          return Payment{a.amount + b.amount, {}, a.order, {}};
        })
        .named("sums")
        .print();
  });
  std::vector<double> sums;
  for (const Payment& p : outputs.of<Payment>("sums")) sums.push_back(p.amount);
  CHECK(sums == std::vector<double>{3, 4});
}

TEST_CASE("a join by what a lambda computes, or by several members, finds the same pairs") {
  CHECK(joined([](df::Environment& env) {
          auto o = env.from_collection(orders()).event_time(&Order::time);
          auto p = env.from_collection(payments()).event_time(&Payment::paid);
          o.key_by([](const Order& order) { return order.id + "!"; })
              .join(p.key_by([](const Payment& payment) { return payment.order + "!"; }))
              .window(df::tumbling(1h))
              .apply(both)
              .named("pairs")
              .print();
        }) == Pairs{"Aarau/4", "Basel/1first", "Basel/2", "Chur/3"});
  CHECK(joined([](df::Environment& env) {
          auto o = env.from_collection(orders()).event_time(&Order::time);
          o.key_by(&Order::id, &Order::city)
              .join(o.key_by(&Order::id, &Order::city))
              .between(-2h, 2h)
              .apply([](const Order& a, const Order& b) { return a.city + "/" + b.city; })
              .named("pairs")
              .print();
        }) == Pairs{"Aarau/Aarau", "Basel/Basel", "Bern/Bern", "Chur/Chur"});
}

struct Tagged {
  std::optional<std::string> tag;
  df::Timestamp time;
};
DATAFLOW_RECORD(Tagged, tag, time)

TEST_CASE("a key that may be missing meets nothing, and what has it is told from no record at all") {
  CHECK(joined([](df::Environment& env) {
          auto tags = env.from_collection<Tagged>({{"a", 0s}, {{}, 1s}}).event_time(&Tagged::time).key_by(&Tagged::tag);
          tags.full_join(tags)
              .window(df::tumbling(1h))
              .apply([](const Tagged* a, const Tagged* b) {
                return (a == nullptr ? "-" : a->tag.value_or("?")) + (b == nullptr ? "-" : b->tag.value_or("?"));
              })
              .named("pairs")
              .print();
        }) == Pairs{"-?", "?-", "aa"});
}

void interval(df::Environment& env) {
  std::vector<Order> many;
  std::vector<Payment> paid;
  for (int i = 0; i < 200; ++i) {
    many.push_back({"o" + std::to_string(i % 40), std::to_string(i), df::Timestamp{std::chrono::seconds{i}}});
    paid.push_back({static_cast<double>(i), df::Timestamp{std::chrono::seconds{i}}, "o" + std::to_string(i % 50), {}});
  }
  auto o = env.from_collection(many).event_time(&Order::time).named("orders").key_by(&Order::id);
  auto p = env.from_collection(paid).event_time(&Payment::paid).named("payments").key_by(&Payment::order);
  o.full_join(p).between(-20s, 20s).apply(either).named("pairs").print();
}

TEST_CASE("a join is exact whatever goes wrong") {
  check_exact(interval, {"pairs"});
}

TEST_CASE("an exception of a join's function names itself and the pair") {
  const auto job = [](df::Environment& env) {
    auto [o, p] = streams(env);
    o.join(p)
        .between(0s, 1h)
        .apply([](const Order& order, const Payment&) {
          if (order.city == "Basel") throw std::runtime_error("not Basel");
          return order.city;
        })
        .named("pairs")
        .print();
  };
  CHECK_THROWS_WITH(run(job), doctest::Contains("user code threw std::runtime_error: not Basel, at record "
                                                "{\"left.id\":\"a\",\"left.city\":\"Basel\""));
}

template <class Build>
std::string mistakes_of(Build build) {
  df::Environment env;
  build(env.from_collection(orders()).event_time(&Order::time).key_by(&Order::id),
        env.from_collection(payments()).event_time(&Payment::paid).key_by(&Payment::order));
  const auto graph = env.build("job");
  return graph ? "" : graph.error().message();
}
using Orders = df::KeyedStream<Order, std::string>;
using Payments = df::KeyedStream<Payment, std::string>;

TEST_CASE("what a join lacks is a mistake with its line") {
  const std::string unnamed =
      mistakes_of([](Orders o, const Payments& p) { o.join(p).between(0s, 1h).apply(both).print(); });
  CHECK(unnamed.starts_with("join_test.cpp:"));
  CHECK(unnamed.find("this join keeps state and needs a name") != std::string::npos);
  const std::string backwards =
      mistakes_of([](Orders o, const Payments& p) { o.join(p).between(1h, 0s).apply(both).named("j").print(); });
  CHECK(backwards.starts_with("join_test.cpp:"));
  CHECK(backwards.find("the first bound of between(...) is after the last one") != std::string::npos);
  const std::string endless = mistakes_of(
      [](Orders o, const Payments& p) { o.join(p).window(df::global_window()).apply(both).named("j").print(); });
  CHECK(endless.find("records are joined in tumbling, sliding, cumulating and session windows") != std::string::npos);
  const std::string by_the_clock = mistakes_of([](Orders o, const Payments& p) {
    o.join(p).window(df::in_processing_time(df::tumbling(1h))).apply(both).named("j").print();
  });
  CHECK(by_the_clock.find("a window join goes by event time") != std::string::npos);
  df::Environment env;
  env.from_collection(orders())
      .key_by(&Order::id)
      .join(env.from_collection(payments()).key_by(&Payment::order))
      .between(0s, 1h)
      .apply(both)
      .named("j")
      .print();
  const auto graph = env.build("job");
  REQUIRE(!graph);
  CHECK(graph.error().message().find("goes by event time, which the left stream has not") != std::string::npos);
  CHECK(graph.error().message().find("goes by event time, which the right stream has not") != std::string::npos);
}

}  // namespace
