#include "tests/unit/windows/windowing.hpp"

using namespace dataflow;
using namespace dataflow::window_tests;

namespace {

WindowSpec tumbling(std::int64_t size, const Named& aggregates = {{"n", "count()"}, {"total", "sum(v)"}}) {
  WindowSpec spec = windows_by_key(WindowKind::tumbling, aggregates);
  spec.size = Duration{size};
  return spec;
}

WindowSpec tumbling_allowing(std::int64_t lateness) {
  WindowSpec spec = tumbling(10);
  spec.allowed_lateness = Duration{lateness};
  return spec;
}

Expression having(const std::string& condition, const WindowSpec& spec) {
  auto output = window_output_schema(spec, *input_schema());
  REQUIRE(output.has_value());
  auto compiled = Expression::compile(condition, **output);
  REQUIRE(compiled.has_value());
  return *compiled;
}

}  // namespace

TEST_CASE("a tumbling window fires for each key when the watermark reaches its last microsecond") {
  Windowing windows{tumbling(10)};
  windows.push({{"a", 1, 0}, {"b", 2, 3}, {"a", 4, 9}, {"a", 8, 10}});
  windows.watermark(8);
  CHECK(windows.results().empty());
  windows.watermark(9);
  CHECK(windows.results() == "a 0 10 2 5; b 0 10 1 2");
  windows.watermark(10);
  CHECK(windows.results().empty());
  windows.drain();
  CHECK(windows.results() == "a 10 20 1 8");
  windows.drain();
  CHECK(windows.results().empty());
}

TEST_CASE("a result's event time is the last microsecond of its window") {
  Windowing windows{tumbling(10)};
  windows.push({{"a", 1, 0}, {"a", 1, 25}});
  windows.drain();
  CHECK(windows.event_times() == std::vector<std::int64_t>{9, 29});
}

TEST_CASE("windows fire in order of time, whatever the order of their records") {
  Windowing windows{tumbling(10)};
  windows.push({{"a", 1, 35}, {"b", 2, 5}, {"a", 4, 15}});
  windows.push({{"c", 8, 4}, {"a", 16, 31}});
  windows.drain();
  CHECK(windows.results() == "b 0 10 1 2; c 0 10 1 8; a 10 20 1 4; a 30 40 2 17");
}

TEST_CASE("windows before 1970 begin where those after it would") {
  Windowing windows{tumbling(10)};
  windows.push({{"a", 1, -1}, {"a", 2, -10}, {"a", 4, -11}, {"a", 8, 0}});
  windows.drain();
  CHECK(windows.results() == "a -20 -10 1 4; a -10 0 2 3; a 0 10 1 8");
}

TEST_CASE("an offset moves the windows, also backwards and by more than their size") {
  for (const std::int64_t offset : {3, -7, 13, -17}) {
    WindowSpec spec = tumbling(10);
    spec.offset = Duration{offset};
    Windowing windows{std::move(spec)};
    windows.push({{"a", 1, 2}, {"a", 2, 3}, {"a", 4, 12}, {"a", 8, 13}});
    windows.drain();
    CHECK(windows.results() == "a -7 3 1 1; a 3 13 2 6; a 13 23 1 8");
  }
}

TEST_CASE("times at the ends of what a timestamp holds have windows that end there") {
  constexpr std::int64_t first = std::numeric_limits<std::int64_t>::min();
  constexpr std::int64_t last = std::numeric_limits<std::int64_t>::max();
  Windowing windows{tumbling(10)};
  windows.push({{"a", 1, first}, {"a", 2, last - 1}});
  windows.drain();
  CHECK(windows.results() == "a " + std::to_string(first) + " -9223372036854775800 1 1; a 9223372036854775800 " +
                                 std::to_string(last) + " 1 2");
}

