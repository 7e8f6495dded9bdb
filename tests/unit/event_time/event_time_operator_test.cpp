// Event time that is assigned behind a source, as Flink's assignTimestampsAndWatermarks.
#include "libdataflow/operators/event_time.hpp"

#include <dataflow/testing.hpp>

#include <doctest/doctest.h>

#include <algorithm>

#include "serialization/builder.hpp"

namespace df = dataflow;
using namespace std::chrono_literals;
using df::testing::run;

namespace {

struct Reading {
  std::string sensor;
  std::int64_t second = 0;
};
DATAFLOW_RECORD(Reading, sensor, second)
struct Timed {
  std::string sensor;
  df::Timestamp time;
};
DATAFLOW_RECORD(Timed, sensor, time)
struct Count {
  std::string sensor;
  df::Timestamp until;
  std::int64_t n = 0;
};
DATAFLOW_RECORD(Count, sensor, until, n)

Timed timed(const Reading& r) {
  return {r.sensor, df::Timestamp{std::chrono::seconds{r.second}}};
}

std::vector<std::string> sorted_lines(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  std::sort(lines.begin(), lines.end());
  return lines;
}

/// Two sensors, each second once, in pairs that are the wrong way round: disorder of one second.
std::vector<Reading> shuffled(std::int64_t seconds) {
  std::vector<Reading> readings;
  for (std::int64_t s = 0; s < seconds; ++s) readings.push_back({s % 3 == 0 ? "a" : "b", s ^ 1});
  return readings;
}

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("windows over event time that a map has made are those that its records say") {
  const auto outputs = run([](df::Environment& env) {
    env.from_collection(shuffled(120))
        .filter([](const Reading& r) { return r.sensor == "a"; })
        .map(timed)
        .event_time(&Timed::time, df::out_of_orderness(1s))
        .key_by(&Timed::sensor)
        .window(df::tumbling(1min))
        .aggregate<Count>(df::key(&Count::sensor), df::window_end(&Count::until), df::count(&Count::n))
        .named("counts")
        .print();
  });
  CHECK(sorted_lines(outputs.json_of("counts")) == Lines{R"({"sensor":"a","until":"1970-01-01T00:01:00Z","n":20})",
                                                         R"({"sensor":"a","until":"1970-01-01T00:02:00Z","n":20})"});
}

TEST_CASE("what is late behind a map is what comes more than the bound behind the newest, whatever the batches") {
  const auto outputs = run([](df::Environment& env) {
    env.from_collection<Reading>({{"a", 0}, {"a", 59}, {"a", 61}, {"a", 58}, {"a", 62}, {"a", 57}, {"a", 130}})
        .map(timed)
        .event_time(&Timed::time, df::out_of_orderness(1s))
        .key_by(&Timed::sensor)
        .window(df::tumbling(1min))
        .late_to([](df::Stream<Timed> late) { late.named("counts").print(); })
        .aggregate<Count>(df::key(&Count::sensor), df::window_end(&Count::until), df::count(&Count::n))
        .named("counts")
        .print();
  });
  CHECK(sorted_lines(outputs.json_of("counts")) == Lines{R"({"sensor":"a","until":"1970-01-01T00:01:00Z","n":2})",
                                                         R"({"sensor":"a","until":"1970-01-01T00:02:00Z","n":2})",
                                                         R"({"sensor":"a","until":"1970-01-01T00:03:00Z","n":1})"});
}

TEST_CASE("event time behind a rebalance, in two subtasks, loses and changes nothing") {
  const auto outputs = run([](df::Environment& env) {
    env.from_collection(shuffled(6000))
        .rebalance()
        .map(timed)
        .parallelism(2)
        .event_time(&Timed::time, df::out_of_orderness(1s))
        .parallelism(2)
        .key_by(&Timed::sensor)
        .window(df::tumbling(10min))
        .aggregate<Count>(df::key(&Count::sensor), df::window_end(&Count::until), df::count(&Count::n))
        .named("counts")
        .parallelism(2)
        .print();
  });
  Lines expected;
  for (const char* sensor : {"a", "b"}) {
    for (int window = 1; window <= 10; ++window) {
      const int minutes = window * 10;
      char line[96];
      std::snprintf(line, sizeof line, R"({"sensor":"%s","until":"1970-01-01T%02d:%02d:00Z","n":%d})", sensor,
                    minutes / 60, minutes % 60, sensor[0] == 'a' ? 200 : 400);
      expected.emplace_back(line);
    }
  }
  CHECK(sorted_lines(outputs.json_of("counts")) == expected);
}

TEST_CASE("event time that is assigned again replaces the source's, watermarks included") {
  const auto outputs = run([](df::Environment& env) {
    env.from_collection<Timed>({{"a", 10min}, {"a", 20min}, {"a", 30min}})
        .event_time(&Timed::time)
        .map([](const Timed& t) {
          return Timed{t.sensor, t.time - df::Duration{10min}};
        })
        .event_time(&Timed::time)
        .key_by(&Timed::sensor)
        .window(df::tumbling(10min))
        .aggregate<Count>(df::key(&Count::sensor), df::window_end(&Count::until), df::count(&Count::n))
        .named("counts")
        .print();
  });
  CHECK(outputs.json_of("counts") ==
        "{\"sensor\":\"a\",\"until\":\"1970-01-01T00:10:00Z\",\"n\":1}\n"
        "{\"sensor\":\"a\",\"until\":\"1970-01-01T00:20:00Z\",\"n\":1}\n"
        "{\"sensor\":\"a\",\"until\":\"1970-01-01T00:30:00Z\",\"n\":1}\n");
}

namespace {

/// What an operator gives, in order: "3 rows", "watermark 7", "idle", "active".
class Log final : public df::OperatorOutput {
 public:
  void emit(df::BatchPtr batch, std::size_t) override { log.push_back(std::to_string(batch->rows()) + " rows"); }
  [[nodiscard]] bool full() const override { return is_full && !log.empty(); }
  void advance_watermark(df::Timestamp time) override { log.push_back("watermark " + std::to_string(time.micros)); }
  void set_idle(bool idle) override { log.emplace_back(idle ? "idle" : "active"); }

