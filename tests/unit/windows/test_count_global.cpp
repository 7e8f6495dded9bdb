#include "tests/unit/batch/batch_job.hpp"
#include "tests/unit/windows/windowing.hpp"

using namespace dataflow;
using namespace dataflow::window_tests;

namespace {

WindowSpec lots_of(std::uint64_t count, const Named& aggregates = {{"n", "count()"}, {"total", "sum(v)"}}) {
  WindowSpec spec = windows_by_key(WindowKind::count, aggregates);
  spec.count = count;
  return spec;
}

WindowSpec everything(const Named& aggregates = {{"n", "count()"}, {"total", "sum(v)"}}) {
  return windows_by_key(WindowKind::global, aggregates);
}

}  // namespace

TEST_CASE("a count window gives its result with its last record, without bounds") {
  Windowing windows{lots_of(3)};
  windows.push({{"a", 1}, {"a", 2}});
  CHECK(windows.results().empty());
  windows.push({{"a", 4}, {"a", 8}});
  CHECK(windows.results() == "a 3 7");
  windows.push({{"a", 16}, {"a", 32}});
  CHECK(windows.results() == "a 3 56");
}

TEST_CASE("each key counts by itself, and NULL is a key") {
  Windowing windows{lots_of(2)};
  windows.push({{"a", 1}, {std::nullopt, 2}, {"b", 4}, {std::nullopt, 8}, {"b", 16}});
  CHECK(windows.results() == "NULL 2 10; b 2 20");
}

TEST_CASE("one batch may complete several windows of a key; results are in the order of the completing records") {
  Windowing windows{lots_of(2, {{"first", "first(v)"}, {"last", "last(v)"}, {"most", "max(key)"}})};
  windows.push({{"a", 1}, {"b", 2}, {"b", 3}, {"a", 4}, {"a", 5}, {"b", 6}, {"a", 7}, {"b", 8}, {"b", 9}});
  CHECK(windows.results() == "b 2 3 b; a 1 4 a; a 5 7 a; b 6 8 b");
  windows.push({{"b", 10}});
  CHECK(windows.results() == "b 9 10 b");
}

TEST_CASE("windows of one record give a result for each") {
  Windowing windows{lots_of(1)};
  windows.push({{"a", 1}, {"b", 2}, {"a", 3}});
  CHECK(windows.results() == "a 1 1; b 1 2; a 1 3");
  windows.drain();
  CHECK(windows.results().empty());
}

TEST_CASE("records whose argument is NULL count as records of the window") {
  Windowing windows{lots_of(2, {{"n", "count()"}, {"values", "count(v)"}, {"total", "sum(v)"}})};
  windows.push({{"a", std::nullopt}, {"a", std::nullopt}, {"a", std::nullopt}, {"a", 5}});
  CHECK(windows.results() == "a 2 0 NULL; a 2 1 5");
}

TEST_CASE("unfinished count windows fire when the input has ended, by their first records") {
  Windowing windows{lots_of(3)};
  windows.push({{"a", 1}, {"b", 2}, {"a", 4}, {"c", 8}, {"a", 16}});
  CHECK(windows.results() == "a 3 21");
  windows.push({{"a", 32}});
  windows.watermark(1'000'000);
  CHECK(windows.results().empty());
  windows.drain();
  CHECK(windows.results() == "b 1 2; c 1 8; a 1 32");
  windows.drain();
  CHECK(windows.results().empty());
}

TEST_CASE("a count window's result has the newest event time of its records") {
  Windowing windows{lots_of(2)};
  windows.push({{"a", 1, 50}, {"a", 2, 20}, {"b", 4, 30}, {"b", 8, 70}, {"a", 1, 60}});
  windows.drain();
  CHECK(windows.event_times() == std::vector<std::int64_t>{50, 70, 60});
  CHECK(windows.results() == "a 2 3; b 2 12; a 1 1");
}

TEST_CASE("a count window's result has no event time when its records have none") {
  Windowing windows{lots_of(1)};
  windows.push({{"a", 1}});
  REQUIRE(windows.out.main.size() == 1);
  CHECK(!windows.out.main[0]->has_event_time());
}

TEST_CASE("no record is late for a count window") {
  Windowing windows{lots_of(2)};
  windows.watermark(1000);
  windows.push({{"a", 1, 5}, {"a", 2, 6}});
  CHECK(windows.results() == "a 2 3");
  CHECK(windows.counted_late() == 0);
}

TEST_CASE("early results of count windows show the unfinished ones that changed") {
  WindowSpec spec = lots_of(3);
  spec.early = Duration{1000};
  Windowing windows{std::move(spec)};
  windows.push({{"b", 1}, {"a", 2}, {"a", 4}});
  windows.clock(1000);
  CHECK(windows.results() == "b 1 1; a 2 6");
  windows.push({{"a", 8}, {"b", 16}});
  CHECK(windows.results() == "a 3 14");
  windows.clock(2000);
  CHECK(windows.results() == "b 2 17");
  windows.clock(9000);
  CHECK(windows.results().empty());
}

TEST_CASE("count windows without keys count all records") {
  WindowSpec spec = lots_of(2);
  spec.key_fields.clear();
  Windowing windows{std::move(spec)};
  windows.push({{"a", 1}, {"b", 2}, {"c", 4}});
  windows.drain();
  CHECK(windows.results() == "2 3; 1 4");
}

