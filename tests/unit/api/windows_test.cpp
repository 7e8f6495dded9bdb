#include <dataflow/testing.hpp>

#include <doctest/doctest.h>

#include <algorithm>

#include "tests/support/faults.hpp"

namespace df = dataflow;
using namespace std::chrono_literals;
using dataflow::testing_support::check_exact;
using df::testing::run;

namespace {

enum class Kind { sale, refund };
DATAFLOW_ENUM(Kind, sale, refund)

struct Payment {
  std::string card;
  double amount = 0;
  df::Timestamp time;
  std::optional<std::string> note;
  Kind kind = Kind::sale;
  df::Decimal<10, 2> fee;
};
DATAFLOW_RECORD(Payment, card, amount, time, note, kind, fee)

std::vector<Payment> payments() {
  return {{"a", 10, 0s, "first", Kind::sale, df::Decimal<10, 2>{0.25}},
          {"b", 20, 30s, {}, Kind::refund, {}},
          {"a", 30, 61s, {}, Kind::sale, {}},
          {"a", 5, 10min, {}, Kind::sale, {}}};
}

std::string sorted(const std::string& lines) {
  std::vector<std::string> all;
  for (std::size_t at = 0; at < lines.size();) {
    const std::size_t end = lines.find('\n', at);
    all.push_back(lines.substr(at, end - at + 1));
    at = end + 1;
  }
  std::sort(all.begin(), all.end());
  std::string joined;
  for (const std::string& line : all) joined += line;
  return joined;
}

struct Spread {
  std::string card;
  df::Timestamp until;
  double spread = 0;
};
DATAFLOW_RECORD(Spread, card, until, spread)

struct Until {
  df::Timestamp until;
  std::int64_t n = 0;
};
DATAFLOW_RECORD(Until, until, n)

struct SpreadOf {
  double low = 1e9;
  double high = -1e9;
  void add(const Payment& p) {
    low = std::min(low, p.amount);
    high = std::max(high, p.amount);
  }
  void merge(const SpreadOf& other) {
    low = std::min(low, other.low);
    high = std::max(high, other.high);
  }
  Spread result(const std::string& card, const df::Window& window) const { return {card, window.end, high - low}; }
};

TEST_CASE("an aggregator of one's own runs over every kind of window") {
  const auto spreads = [](df::WindowSpec window) {
    static df::WindowSpec chosen;
    chosen = std::move(window);
    return sorted(run([](df::Environment& env) {
                    env.from_collection(payments())
                        .event_time(&Payment::time, df::out_of_orderness(1min))
                        .key_by(&Payment::card)
                        .window(chosen)
                        .aggregate<SpreadOf>()
                        .named("spreads")
                        .print();
                  }).json_of("spreads"));
  };
  const std::string b_at_one = "{\"card\":\"b\",\"until\":\"1970-01-01T00:01:00Z\",\"spread\":0.0}\n";
  CHECK(spreads(df::tumbling(5min)) ==
        "{\"card\":\"a\",\"until\":\"1970-01-01T00:05:00Z\",\"spread\":20.0}\n"
        "{\"card\":\"a\",\"until\":\"1970-01-01T00:15:00Z\",\"spread\":0.0}\n"
        "{\"card\":\"b\",\"until\":\"1970-01-01T00:05:00Z\",\"spread\":0.0}\n");
  CHECK(spreads(df::session(2min)) ==
        "{\"card\":\"a\",\"until\":\"1970-01-01T00:03:01Z\",\"spread\":20.0}\n"
        "{\"card\":\"a\",\"until\":\"1970-01-01T00:12:00Z\",\"spread\":0.0}\n"
        "{\"card\":\"b\",\"until\":\"1970-01-01T00:02:30Z\",\"spread\":0.0}\n");
  CHECK(spreads(df::sliding(2min, 1min)).find("{\"card\":\"a\",\"until\":\"1970-01-01T00:02:00Z\",\"spread\":20.0}") !=
        std::string::npos);
  CHECK(spreads(df::cumulate(5min, 1min)).find(b_at_one) != std::string::npos);
}

struct Range {
  double low = 1e9;
  double high = -1e9;
  void add(const Payment& p) {
    low = std::min(low, p.amount);
    high = std::max(high, p.amount);
  }
  double result() const { return high - low; }
};

TEST_CASE("an aggregator of one's own runs over windows without bounds") {
  const auto ranges = [](df::WindowSpec window) {
    static df::WindowSpec chosen;
    chosen = std::move(window);
    return run([](df::Environment& env) {
             env.from_collection(payments())
                 .event_time(&Payment::time, df::out_of_orderness(1min))
                 .key_by(&Payment::card)
                 .window(chosen)
                 .aggregate<Range>()
                 .named("ranges")
                 .print();
           })
        .of<double>("ranges");
  };
  CHECK(ranges(df::count_of(2)).at(0) == 20);
  CHECK(ranges(df::global_window()) == std::vector<double>{25, 0});
}

/// Gives one record a call, so that the watermark follows every record; by the clock `pause` lies behind each.
class OneByOne : public df::Source<Payment> {
 public:
  explicit OneByOne(std::vector<std::int64_t> minutes, df::Duration pause = 0s)
      : minutes_{std::move(minutes)}, pause_{pause} {}
  [[nodiscard]] std::unique_ptr<df::SplitReader<Payment>> reader() const override {
    return std::make_unique<Reader>(minutes_, pause_);
  }

