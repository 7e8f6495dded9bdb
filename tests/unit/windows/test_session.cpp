#include "tests/unit/windows/windowing.hpp"

using namespace dataflow;
using namespace dataflow::window_tests;

namespace {

constexpr std::int64_t gap = 10;

WindowSpec sessions(const Named& aggregates = {{"n", "count()"}}) {
  WindowSpec spec = windows_by_key(WindowKind::session, aggregates);
  spec.gap = Duration{gap};
  return spec;
}

WindowSpec sessions_allowing(std::int64_t lateness, const Named& aggregates = {{"n", "count()"}}) {
  WindowSpec spec = sessions(aggregates);
  spec.allowed_lateness = Duration{lateness};
  return spec;
}

}  // namespace

TEST_CASE("a session lasts from its first record to one gap after its last") {
  Windowing windows{sessions({{"n", "count()"}, {"total", "sum(v)"}})};
  windows.push({{"a", 1, 100}, {"a", 2, 104}, {"a", 4, 111}});
  windows.watermark(119);
  CHECK(windows.results().empty());
  windows.watermark(120);
  CHECK(windows.event_times() == std::vector<std::int64_t>{120});
  CHECK(windows.results() == "a 100 121 3 7");
  windows.drain();
  CHECK(windows.results().empty());
}

TEST_CASE("a record exactly one gap after the last one goes on with its session, one later opens another") {
  Windowing windows{sessions()};
  windows.push({{"a", 1, 0}, {"a", 1, 10}, {"b", 1, 0}, {"b", 1, 11}});
  windows.drain();
  CHECK(windows.results() == "b 0 10 1; a 0 20 2; b 11 21 1");
}

TEST_CASE("sessions of different keys do not touch") {
  Windowing windows{sessions()};
  windows.push({{"a", 1, 0}, {"b", 1, 5}, {"a", 1, 8}});
  windows.push({{"b", 1, 9}});
  windows.drain();
  CHECK(windows.results() == "a 0 18 2; b 5 19 2");
}

TEST_CASE("NULL keys are a key of their own") {
  Windowing windows{sessions()};
  windows.push({{std::nullopt, 1, 0}, {"", 1, 1}, {std::nullopt, 1, 2}});
  windows.drain();
  CHECK(windows.results() == " 1 11 1; NULL 0 12 2");
}

TEST_CASE("without keys all records are in one row of sessions") {
  WindowSpec spec = sessions();
  spec.key_fields.clear();
  Windowing windows{std::move(spec)};
  windows.push({{"a", 1, 0}, {"b", 1, 5}, {"c", 1, 30}});
  windows.drain();
  CHECK(windows.results() == "0 15 2; 30 40 1");
}

TEST_CASE("times before the epoch and near the ends of time are times like others") {
  Windowing windows{sessions()};
  const std::int64_t last = Timestamp::max().micros;
  windows.push({{"a", 1, -15}, {"a", 1, -5}, {"b", 1, last - 3}, {"b", 1, last - 1}});
  windows.drain();
  CHECK(windows.results() == "a -15 5 2; b " + std::to_string(last - 3) + " " + std::to_string(last) + " 2");
}

TEST_CASE("an earlier record moves the start of a session") {
  Windowing windows{sessions()};
  windows.push({{"a", 1, 50}});
  windows.push({{"a", 1, 40}, {"a", 1, 35}});
  windows.drain();
  CHECK(windows.results() == "a 35 60 3");
}

TEST_CASE("a record between two sessions makes them one, with the accumulated values of both") {
  const Named aggregates = {{"n", "count()"},
                            {"total", "sum(v)"},
                            {"least", "min(v)"},
                            {"first", "first(v)"},
                            {"last", "last(v)"},
                            {"values", "count(DISTINCT v)"},
                            {"odd", "count() FILTER (WHERE v % 2 = 1)"}};
  SUBCASE("over several batches") {
    Windowing windows{sessions(aggregates)};
    windows.push({{"a", 7, 100}});
    windows.push({{"a", 3, 115}, {"b", 1, 0}});
    windows.push({{"a", 7, 107}});
    windows.drain();
    CHECK(windows.results() == "b 0 10 1 1 1 1 1 1 1; a 100 125 3 17 3 7 7 2 3");
  }
  SUBCASE("within one batch") {
    Windowing windows{sessions(aggregates)};
    windows.push({{"a", 7, 100}, {"a", 3, 115}, {"a", 4, 116}, {"a", 7, 107}, {"a", 1, 108}});
    windows.drain();
    CHECK(windows.results() == "a 100 126 5 22 1 7 1 4 4");
  }
}