TEST_CASE("a count window operator waits for room and goes on where it stopped") {
  Windowing windows{lots_of(2, {{"last", "last(key)"}, {"total", "sum(v)"}})};
  windows.out.always_full = true;
  std::vector<Record> records;
  std::string expected;
  for (std::int64_t k = 0; k < 10'000; ++k) {
    const std::string key = "key number " + std::to_string(k);
    records.push_back({key, k});
    records.push_back({key, 1});
    expected += (k == 0 ? "" : "; ") + key + " " + key + " " + std::to_string(k + 1);
  }
  auto step = windows.process(records);
  std::size_t pauses = 0;
  while (step && *step == Step::yield) {
    CHECK(windows.out.main.size() == ++pauses);
    step = windows.resume();
  }
  REQUIRE(step.has_value());
  CHECK(pauses >= 2);
  CHECK(windows.results() == expected);
}

TEST_CASE("keys between two count windows are forgotten and start anew") {
  Windowing windows{lots_of(2, {{"last", "last(key)"}, {"total", "sum(v)"}})};
  windows.push({{"the first, which waits", 1}});
  for (int round = 0; round < 10; ++round) {
    std::vector<Record> records;
    for (int k = 0; k < 1000; ++k) {
      for (int i = 0; i < 2; ++i) records.push_back({"a passing key " + std::to_string(round * 500 + k), 1});
    }
    windows.push(records);
  }
  CHECK(testing_support::rows_of(windows.out.main).size() == 10'000);
  windows.results();
  windows.push({{"the first, which waits", 2}});
  CHECK(windows.results() == "the first, which waits the first, which waits 3");
}

TEST_CASE("a global window gives one result a key when the input has ended, in order of the keys' first records") {
  Windowing windows{everything({{"n", "count()"}, {"total", "sum(v)"}, {"last", "last(key)"}})};
  windows.push({{"b", 1, 10}, {"a", 2, 99}, {std::nullopt, 4, 5}});
  windows.watermark(1'000'000);
  windows.push({{"a", 8, 20}, {"c", 16, 30}});
  CHECK(windows.results().empty());
  windows.drain();
  CHECK(windows.event_times() == std::vector<std::int64_t>{10, 99, 5, 30});
  CHECK(windows.results() == "b 1 1 b; a 2 10 a; NULL 1 4 NULL; c 1 16 c");
  CHECK(windows.counted_late() == 0);
  windows.drain();
  CHECK(windows.results().empty());
}

TEST_CASE("windows without bounds give their records' time when no record has come since their checkpoint") {
  for (const WindowKind kind : {WindowKind::count, WindowKind::global}) {
    CAPTURE(static_cast<int>(kind));
    WindowSpec spec = windows_by_key(kind, {{"n", "count()"}});
    spec.count = 2;
    batch_tests::BatchJob job{make_window_operator(std::move(spec), input_schema()), {0}};
    job.start(1, std::nullopt);
    job.push(testing_support::make_batch(input_schema(), std::vector<Row>{{Value{"a"}, Value{std::int64_t{1}}}}, {7}));
    const auto checkpoint = job.take();
    job.start(1, std::nullopt);
    REQUIRE(job.restore(checkpoint).has_value());
    CHECK(job.end() == batch_tests::BatchJob::Table{{"0: a 1 at 7", 1}});
  }
}

TEST_CASE("a global window without records gives nothing") {
  Windowing windows{everything()};
  windows.drain();
  CHECK(windows.results().empty());
}

TEST_CASE("a global window without keys gives one row") {
  WindowSpec spec = everything();
  spec.key_fields.clear();
  Windowing windows{std::move(spec)};
  windows.push({{"a", 1}, {"b", 2}});
  windows.push({{"c", 4}});
  windows.drain();
  CHECK(windows.results() == "3 7");
}

TEST_CASE("early results of global windows show the keys that changed") {
  WindowSpec spec = everything();
  spec.early = Duration{1000};
  Windowing windows{std::move(spec)};
  windows.push({{"b", 1}, {"a", 2}});
  windows.clock(1000);
  CHECK(windows.results() == "b 1 1; a 1 2");
  windows.push({{"a", 8}, {"c", 16}});
  windows.clock(2000);
  CHECK(windows.results() == "a 2 10; c 1 16");
  windows.drain();
  CHECK(windows.results() == "b 1 1; a 2 10; c 1 16");
}

TEST_CASE("a global window operator waits for room and goes on where it stopped") {
  WindowSpec spec = everything();
  spec.early = Duration{1000};
  Windowing windows{std::move(spec)};
  std::vector<Record> records;
  std::string expected;
  for (std::int64_t k = 0; k < 10'000; ++k) {
    records.push_back({"k" + std::to_string(k), k});
    expected += (k == 0 ? "k" : "; k") + std::to_string(k) + " 1 " + std::to_string(k);
  }
  windows.push(records);
  windows.out.always_full = true;
  windows.clock(1000);
  CHECK(windows.out.main.size() >= 3);
  CHECK(windows.results() == expected);
  auto step = windows.on_watermark(Timestamp::max().micros);
  std::size_t pauses = 0;
  while (step && *step == Step::yield) {
    CHECK(windows.out.main.size() == ++pauses);
    step = windows.resume();
  }
  REQUIRE(step.has_value());
  CHECK(pauses >= 2);
  CHECK(windows.results() == expected);
}