TEST_CASE("without keys a tumbling window has one result") {
  WindowSpec spec = tumbling(10);
  spec.key_fields.clear();
  Windowing windows{std::move(spec)};
  windows.push({{"a", 1, 0}, {"b", 2, 5}, {std::nullopt, 4, 25}});
  windows.drain();
  CHECK(windows.results() == "0 10 2 3; 20 30 1 4");
}

TEST_CASE("NULL is a key, and not that of the empty text") {
  Windowing windows{tumbling(10)};
  windows.push({{std::nullopt, 1, 0}, {"", 2, 1}, {std::nullopt, 4, 2}});
  windows.drain();
  CHECK(windows.results() == "NULL 0 10 2 5;  0 10 1 2");
}

TEST_CASE("an input without records gives no result") {
  Windowing windows{tumbling(10)};
  windows.watermark(1000);
  windows.drain();
  CHECK(windows.results().empty());
  CHECK(windows.counted_late() == 0);
}

TEST_CASE("a record for a window that has fired is late: counted, and given out as it came") {
  Windowing windows{tumbling(10)};
  windows.push({{"a", 1, 5}});
  windows.watermark(9);
  CHECK(windows.results() == "a 0 10 1 1");
  windows.push({{"a", 2, 12}, {"b", std::nullopt, 9}, {"a", 8, 3}, {"a", 16, 10}});
  CHECK(windows.counted_late() == 2);
  CHECK(windows.late() == "b NULL; a 8");
  windows.drain();
  CHECK(windows.results() == "a 10 20 2 18");
}

TEST_CASE("late records keep their event time") {
  Windowing windows{tumbling(10)};
  windows.watermark(100);
  windows.push({{"a", 1, 5}, {"b", 2, 200}, {"c", 3, 7}});
  REQUIRE(windows.out.late.size() == 1);
  CHECK(testing_support::event_times_of(*windows.out.late[0]) == std::vector<std::int64_t>{5, 7});
}

TEST_CASE("a batch that is late as a whole passes on as it is") {
  Windowing windows{tumbling(10)};
  windows.watermark(100);
  windows.push({{"a", 1, 5}, {"b", 2, 17}});
  CHECK(windows.late() == "a 1; b 2");
  windows.drain();
  CHECK(windows.results().empty());
}

TEST_CASE("within the allowed lateness a window fires again for the keys that changed") {
  Windowing windows{tumbling_allowing(5)};
  windows.push({{"a", 1, 5}, {"b", 2, 6}});
  windows.watermark(9);
  CHECK(windows.results() == "a 0 10 1 1; b 0 10 1 2");
  windows.watermark(13);
  windows.push({{"b", 4, 7}, {"c", 8, 8}, {"b", 16, 9}});
  CHECK(windows.results() == "b 0 10 3 22; c 0 10 1 8");
  CHECK(windows.counted_late() == 0);
  windows.watermark(14);
  windows.push({{"b", 32, 7}});
  CHECK(windows.results().empty());
  CHECK(windows.late() == "b 32");
}

TEST_CASE("a record within the allowed lateness opens a window that had none") {
  Windowing windows{tumbling_allowing(5)};
  windows.watermark(12);
  windows.push({{"a", 1, 5}});
  CHECK(windows.results() == "a 0 10 1 1");
  windows.drain();
  CHECK(windows.results().empty());
}

TEST_CASE("windows that end give out their keys' memory for the next") {
  Windowing windows{tumbling(10, {{"n", "count()"}, {"longest", "max(key)"}})};
  for (std::int64_t window = 0; window < 50; ++window) {
    std::vector<Record> records;
    for (int k = 0; k < 100; ++k) {
      records.push_back({"a key that is not inline " + std::to_string(k + window), 1, window * 10});
    }
    windows.push(records);
    windows.watermark(window * 10 + 9);
    const auto rows = testing_support::rows_of(windows.out.main);
    REQUIRE(rows.size() == 100);
    for (int k = 0; k < 100; ++k) {
      const Row& row = rows[static_cast<std::size_t>(k)];
      CHECK(row[0] == Value{"a key that is not inline " + std::to_string(k + window)});
      CHECK(row[4] == row[0]);
    }
    windows.out.main.clear();
  }
}