TEST_CASE("a chain of merges within one batch keeps every record once") {
  Windowing windows{sessions({{"n", "count()"}, {"total", "sum(v)"}, {"values", "count(DISTINCT v)"}})};
  // Five sessions, opened from the last to the first, then joined from the middle outwards.
  windows.push({{"a", 1, 80},
                {"a", 2, 60},
                {"a", 4, 40},
                {"a", 8, 20},
                {"a", 16, 0},
                {"a", 32, 30},
                {"a", 64, 50},
                {"a", 128, 10},
                {"a", 256, 70},
                {"a", 512, 81}});
  windows.drain();
  CHECK(windows.results() == "a 0 91 10 1023 10");
}

TEST_CASE("text held by merged sessions survives the merge") {
  Windowing windows{sessions({{"first", "first(key || '-a-rather-long-text')"}, {"most", "max(key)"}})};
  for (int round = 0; round < 3; ++round) {
    const std::int64_t base = round * 1000;
    windows.push({{"key-with-many-bytes", 1, base + 20}, {"key-with-many-bytes", 1, base}});
    windows.push({{"key-with-many-bytes", 1, base + 10}});
    windows.watermark(base + 500);
    CHECK(windows.results() == "key-with-many-bytes " + std::to_string(base) + " " + std::to_string(base + 30) +
                                   " key-with-many-bytes-a-rather-long-text key-with-many-bytes");
  }
}

TEST_CASE("a key may have many sessions at once, and gets every record into its own") {
  Windowing windows{sessions()};
  std::vector<Record> records;
  for (std::int64_t i = 0; i < 50; ++i) records.push_back({"a", 1, (i * 37 % 50) * 100});
  windows.push(records);
  for (Record& record : records) *record.time += 5;
  windows.push(records);
  windows.watermark(1014);
  std::string expected;
  for (std::int64_t i = 0; i < 11; ++i) {
    expected += (i == 0 ? "" : "; ") + ("a " + std::to_string(i * 100)) + " " + std::to_string(i * 100 + 15) + " 2";
  }
  CHECK(windows.results() == expected);
  windows.push({{"a", 1, 1110}, {"a", 1, 1090}});
  windows.watermark(1299);
  CHECK(windows.results() == "a 1090 1120 4; a 1200 1215 2");
}

TEST_CASE("sessions fire by their ends, and those that end together in the order in which they opened") {
  Windowing windows{sessions()};
  windows.push({{"c", 1, 7}, {"a", 1, 0}, {"b", 1, 3}, {"d", 1, 9}, {"a", 1, 9}});
  windows.push({{"b", 1, 9}, {"e", 1, 5}});
  windows.drain();
  CHECK(windows.results() == "e 5 15 1; c 7 17 1; a 0 19 2; b 3 19 2; d 9 19 1");
}

TEST_CASE("a merged session counts as opened when its oldest part was") {
  Windowing windows{sessions()};
  windows.push({{"a", 1, 30}, {"b", 1, 45}, {"a", 1, 15}, {"a", 1, 23}, {"a", 1, 45}, {"a", 1, 38}});
  windows.drain();
  CHECK(windows.results() == "a 15 55 5; b 45 55 1");
}

TEST_CASE("a record is late when the session it would open is past the watermark") {
  Windowing windows{sessions()};
  windows.push({{"a", 1, 0}});
  windows.watermark(29);
  windows.results();
  windows.push({{"a", 2, 20}, {"a", 3, 21}, {"b", 4, 5}});
  CHECK(windows.late() == "a 2; b 4");
  CHECK(windows.counted_late() == 2);
  windows.drain();
  CHECK(windows.results() == "a 21 31 1");
}

TEST_CASE("an old record that extends an open session is not late") {
  Windowing windows{sessions()};
  windows.push({{"a", 1, 25}});
  windows.watermark(30);
  windows.push({{"a", 1, 15}, {"b", 1, 15}});
  CHECK(windows.late() == "b 1");
  windows.drain();
  CHECK(windows.results() == "a 15 35 2");
}

TEST_CASE("all records of a batch may be late") {
  Windowing windows{sessions()};
  windows.watermark(100);
  windows.push({{"a", 1, 0}, {"b", 2, 1}});
  CHECK(windows.late() == "a 1; b 2");
  windows.drain();
  CHECK(windows.results().empty());
}

