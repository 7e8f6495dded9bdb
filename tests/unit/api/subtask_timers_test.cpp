// Timers of functions without key: they are the subtask's.
#include <dataflow/testing.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <utility>

#include "libdataflow/checkpoint/restored_checkpoint.hpp"

namespace df = dataflow;
using namespace std::chrono_literals;
using Lines = std::vector<std::string>;

namespace {

/// What a function does with its timers.
struct Command {
  std::string what;
  std::string name;
  df::Timestamp at;
};
DATAFLOW_RECORD(Command, what, name, at)

/// Of the second stream.
struct Other {
  df::Timestamp at;
};
DATAFLOW_RECORD(Other, at)

/// Does what it is told, and says which timers fire: "a in time 5".
template <class Base>
class Obedient : public Base {
 public:
  using Context = typename Base::Context;
  void on_timer(df::Timestamp time, Context& ctx, df::Output<std::string>& out) override {
    out.emit(ctx.timer_name() + (ctx.timer_domain() == df::TimerDomain::event_time ? " in time " : " by the clock ") +
             std::to_string(time.micros / 1'000'000));
    CHECK(ctx.timestamp() == time);
    // One that is due while time comes to where it is.
    if (ctx.timer_name() == "again") ctx.on_event_time(time + 1s, "last");
  }

 protected:
  static void obey(const Command& command, Context& ctx) {
    if (command.what == "set") ctx.on_event_time(command.at, command.name);
    if (command.what == "delete") ctx.delete_event_timer(command.at, command.name);
    if (command.what == "set by the clock") ctx.on_processing_time(command.at, command.name);
    if (command.what == "delete by the clock") ctx.delete_processing_timer(command.at, command.name);
  }
};

class OfOne : public Obedient<df::Process<Command, std::string>> {
 public:
  void process(const Command& c, Context& ctx, df::Output<std::string>&) override { obey(c, ctx); }
};
class OfTwo : public Obedient<df::CoProcess<Command, Other, std::string>> {
 public:
  void process_first(const Command& c, Context& ctx, df::Output<std::string>&) override { obey(c, ctx); }
  void process_second(const Other& other, Context& ctx, df::Output<std::string>&) override {
    ctx.on_event_time(other.at, "second");
  }
};
class WithRules : public Obedient<df::BroadcastProcess<Command, Other, std::string>> {
 public:
  void process(const Command& c, Context& ctx, df::Output<std::string>&) override { obey(c, ctx); }
  void process_broadcast(const Other&, BroadcastContext&, df::Output<std::string>&) override {}
};

template <class P>
struct HarnessOf {
  using type = df::testing::Harness<P>;
};
template <df::CoFunction P>
requires(!df::BroadcastFunction<P>) struct HarnessOf<P> {
  using type = df::testing::CoHarness<P>;
};
template <df::BroadcastFunction P>
struct HarnessOf<P> {
  using type = df::testing::BroadcastHarness<P>;
};

template <class H>
void give(H& h, const Command& command) {
  if constexpr (requires { h.push_first(command); }) {
    h.push_first(command);
  } else {
    h.push(command);
  }
}
template <class H>
Lines given(H& h) {
  Lines lines = h.output();
  h.clear_output();
  return lines;
}

}  // namespace

TEST_CASE_TEMPLATE("a function without key has timers of its subtask, by time and by the clock", P, OfOne, OfTwo,
                   WithRules) {
  for (const bool restored : {false, true}) {
    CAPTURE(restored);
    typename HarnessOf<P>::type h;
    const auto pause = [&] {
      if (restored) h.restore(h.snapshot());
    };
    for (const Command& c : {Command{"set", "b", 5s},
                             {"set", "a", 5s},
                             {"set", "a", 3s},
                             {"set", "a", 3s},
                             {"set", "gone", 4s},
                             {"set by the clock", "c", 7s},
                             {"set by the clock", "c", 7s},
                             {"set by the clock", "gone", 6s}}) {
      give(h, c);
    }
    pause();
    give(h, {"delete", "gone", 4s});
    give(h, {"delete", "nobody", 4s});
    give(h, {"delete", "a", 7s});
    give(h, {"delete by the clock", "gone", 6s});
    give(h, {"delete by the clock", "c", 5s});
    pause();
    h.watermark(2999999us);
    h.processing_time(6s);
    CHECK(given(h).empty());
    h.watermark(4s);
    CHECK(given(h) == Lines{"a in time 3"});
    pause();
    h.watermark(5s);
    Lines both = given(h);
    std::sort(both.begin(), both.end());
    CHECK(both == Lines{"a in time 5", "b in time 5"});
    pause();
    h.watermark(1h);
    CHECK(given(h).empty());
    h.processing_time(8s);
    CHECK(given(h) == Lines{"c by the clock 7"});
    pause();
    h.processing_time(1h);
    CHECK(given(h).empty());
  }
}