 private:
  class Reader : public df::SplitReader<Payment> {
   public:
    Reader(std::vector<std::int64_t> minutes, df::Duration pause) : minutes_{std::move(minutes)}, pause_{pause} {}
    void open(std::string_view, std::string_view) override {}
    df::ReadStep next(df::Output<Payment>& out, std::uint32_t) override {
      if (std::exchange(pausing_, false)) return df::ReadStep::wait(pause_);
      if (at_ == minutes_.size()) return df::ReadStep::end();
      pausing_ = pause_ != 0s;
      const auto minute = minutes_[at_++];
      out.emit({"a", static_cast<double>(minute), std::chrono::minutes{minute}});
      return df::ReadStep::more();
    }
    [[nodiscard]] std::string position() const override { return std::to_string(at_); }

   private:
    std::vector<std::int64_t> minutes_;
    df::Duration pause_;
    std::size_t at_ = 0;
    bool pausing_ = false;
  };
  std::vector<std::int64_t> minutes_;
  df::Duration pause_;
};

TEST_CASE("what comes too late goes to the late output, and within the allowed lateness corrects its window") {
  static df::Duration lateness;
  const auto with_lateness = [](df::Duration allowed) {
    lateness = allowed;
    return run([](df::Environment& env) {
      env.from_source<Payment>(std::make_shared<OneByOne>(std::vector<std::int64_t>{0, 20, 2, 21}))
          .event_time(&Payment::time)
          .key_by(&Payment::card)
          .window(df::tumbling(5min))
          .allowed_lateness(lateness)
          .late_to([](df::Stream<Payment> late) { late.print().named("late"); })
          .aggregate<SpreadOf>()
          .named("spreads")
          .print();
    });
  };
  const auto strict = with_lateness(0s);
  CHECK(strict.of<Payment>("late").size() == 1);
  CHECK(strict.of<Spread>("spreads").size() == 2);
  const auto lenient = with_lateness(30min);
  CHECK(lenient.of<Payment>("late").empty());
  const auto spreads = lenient.of<Spread>("spreads");
  REQUIRE(spreads.size() == 3);
  CHECK(spreads[0].spread == 0);
  CHECK(spreads[1].spread == 2);
  CHECK(spreads[1].until == df::Timestamp{5min});
}

TEST_CASE("what comes too late is read by the late output's name too, whatever computes the window") {
  const auto outputs = run([](df::Environment& env) {
    const auto windows = [&env](const char* source) {
      return env.from_source<Payment>(std::make_shared<OneByOne>(std::vector<std::int64_t>{0, 20, 2, 21}))
          .event_time(&Payment::time)
          .named(source)
          .key_by(&Payment::card)
          .window(df::tumbling(5min));
    };
    auto spreads = windows("one").aggregate<SpreadOf>().named("spreads");
    spreads.discard();
    spreads.side_output<Payment>("late").print().named("late_by_function");
    auto counts = windows("two")
                      .late_to("behind")
                      .aggregate<Until>(df::window_end(&Until::until), df::count(&Until::n))
                      .named("counts");
    counts.discard();
    counts.side_output<Payment>("behind").print().named("late_by_pieces");
  });
  for (const char* late : {"late_by_function", "late_by_pieces"}) {
    const auto payments = outputs.of<Payment>(late);
    REQUIRE(payments.size() == 1);
    CHECK(payments[0].amount == 2);
  }
}

TEST_CASE("an early trigger shows what a window has so far, as often as it says") {
  const auto outputs = run([](df::Environment& env) {
    const auto windows = [&env](const char* source) {
      return env.from_source<Payment>(std::make_shared<OneByOne>(std::vector<std::int64_t>{0, 1, 2}, 15s))
          .event_time(&Payment::time)
          .named(source)
          .key_by(&Payment::card)
          .window(df::tumbling(5min))
          .trigger(df::early(10s));
    };
    windows("one").aggregate<SpreadOf>().named("spreads").print();
    windows("two").aggregate<Until>(df::window_end(&Until::until), df::count(&Until::n)).named("counts").print();
  });
  std::string spreads;
  for (const Spread& s : outputs.of<Spread>("spreads")) spreads += std::to_string(static_cast<int>(s.spread)) + " ";
  CHECK(spreads == "0 1 2 2 ");
  std::string counts;
  for (const Until& u : outputs.of<Until>("counts")) counts += std::to_string(u.n) + " ";
  CHECK(counts == "1 2 3 3 ");
}

TEST_CASE("a window over event time on a stream without it is a mistake with its line") {
  df::Environment env;
  auto source = env.from_collection(payments());
  source.key_by(&Payment::card).window(df::tumbling(1min)).aggregate<SpreadOf>();
  source.key_by(&Payment::card).window(df::tumbling(0s)).aggregate<SpreadOf>().named("spreads");
  const auto graph = env.build("job");
  REQUIRE(!graph);
  const std::string& message = graph.error().message();
  CHECK(message.find("windows_test.cpp:") == 0);
  CHECK(message.find("a window over event time needs a stream with event time") != std::string::npos);
  CHECK(message.find("this window keeps state and needs a name") != std::string::npos);
}

struct Stats {
  std::string card;
  std::int64_t n = 0;
  df::Timestamp until;
  double total = 0;
};
DATAFLOW_RECORD(Stats, card, n, until, total)

TEST_CASE("ready-made pieces fill a record in its own order") {
  const auto outputs = run([](df::Environment& env) {
    env.from_collection(payments())
        .event_time(&Payment::time, df::out_of_orderness(1min))
        .key_by(&Payment::card)
        .window(df::tumbling(5min))
        .aggregate<Stats>(df::sum(&Payment::amount, &Stats::total), df::key(&Stats::card),
                          df::window_end(&Stats::until), df::count(&Stats::n))
        .named("stats")
        .print();
  });
  CHECK(sorted(outputs.json_of("stats")) ==
        "{\"card\":\"a\",\"n\":1,\"until\":\"1970-01-01T00:15:00Z\",\"total\":5.0}\n"
        "{\"card\":\"a\",\"n\":2,\"until\":\"1970-01-01T00:05:00Z\",\"total\":40.0}\n"
        "{\"card\":\"b\",\"n\":1,\"until\":\"1970-01-01T00:05:00Z\",\"total\":20.0}\n");
}

TEST_CASE("pieces that do not fit are mistakes") {
  df::Environment env;
  env.from_collection(payments())
      .event_time(&Payment::time)
      .key_by(&Payment::card)
      .window(df::tumbling(5min))
      .aggregate<Stats>(df::sum(&Payment::amount, &Stats::n), df::key(&Stats::card))
      .named("stats");
  const auto graph = env.build("job");
  REQUIRE(!graph);
  const std::string& message = graph.error().message();
  CHECK(message.find("sum(\"amount\") is float64, but \"n\" of Stats is int64") != std::string::npos);
  CHECK(message.find("no piece fills \"until\" of Stats") != std::string::npos);
  CHECK(message.find("no piece fills \"total\" of Stats") != std::string::npos);
}

TEST_CASE("a reduce over windows gives one record a window, also without a key") {
  const auto outputs = run([](df::Environment& env) {
    env.from_collection(payments())
        .event_time(&Payment::time, df::out_of_orderness(1min))
        .window(df::tumbling(5min))
        .reduce([](const Payment& a, const Payment& b) { return a.amount > b.amount ? a : b; })
        .named("largest")
        .map([](const Payment& p) { return p.amount; })
        .print();
  });
  CHECK(outputs.of<double>("print") == std::vector<double>{30, 5});
}

/// What the plan of a job with one window says of it.
template <class Build>
std::string mistakes_of(Build build, bool checkpoints = false) {
  df::Environment env;
  if (checkpoints) env.settings().checkpoint = df::CheckpointSettings{.interval = 1s, .storage = "file:///nowhere"};
  build(env.from_collection(payments()).event_time(&Payment::time).key_by(&Payment::card));
  const auto graph = env.build("job");
  return graph ? "" : graph.error().message();
}
using Keyed = df::KeyedStream<Payment, std::string>;

struct Counter {
  std::int64_t n = 0;
  void add(const Payment&) { ++n; }
  std::int64_t result() const { return n; }
};

TEST_CASE("an aggregator that no checkpoint can hold is a mistake of a job that takes checkpoints, and of no other") {
  const auto counted = [](Keyed stream) {
    stream.window(df::tumbling(1min)).aggregate<Counter>().named("n").discard();
  };
  CHECK(mistakes_of(counted).empty());
  const std::string why = mistakes_of(counted, true);
  CAPTURE(why);
  CHECK(why.starts_with("windows_test.cpp:"));
  CHECK(why.find("\"n\" keeps a ") != std::string::npos);
  CHECK(why.find("Counter, which cannot be in the job's checkpoints: declare its members with DATAFLOW_RECORD") !=
        std::string::npos);
}

TEST_CASE("a reduce over windows is in checkpoints, whatever goes wrong") {
  const auto job = [](df::Environment& env) {
    std::vector<Payment> many;
    for (int i = 0; i < 400; ++i) {
      many.push_back({"c" + std::to_string(i % 7), static_cast<double>(i * 37 % 101), df::Timestamp{5s * i}});
    }
    env.from_collection(many)
        .event_time(&Payment::time, df::out_of_orderness(1min))
        .key_by(&Payment::card)
        .window(df::tumbling(5min))
        .reduce([](const Payment& a, const Payment& b) { return a.amount > b.amount ? a : b; })
        .named("largest")
        .print();
  };
  check_exact(job, {"largest"});
}

TEST_CASE("sessions need an aggregator that can be merged") {
  const std::string why =
      mistakes_of([](Keyed stream) { stream.window(df::session(1min)).aggregate<Counter>().named("n").discard(); });
  CAPTURE(why);
  CHECK(why.find("a record may join two sessions, for which the aggregator ") != std::string::npos);
  CHECK(why.find("needs a void merge(const ") != std::string::npos);
}

TEST_CASE("an aggregator that asks for the bounds of a window that has none is a mistake") {
  for (const bool counts : {true, false}) {
    const std::string why = mistakes_of([counts](Keyed stream) {
      stream.window(counts ? df::count_of(2) : df::global_window()).aggregate<SpreadOf>().named("n").discard();
    });
    CAPTURE(why);
    CHECK(why.find("count and global windows have neither start nor end") != std::string::npos);
  }
}

}  // namespace