TEST_CASE("a late record within the allowed lateness fires its session again, once a batch") {
  Windowing windows{sessions_allowing(100)};
  windows.push({{"a", 1, 0}, {"b", 1, 2}});
  windows.watermark(50);
  CHECK(windows.results() == "a 0 10 1; b 2 12 1");
  windows.push({{"a", 1, 3}, {"a", 1, 4}, {"a", 1, 2}});
  CHECK(windows.results() == "a 0 14 4");
  windows.push({{"a", 1, 1}});
  CHECK(windows.results() == "a 0 14 5");
  CHECK(windows.late().empty());
  windows.drain();
  CHECK(windows.results().empty());
}

TEST_CASE("a late record within the allowed lateness opens and fires a session of its own") {
  Windowing windows{sessions_allowing(100)};
  windows.watermark(50);
  windows.push({{"b", 1, 5}, {"a", 1, 0}});
  CHECK(windows.results() == "a 0 10 1; b 5 15 1");
  windows.push({{"a", 1, 6}});
  CHECK(windows.results() == "a 0 16 2");
}

TEST_CASE("a fired session that a late record brings beyond the watermark fires at its new end") {
  Windowing windows{sessions_allowing(100)};
  windows.push({{"a", 1, 0}});
  windows.watermark(9);
  CHECK(windows.results() == "a 0 10 1");
  windows.push({{"a", 1, 10}});
  CHECK(windows.results().empty());
  windows.watermark(18);
  CHECK(windows.results().empty());
  windows.watermark(19);
  CHECK(windows.results() == "a 0 20 2");
}

TEST_CASE("a fired session that is joined with an open one fires with it") {
  Windowing windows{sessions_allowing(100)};
  windows.push({{"a", 1, 0}, {"a", 1, 18}});
  windows.watermark(15);
  CHECK(windows.results() == "a 0 10 1");
  windows.push({{"a", 1, 9}});
  CHECK(windows.results().empty());
  windows.watermark(27);
  CHECK(windows.results() == "a 0 28 3");
}

TEST_CASE("two fired sessions that a late record joins fire once, as one") {
  Windowing windows{sessions_allowing(100)};
  windows.push({{"a", 1, 0}, {"a", 1, 18}});
  windows.watermark(60);
  CHECK(windows.results() == "a 0 10 1; a 18 28 1");
  windows.push({{"a", 1, 9}});
  CHECK(windows.results() == "a 0 28 3");
  windows.drain();
  CHECK(windows.results().empty());
}

TEST_CASE("a session is forgotten when the watermark has passed its end and the allowed lateness") {
  Windowing windows{sessions_allowing(100)};
  windows.push({{"a", 1, 0}});
  windows.watermark(108);
  CHECK(windows.results() == "a 0 10 1");
  windows.push({{"a", 2, 0}});
  CHECK(windows.results() == "a 0 10 2");
  windows.watermark(109);
  windows.push({{"a", 3, 0}});
  CHECK(windows.results().empty());
  CHECK(windows.late() == "a 3");
}

TEST_CASE("lateness is judged by the session after merging") {
  Windowing windows{sessions_allowing(100)};
  windows.push({{"a", 1, 9}});
  windows.watermark(110);  // a session from 0 to 10 would be gone; the one to 19 is kept
  windows.results();
  windows.push({{"a", 1, 0}, {"b", 1, 0}});
  CHECK(windows.results() == "a 0 19 2");
  CHECK(windows.late() == "b 1");
}

TEST_CASE("a session that changes after it was extended late is kept for its new end's lateness") {
  Windowing windows{sessions_allowing(100)};
  windows.push({{"a", 1, 0}});
  windows.watermark(50);
  windows.push({{"a", 1, 10}});
  CHECK(windows.results() == "a 0 10 1; a 0 20 2");
  windows.watermark(118);
  windows.push({{"a", 1, 5}});
  CHECK(windows.results() == "a 0 20 3");
  windows.watermark(119);
  windows.push({{"a", 1, 5}});
  CHECK(windows.late() == "a 1");
}

TEST_CASE("early results show the sessions that changed, as far as they have come") {
  WindowSpec spec = sessions();
  spec.early = Duration{1000};
  Windowing windows{std::move(spec)};
  windows.push({{"b", 1, 5}, {"a", 1, 0}, {"a", 1, 300}});
  windows.clock(999);
  CHECK(windows.results().empty());
  windows.clock(1000);
  CHECK(windows.results() == "a 0 10 1; b 5 15 1; a 300 310 1");
  windows.push({{"a", 1, 4}});
  windows.clock(2000);
  CHECK(windows.results() == "a 0 14 2");
  windows.clock(9000);
  CHECK(windows.results().empty());
  windows.drain();
  CHECK(windows.results() == "a 0 14 2; b 5 15 1; a 300 310 1");
}