  Lines log;
  bool is_full = false;
};

struct EventTimeBench {
  explicit EventTimeBench(df::EventTimeOperatorSpec spec) : operator_{df::make_event_time_operator(spec)->create()} {
    REQUIRE(operator_->open(context));
  }
  df::Result<df::Step> push(const std::vector<std::optional<std::int64_t>>& times) {
    df::BatchBuilder builder{df::make_schema({{"time", df::TypeKind::timestamp}})};
    for (const auto& time : times) {
      builder.append_row(std::vector<df::Value>{time ? df::Value{*time} : df::Value{}});
    }
    return operator_->process(0, builder.finish(), out);
  }

  df::testing::Bench context;
  Log out;
  std::unique_ptr<df::Operator> operator_;
};

}  // namespace

TEST_CASE("a watermark follows what it is about, and a batch is cut before a record that is late by those before it") {
  EventTimeBench bench{{.field = 0, .out_of_orderness = df::Duration{5}, .idle_after = {}}};
  REQUIRE(bench.push({1, 10, 6}) == df::Step::done);
  CHECK(bench.out.log == Lines{"3 rows", "watermark 4"});
  bench.out.log.clear();
  REQUIRE(bench.push({20, 3, 21}) == df::Step::done);
  CHECK(bench.out.log == Lines{"1 rows", "watermark 14", "2 rows", "watermark 15"});
}

TEST_CASE("an output that is full pauses between the pieces of a batch") {
  EventTimeBench bench{{.field = 0, .out_of_orderness = df::Duration{0}, .idle_after = {}}};
  bench.out.is_full = true;
  REQUIRE(bench.push({20, 3}) == df::Step::yield);
  CHECK(bench.out.log == Lines{"1 rows", "watermark 19"});
  bench.out.is_full = false;
  REQUIRE(bench.operator_->resume(bench.out) == df::Step::done);
  CHECK(bench.out.log == Lines{"1 rows", "watermark 19", "1 rows"});
}

TEST_CASE("a silent subtask says so, and that it is back") {
  EventTimeBench bench{{.field = 0, .out_of_orderness = {}, .idle_after = df::Duration{100}}};
  REQUIRE(bench.push({1}) == df::Step::done);
  CHECK(bench.operator_->next_processing_timer() == df::Timestamp{100});
  REQUIRE(bench.operator_->on_processing_time(df::Timestamp{100}, bench.out) == df::Step::done);
  CHECK_FALSE(bench.operator_->next_processing_timer());
  bench.context.now_ = df::Timestamp{150};
  REQUIRE(bench.push({2}) == df::Step::done);
  CHECK(bench.out.log == Lines{"1 rows", "watermark 0", "idle", "active", "1 rows", "watermark 1"});
  CHECK(bench.operator_->next_processing_timer() == df::Timestamp{250});
}

TEST_CASE("a record without event time is an error that shows it") {
  EventTimeBench bench{{.field = 0, .out_of_orderness = {}, .idle_after = {}}};
  const auto step = bench.push({1, std::nullopt});
  REQUIRE_FALSE(step);
  CHECK(step.error().message() == "the event time \"time\" is NULL in {\"time\":null}");
}
