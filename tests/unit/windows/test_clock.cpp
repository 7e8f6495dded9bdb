// Windows and the clock: early results, and windows in processing time.
#include "tests/unit/windows/windowing.hpp"

using namespace dataflow;
using namespace dataflow::window_tests;

namespace {

WindowSpec early(WindowKind kind, std::int64_t size, std::int64_t every = 0) {
  WindowSpec spec = windows_by_key(kind, {{"n", "count()"}, {"total", "sum(v)"}});
  spec.size = Duration{size};
  spec.slide = spec.step = Duration{every};
  spec.early = Duration{1000};
  return spec;
}

WindowSpec by_clock(WindowKind kind, std::int64_t size, std::int64_t every = 0) {
  WindowSpec spec = early(kind, size, every);
  spec.early.reset();
  spec.time = TimeDomain::processing;
  return spec;
}

}  // namespace

TEST_CASE("early results show the open windows that changed, and only the keys that did") {
  Windowing windows{early(WindowKind::tumbling, 10)};
  windows.push({{"a", 1, 0}, {"b", 2, 5}, {"a", 4, 12}});
  windows.clock(999);
  CHECK(windows.results().empty());
  windows.clock(1000);
  CHECK(windows.results() == "a 0 10 1 1; b 0 10 1 2; a 10 20 1 4");
  windows.push({{"b", 8, 6}});
  windows.clock(2000);
  CHECK(windows.results() == "b 0 10 2 10");
  windows.watermark(9);
  CHECK(windows.results() == "a 0 10 1 1; b 0 10 2 10");
}

TEST_CASE("nothing new gives no early results, and needs no timer") {
  Windowing windows{early(WindowKind::tumbling, 10)};
  CHECK(!windows.timer());
  windows.push({{"a", 1, 0}});
  REQUIRE(windows.timer());
  CHECK(*windows.timer() == Timestamp{1000});
  windows.clock(5000);
  CHECK(windows.results() == "a 0 10 1 1");
  CHECK(!windows.timer());
  windows.push({{"a", 1, 0}});
  CHECK(*windows.timer() == Timestamp{6000});
}

TEST_CASE("a window that has fired gives no early result") {
  Windowing windows{early(WindowKind::tumbling, 10)};
  windows.push({{"a", 1, 0}});
  windows.watermark(9);
  CHECK(windows.results() == "a 0 10 1 1");
  windows.clock(1000);
  CHECK(windows.results().empty());
}

TEST_CASE("early results leave alone what the window gives in the end") {
  WindowSpec spec = windows_by_key(WindowKind::tumbling, {{"most", "max(key)"}, {"different", "count(DISTINCT v)"}});
  spec.key_fields.clear();
  spec.size = Duration{10};
  spec.early = Duration{1000};
  Windowing windows{std::move(spec)};
  windows.push({{"a text that is not inline", 1, 0}, {"a", 1, 1}});
  windows.clock(1000);
  CHECK(windows.results() == "0 10 a text that is not inline 1");
  windows.push({{"b, also a text that is long", 2, 0}});
  windows.clock(2000);
  CHECK(windows.results() == "0 10 b, also a text that is long 2");
  windows.drain();
  CHECK(windows.results() == "0 10 b, also a text that is long 2");
}

TEST_CASE("early results of sliding windows are of every open window that contains the record") {
  Windowing windows{early(WindowKind::sliding, 10, 5)};
  windows.push({{"a", 1, 7}, {"b", 2, 3}});
  windows.clock(1000);
  CHECK(windows.results() == "b -5 5 1 2; b 0 10 1 2; a 0 10 1 1; a 5 15 1 1");
  windows.watermark(9);
  CHECK(windows.results() == "b -5 5 1 2; b 0 10 1 2; a 0 10 1 1");
  windows.push({{"a", 4, 8}});
  windows.clock(2000);
  CHECK(windows.results() == "a 5 15 2 5");
}

TEST_CASE("early results of cumulating windows are of every step still to come") {
  Windowing windows{early(WindowKind::cumulate, 10, 5)};
  windows.push({{"a", 1, 1}});
  windows.clock(1000);
  CHECK(windows.results() == "a 0 5 1 1; a 0 10 1 1");
}

TEST_CASE("windows in processing time go by the clock and not by the records' own time") {
  Windowing windows{by_clock(WindowKind::tumbling, 10)};
  windows.clock(3);
  windows.push({{"a", 1, 99}, {"b", 2, -5}});
  windows.watermark(1000);
  CHECK(windows.results().empty());
  REQUIRE(windows.timer());
  CHECK(*windows.timer() == Timestamp{10});
  windows.clock(12);
  CHECK(windows.results() == "a 0 10 1 1; b 0 10 1 2");
  windows.push({{"a", 4, 0}});
  windows.clock(30);
  CHECK(windows.results() == "a 10 20 1 4");
  CHECK(windows.counted_late() == 0);
}

TEST_CASE("results of windows in processing time have no event time") {
  Windowing windows{by_clock(WindowKind::tumbling, 10)};
  windows.push({{"a", 1, 99}});
  windows.clock(10);
  REQUIRE(windows.out.main.size() == 1);
  CHECK(!windows.out.main[0]->has_event_time());
}

TEST_CASE("a batch that comes before an overdue timer fires the windows that have passed") {
  Windowing windows{by_clock(WindowKind::tumbling, 10)};
  windows.push({{"a", 1}});
  windows.context.clock = Timestamp{25};
  windows.push({{"a", 2}});
  CHECK(windows.results() == "a 0 10 1 1");
  windows.clock(30);
  CHECK(windows.results() == "a 20 30 1 2");
}

TEST_CASE("a clock that is set back makes no record late") {
  Windowing windows{by_clock(WindowKind::tumbling, 10)};
  windows.clock(12);
  windows.push({{"a", 1}});
  windows.clock(21);
  CHECK(windows.results() == "a 10 20 1 1");
  windows.context.clock = Timestamp{3};
  windows.push({{"a", 2}});
  windows.context.clock = Timestamp{19};
  windows.push({{"a", 4}});
  CHECK(windows.counted_late() == 0);
  CHECK(windows.results().empty());
  windows.clock(30);
  CHECK(windows.results() == "a 20 30 2 6");
}

TEST_CASE("windows in processing time that are open when the input ends fire") {
  Windowing windows{by_clock(WindowKind::tumbling, 10)};
  windows.push({{"a", 1}});
  windows.drain();
  CHECK(windows.results() == "a 0 10 1 1");
}

TEST_CASE("sliding windows in processing time") {
  Windowing windows{by_clock(WindowKind::sliding, 10, 5)};
  windows.clock(7);
  windows.push({{"a", 1}});
  windows.clock(8);
  windows.push({{"a", 2}});
  windows.clock(11);
  windows.push({{"a", 4}});
  CHECK(windows.results() == "a 0 10 2 3");
  windows.clock(100);
  CHECK(windows.results() == "a 5 15 3 7; a 10 20 1 4");
  CHECK(!windows.timer());
}