TEST_CASE("having keeps the results for which it is true") {
  WindowSpec spec = tumbling(10);
  spec.having = having("total > 2 AND key <> 'c'", spec);
  Windowing windows{std::move(spec)};
  windows.push({{"a", 1, 0}, {"b", 4, 0}, {"c", 8, 0}, {std::nullopt, 16, 0}, {"d", std::nullopt, 0}});
  windows.drain();
  CHECK(windows.results() == "b 0 10 1 4");
  CHECK(windows.context.counter("having").value() == 4);
}

TEST_CASE("having sees the window's bounds") {
  WindowSpec spec = tumbling(10);
  spec.having = having("window_start >= TIMESTAMP '1970-01-01T00:00:00.000010'", spec);
  Windowing windows{std::move(spec)};
  windows.push({{"a", 1, 0}, {"a", 2, 10}});
  windows.drain();
  CHECK(windows.results() == "a 10 20 1 2");
}

TEST_CASE("what having cannot compute is an error") {
  WindowSpec spec = tumbling(10);
  spec.having = having("10 / total > 1", spec);
  Windowing windows{std::move(spec)};
  windows.push({{"a", 0, 0}});
  const auto step = windows.on_watermark(100);
  REQUIRE(!step.has_value());
  CHECK(step.error().message() ==
        "having: division by zero in the result {\"key\":\"a\",\"window_start\":\"1970-01-01T00:00:00Z\","
        "\"window_end\":\"1970-01-01T00:00:00.000010Z\",\"n\":1,\"total\":0}");
}

TEST_CASE("results that cannot be computed are left out and counted where errors are skipped") {
  WindowSpec spec =
      windows_by_key(WindowKind::tumbling,
                     {{"total", "sum(v)"}, {"part", "10 / sum(v)"}, {"exact", "sum(CAST(v AS decimal(18, 17)))"}});
  spec.size = Duration{10};
  spec.on_error = ErrorPolicy::skip;
  spec.having = having("10 / (total - 1) > 0", spec);
  Windowing windows{std::move(spec)};
  // a: having divides by zero; b: part does; c: exact has more than 18 digits.
  windows.push({{"a", 1, 0}, {"b", 0, 0}, {"c", 9, 0}, {"c", 8, 1}, {"d", -1, 0}, {"d", 3, 0}});
  windows.drain();
  CHECK(windows.results() == "d 0 10 2 5 200000000000000000");
  CHECK(windows.context.counter("errors").value() == 3);
}

TEST_CASE("a tumbling window operator waits for room and goes on where it stopped") {
  Windowing windows{tumbling(10)};
  windows.out.always_full = true;
  std::vector<Record> records;
  std::string expected;
  for (std::int64_t k = 0; k < 10'000; ++k) {
    records.push_back({"k" + std::to_string(k), k, 0});
    expected += (k == 0 ? "k" : "; k") + std::to_string(k) + " 0 10 1 " + std::to_string(k);
  }
  windows.push(records);
  auto step = windows.on_watermark(9);
  std::size_t pauses = 0;
  while (step && *step == Step::yield) {
    CHECK(windows.out.main.size() == ++pauses);
    step = windows.resume();
  }
  REQUIRE(step.has_value());
  CHECK(pauses >= 2);
  CHECK(windows.results() == expected);
}

TEST_CASE("many small windows share a batch") {
  Windowing windows{tumbling(1)};
  std::vector<Record> records;
  for (std::int64_t t = 0; t < 1000; ++t) records.push_back({"a", 1, t});
  windows.push(records);
  windows.drain();
  CHECK(windows.out.main.size() == 1);
  CHECK(testing_support::rows_of(windows.out.main).size() == 1000);
}
