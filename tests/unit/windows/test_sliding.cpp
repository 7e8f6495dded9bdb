// Sliding and cumulating windows.
#include "tests/unit/windows/windowing.hpp"

using namespace dataflow;
using namespace dataflow::window_tests;

namespace {

WindowSpec sliding(std::int64_t size, std::int64_t slide, const Named& aggregates = {{"n", "count()"}}) {
  WindowSpec spec = windows_by_key(WindowKind::sliding, aggregates);
  spec.size = Duration{size};
  spec.slide = Duration{slide};
  return spec;
}

WindowSpec cumulating(std::int64_t size, std::int64_t step, const Named& aggregates = {{"n", "count()"}}) {
  WindowSpec spec = windows_by_key(WindowKind::cumulate, aggregates);
  spec.size = Duration{size};
  spec.step = Duration{step};
  return spec;
}

}  // namespace

TEST_CASE("a record counts in every sliding window that contains it") {
  Windowing windows{sliding(10, 5)};
  windows.push({{"a", 1, 1}, {"b", 2, 3}, {"a", 4, 7}});
  windows.drain();
  CHECK(windows.event_times() == std::vector<std::int64_t>{4, 4, 9, 9, 14});
  CHECK(windows.results() == "a -5 5 1; b -5 5 1; a 0 10 2; b 0 10 1; a 5 15 1");
}

TEST_CASE("sliding windows fire one by one as the watermark passes their ends") {
  Windowing windows{sliding(10, 5)};
  windows.push({{"a", 1, 1}});
  windows.watermark(4);
  CHECK(windows.results() == "a -5 5 1");
  windows.push({{"a", 1, 6}});
  windows.watermark(8);
  CHECK(windows.results().empty());
  windows.watermark(14);
  CHECK(windows.results() == "a 0 10 2; a 5 15 1");
}

TEST_CASE("windows whose size is not a multiple of their step overlap as they should") {
  Windowing windows{sliding(10, 4, {{"total", "sum(v)"}})};
  windows.push({{"a", 1, 0}, {"a", 2, 5}, {"a", 4, 9}});
  windows.drain();
  CHECK(windows.results() == "a -8 2 1; a -4 6 3; a 0 10 7; a 4 14 6; a 8 18 4");
}

TEST_CASE("sliding windows as long as their step are tumbling ones") {
  Windowing windows{sliding(10, 10)};
  windows.push({{"a", 1, 0}, {"a", 1, 9}, {"a", 1, 10}});
  windows.drain();
  CHECK(windows.results() == "a 0 10 2; a 10 20 1");
}

TEST_CASE("a key leaves a sliding window with its last record") {
  Windowing windows{sliding(6, 2, {{"most", "max(v)"}, {"text", "max(key)"}})};
  windows.push({{"a key that is not inline", 9, 0}, {"b", 1, 3}, {"b", 5, 9}});
  windows.drain();
  CHECK(windows.results() ==
        "a key that is not inline -4 2 9 a key that is not inline; "
        "a key that is not inline -2 4 9 a key that is not inline; b -2 4 1 b; "
        "a key that is not inline 0 6 9 a key that is not inline; b 0 6 1 b; "
        "b 2 8 1 b; b 4 10 5 b; b 6 12 5 b; b 8 14 5 b");
}

TEST_CASE("sums of floating-point numbers hold nothing of what has left the window") {
  // With subtraction 0.5 would be lost beside 1e300 and come out as zero.
  Windowing windows{sliding(4, 2, {{"total", "sum(CAST(v AS float64) * 0.5 * if(v > 1, 1e300, 1.0))"}})};
  windows.push({{"a", 2, 0}, {"a", 1, 2}, {"a", 1, 4}});
  windows.watermark(5);
  windows.results();
  windows.watermark(7);
  CHECK(windows.results() == "a 4 8 0.5");
}

TEST_CASE("a record that is late for some of its sliding windows counts in the others") {
  Windowing windows{sliding(10, 5)};
  windows.watermark(9);
  windows.push({{"a", 1, 7}, {"b", 2, 4}});
  CHECK(windows.late() == "b 2");
  CHECK(windows.counted_late() == 1);
  windows.drain();
  CHECK(windows.results() == "a 5 15 1");
}