TEST_CASE("sessions by the clock fire when the gap has passed, whatever the watermark") {
  WindowSpec spec = sessions();
  spec.time = TimeDomain::processing;
  Windowing windows{std::move(spec)};
  windows.clock(100);
  windows.push({{"a", 1, 7000}});
  windows.clock(105);
  windows.push({{"a", 1, 9000}, {"b", 1, 1}});
  windows.watermark(50'000);
  windows.clock(114);
  CHECK(windows.results().empty());
  CHECK(windows.timer().has_value());
  windows.clock(115);
  CHECK(windows.event_times().empty());
  CHECK(windows.results() == "a 100 115 2; b 105 115 1");
  CHECK(!windows.timer().has_value());
}

TEST_CASE("a session by the clock that is over takes no more records, also when its timer has yet to go off") {
  WindowSpec spec = sessions();
  spec.time = TimeDomain::processing;
  Windowing windows{std::move(spec)};
  windows.clock(100);
  windows.push({{"a", 1}});
  windows.context.clock = Timestamp{110};
  windows.push({{"a", 1}});
  CHECK(windows.results() == "a 100 110 1");
  windows.drain();
  CHECK(windows.results() == "a 110 120 1");
  CHECK(windows.counted_late() == 0);
}

TEST_CASE("having leaves out sessions") {
  WindowSpec spec = sessions();
  spec.having = Expression::compile("n > 1 AND key <> 'c'", **window_output_schema(spec, *input_schema())).value();
  Windowing windows{std::move(spec)};
  windows.push({{"a", 1, 0}, {"b", 1, 0}, {"b", 1, 1}, {"c", 1, 0}, {"c", 1, 0}});
  windows.drain();
  CHECK(windows.results() == "b 0 11 2");
}

TEST_CASE("a session operator waits for room and goes on where it stopped") {
  Windowing windows{sessions()};
  std::string expected;
  for (std::int64_t i = 0; i < 3; ++i) {
    std::vector<Record> records;
    for (std::int64_t k = 0; k < 4000; ++k) {
      const std::int64_t n = i * 4000 + k;
      records.push_back({"key number " + std::to_string(n), 1, n / 2});
      expected += (n == 0 ? "" : "; ") + *records.back().key + " " + std::to_string(n / 2) + " " +
                  std::to_string(n / 2 + gap) + " 1";
    }
    windows.push(records);
  }
  windows.out.always_full = true;
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

TEST_CASE("early results wait for room as well") {
  WindowSpec spec = sessions();
  spec.early = Duration{1000};
  Windowing windows{std::move(spec)};
  std::vector<Record> records;
  for (std::int64_t k = 0; k < 9000; ++k) records.push_back({"k" + std::to_string(k), 1, 0});
  windows.push(records);
  windows.out.always_full = true;
  windows.clock(1000);
  CHECK(windows.out.main.size() >= 2);
  CHECK(testing_support::rows_of(windows.out.main).size() == 9000);
}

TEST_CASE("keys that come and go leave the results of those that stay alone") {
  Windowing windows{sessions_allowing(3, {{"n", "count()"}, {"last", "last(key)"}})};
  const std::string lasting = "the key that stays";
  std::int64_t time = 0;
  for (int round = 0; round < 40; ++round) {
    std::vector<Record> records;
    for (int k = 0; k < 500; ++k) {
      records.push_back({"passing key " + std::to_string(round) + "/" + std::to_string(k), 1, time});
    }
    records.push_back({lasting, 1, time});
    windows.push(records);
    windows.watermark(time);
    time += gap;
  }
  CHECK(testing_support::rows_of(windows.out.main).size() == 39 * 500);
  windows.results();
  windows.watermark(time + gap + 100);
  const std::string all = windows.results();
  CHECK(all.starts_with(lasting + " 0 " + std::to_string(time) + " 40 " + lasting));
}

TEST_CASE("a sum that overflows while sessions merge is an error") {
  Windowing windows{sessions({{"total", "sum(v)"}})};
  windows.push({{"a", INT64_MAX, 20}, {"a", 1, 0}});
  const auto step = windows.process({{"a", 0, 10}});
  REQUIRE(!step.has_value());
  CHECK(step.error().message().find("overflows") != std::string::npos);
}
