// Patterns, joins and functions over two streams of the C++ API under faults of every kind: what is committed depends
// on none, nor on which stream's records come first.
#include <dataflow/testing.hpp>

#include <doctest/doctest.h>

#include <algorithm>

#include "tests/support/faults.hpp"

namespace df = dataflow;
using namespace std::chrono_literals;
using dataflow::testing_support::check_exact;

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

df::Stream<Order> orders(df::Environment& env) {
  std::vector<Order> all;
  for (std::int64_t i = 0; i < 400; ++i) all.push_back({"o" + std::to_string(i % 13), i, df::Timestamp{(i ^ 3) * 1s}});
  return env.from_collection(all).event_time(&Order::time, df::out_of_orderness(5s)).named("orders");
}
df::Stream<Parcel> parcels(df::Environment& env) {
  std::vector<Parcel> all;
  for (std::int64_t i = 0; i < 300; ++i) {
    all.push_back({df::Timestamp{(i ^ 1) * 1s + 7s}, i, "o" + std::to_string(i * 5 % 17)});
  }
  return env.from_collection(all).event_time(&Parcel::sent, df::out_of_orderness(5s)).named("parcels");
}

std::string pair_of(const Order& order, const Parcel* parcel) {
  return std::to_string(order.pieces) + "/" + (parcel == nullptr ? "-" : std::to_string(parcel->number));
}

TEST_CASE("joins in windows and as of a time are exact whatever goes wrong") {
  check_exact(
      [](df::Environment& env) {
        auto ordered = orders(env).key_by(&Order::id);
        auto sent = parcels(env).key_by(&Parcel::order);
        ordered.left_join(sent).window(df::tumbling(30s)).apply(pair_of).named("windows").print();
        ordered.left_join(sent).window(df::session(4s)).apply(pair_of).named("sessions").print();
        ordered.left_join(sent).as_of().apply(pair_of).named("versions").print();
      },
      {"windows", "sessions", "versions"});
}

TEST_CASE("patterns are exact whatever goes wrong, with what ran out of time") {
  const auto job = [](df::Environment& env) {
    const auto pattern = df::Pattern<Order>::begin("small")
                             .where([](const Order& o) { return o.pieces % 4 == 1; })
                             .followed_by("more")
                             .where([](const Order& o, const df::Match<Order>& so_far) {
                               return o.pieces > so_far.first("small")->pieces + 20;
                             })
                             .times(2)
                             .followed_by("even")
                             .where([](const Order& o) { return o.pieces % 3 == 0; })
                             .within(60s);
    const auto numbers = [](const df::Match<Order>& match) {
      std::string text;
      for (const Order& order : match.all()) text += std::to_string(order.pieces) + " ";
      return text;
    };
    auto found = orders(env).key_by(&Order::id).pattern(pattern).select(numbers, numbers).named("found");
    found.print();
    found.side_output<std::string>("timeout").print().named("timeouts");
  };
  check_exact(job, {"found", "timeouts"});
}

/// Sums of both streams for each ten seconds, given when nothing can be added to them any more.
template <class Base>
class Sums : public Base {
 protected:
  void add(df::Timestamp time, std::int64_t number, df::ProcessContext& ctx) {
    const std::int64_t until = (time.micros / 10'000'000 + 1) * 10'000'000;
    const auto* known = sums_.find(until);
    sums_.put(until, (known == nullptr ? 0 : *known) + number);
    ctx.on_event_time(df::Timestamp{until});
  }
  void on_timer(df::Timestamp time, df::ProcessContext&, df::Output<std::string>& out) override {
    out.emit(std::to_string(time.micros) + ": " + std::to_string(*sums_.find(time.micros)));
    sums_.remove(time.micros);
  }

 private:
  df::MapState<std::int64_t, std::int64_t> sums_{this, "sums"};
};

class Pieces : public Sums<df::Process<Order, std::string>> {
 public:
  void process(const Order& o, Context& ctx, df::Output<std::string>&) override { add(o.time, o.pieces, ctx); }
};

class Balance : public Sums<df::CoProcess<Order, Parcel, std::string>> {
 public:
  void process_first(const Order& o, Context& ctx, df::Output<std::string>&) override { add(o.time, o.pieces, ctx); }
  void process_second(const Parcel& p, Context& ctx, df::Output<std::string>&) override {
    add(p.sent, -1000 * p.number, ctx);
  }
};

/// Orders of keys with a parcel that was sent by then.
class OfKnown : public Sums<df::BroadcastProcess<Order, Parcel, std::string>> {
 public:
  void process(const Order& o, Context& ctx, df::Output<std::string>&) override {
    waiting_.add(o);
    ctx.on_event_time(o.time, "order");
  }
  void process_broadcast(const Parcel& p, BroadcastContext&, df::Output<std::string>&) override {
    const auto* since = first_.find(p.order);
    if (since == nullptr || p.sent < *since) first_.put(p.order, p.sent);
  }
  void on_timer(df::Timestamp time, Context& ctx, df::Output<std::string>& out) override {
    if (ctx.timer_name() != "order") return Sums::on_timer(time, ctx, out);
    waiting_.update([&](std::vector<Order>& waiting) {
      std::erase_if(waiting, [&](const Order& o) {
        if (o.time != time) return false;
        const auto* since = first_.find(o.id);
        if (since != nullptr && *since <= o.time) add(o.time, o.pieces, ctx);
        return true;
      });
    });
  }

 private:
  df::BroadcastState<std::string, df::Timestamp> first_{this, "first"};
  df::ListState<Order> waiting_{this, "waiting"};
};

TEST_CASE("functions without key are exact with state, rules and timers, whatever goes wrong") {
  check_exact(
      [](df::Environment& env) {
        auto ordered = orders(env);
        auto sent = parcels(env);
        // What is kept without key goes to no other number of subtasks; those around it do.
        ordered.process<Pieces>().named("pieces").parallelism(1).print();
        ordered.connect(sent).process<Balance>().named("balance").parallelism(1).print();
        ordered.connect(sent.broadcast()).process<OfKnown>().named("of_known").parallelism(1).print();
      },
      {"pieces", "balance", "of_known"});
}

}  // namespace