TEST_CASE_TEMPLATE("a timer without key that sets one fires it in its turn", P, OfOne, OfTwo, WithRules) {
  typename HarnessOf<P>::type h;
  give(h, {"set", "again", 3s});
  give(h, {"set", "later", 9s});
  h.watermark(5s);
  CHECK(given(h) == Lines{"again in time 3", "last in time 4"});
  // And one that is due already, when time goes on.
  give(h, {"set", "old", 1s});
  CHECK(given(h).empty());
  h.watermark(6s);
  CHECK(given(h) == Lines{"old in time 1"});
}

TEST_CASE("records of both streams set timers of one function") {
  df::testing::CoHarness<OfTwo> h;
  h.push_second({4s});
  h.push_first({"set", "first", 5s});
  h.restore(h.snapshot());
  h.watermark(1h);
  CHECK(given(h) == Lines{"second in time 4", "first in time 5"});
}

TEST_CASE("rules set no timers, which would be each subtask's") {
  const auto has_timers = []<class Context>(Context*) {
    return requires(Context & ctx) {
      ctx.on_event_time(df::Timestamp{});
    }
    || requires(Context & ctx) {
      ctx.on_processing_time(df::Timestamp{});
    };
  };
  CHECK(has_timers(static_cast<WithRules::Context*>(nullptr)));
  CHECK(!has_timers(static_cast<WithRules::BroadcastContext*>(nullptr)));
}

namespace {

/// As if two subtasks had written one checkpoint.
std::string together(const std::string& one, const std::string& other) {
  auto both = df::decode_metadata(one, "one");
  auto second = df::decode_metadata(other, "other");
  REQUIRE(both);
  REQUIRE(second);
  both->files.push_back(std::move(second->files.at(0)));
  both->operators[0].subtasks.push_back(second->operators[0].subtasks.at(0));
  both->operators[0].subtasks.back().file = 1;
  return df::encode_metadata(*both);
}

class Counted : public df::Process<Command, std::string> {
 public:
  void process(const Command& c, Context& ctx, df::Output<std::string>&) override {
    count_ = count_.value_or(0) + 1;
    ctx.on_event_time(c.at);
  }
  void on_timer(df::Timestamp, Context&, df::Output<std::string>& out) override { out.emit(std::to_string(*count_)); }

 private:
  df::ValueState<std::int64_t> count_{this, "count"};
};

}  // namespace

TEST_CASE("one subtask goes on with the timers of two, but not with their values") {
  df::testing::Harness<OfOne> one;
  df::testing::Harness<OfOne> other;
  one.push({"set", "a", 5s});
  one.push({"set by the clock", "c", 7s});
  other.push({"set", "a", 5s});
  other.push({"set", "b", 6s});
  df::testing::Harness<OfOne> both;
  both.restore(together(one.snapshot(), other.snapshot()));
  both.watermark(1h);
  both.processing_time(1h);
  CHECK(given(both) == Lines{"a in time 5", "b in time 6", "c by the clock 7"});

  df::testing::Harness<Counted> h;
  h.push({"", "", 5s});
  const std::string alone = h.snapshot();
  h.restore(alone);
  h.watermark(5s);
  CHECK(given(h) == Lines{"1"});
  CHECK_THROWS_WITH(h.restore(together(alone, alone)),
                    doctest::Contains("the state of a function without key can only be given back to as many subtasks: "
                                      "set its parallelism back"));
}