TEST_CASE("within the allowed lateness every sliding window of the record that has fired fires again") {
  WindowSpec spec = sliding(10, 5);
  spec.allowed_lateness = Duration{6};
  Windowing windows{std::move(spec)};
  windows.push({{"a", 1, 6}, {"b", 1, 6}});
  windows.watermark(14);
  CHECK(windows.results() == "a 0 10 1; b 0 10 1; a 5 15 1; b 5 15 1");
  windows.push({{"a", 2, 8}, {"a", 2, 3}, {"a", 2, 12}});
  CHECK(windows.results() == "a 0 10 3; a 5 15 3");
  windows.drain();
  CHECK(windows.results() == "a 10 20 1");
  CHECK(windows.counted_late() == 0);
}

TEST_CASE("records that come behind others in a window that is still open are not forgotten") {
  Windowing windows{sliding(20, 5, {{"total", "sum(v)"}})};
  windows.push({{"a", 1, 22}});
  windows.watermark(24);
  CHECK(windows.results() == "a 5 25 1");
  windows.push({{"a", 2, 11}, {"a", 4, 16}});  // in windows that fire yet, in slices that have been summed up
  windows.watermark(29);
  CHECK(windows.results() == "a 10 30 7");
  windows.drain();
  CHECK(windows.results() == "a 15 35 5; a 20 40 1");
}

TEST_CASE("a cumulating window gives what it holds at each step and then starts anew") {
  Windowing windows{cumulating(10, 5, {{"n", "count()"}, {"total", "sum(v)"}})};
  windows.push({{"a", 1, 1}, {"a", 2, 7}, {"a", 4, 12}});
  windows.watermark(4);
  CHECK(windows.results() == "a 0 5 1 1");
  windows.drain();
  CHECK(windows.results() == "a 0 10 2 3; a 10 15 1 4; a 10 20 1 4");
}

TEST_CASE("a cumulating window shows a key at every later step of it") {
  Windowing windows{cumulating(15, 5)};
  windows.push({{"a", 1, 0}, {"b", 1, 11}});
  windows.drain();
  CHECK(windows.results() == "a 0 5 1; a 0 10 1; a 0 15 1; b 0 15 1");
}

TEST_CASE("a record behind the watermark counts in the cumulating windows that are still to come") {
  Windowing windows{cumulating(15, 5)};
  windows.push({{"a", 1, 1}});
  windows.watermark(7);
  CHECK(windows.results() == "a 0 5 1");
  windows.push({{"a", 1, 2}});
  CHECK(windows.counted_late() == 0);
  windows.drain();
  CHECK(windows.results() == "a 0 10 2; a 0 15 2");
}

TEST_CASE("an offset moves sliding and cumulating windows") {
  WindowSpec slides = sliding(10, 5);
  slides.offset = Duration{-3};
  Windowing first{std::move(slides)};
  first.push({{"a", 1, 1}});
  first.drain();
  CHECK(first.results() == "a -8 2 1; a -3 7 1");
  WindowSpec grows = cumulating(10, 5);
  grows.offset = Duration{2};
  Windowing second{std::move(grows)};
  second.push({{"a", 1, 1}});
  second.drain();
  CHECK(second.results() == "a -8 2 1");
}

TEST_CASE("a sliding window operator waits for room and goes on where it stopped") {
  Windowing windows{sliding(4, 2, {{"n", "count()"}, {"name", "max(key)"}})};
  windows.out.always_full = true;
  std::vector<Record> records;
  for (std::int64_t k = 0; k < 6'000; ++k) records.push_back({"key number " + std::to_string(k), k, 1});
  windows.push(records);
  auto step = windows.on_watermark(Timestamp::max().micros);
  std::size_t pauses = 0;
  while (step && *step == Step::yield) {
    CHECK(windows.out.main.size() == ++pauses);
    step = windows.resume();
  }
  REQUIRE(step.has_value());
  CHECK(pauses >= 2);
  const auto rows = testing_support::rows_of(windows.out.main);
  REQUIRE(rows.size() == 12'000);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Value name{"key number " + std::to_string(i % 6'000)};
    const std::int64_t start = i < 6'000 ? -2 : 0;
    REQUIRE(rows[i] == Row{name, Value{start}, Value{start + 4}, Value{std::int64_t{1}}, name});
  }
}
