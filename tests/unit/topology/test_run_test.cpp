#include "libdataflow/topology/test_run.hpp"

namespace dataflow {
namespace {

const std::string job = R"([sources.readings]
type = "collection"
schema = { date = "timestamp", city = "string", temperature = "float64" }
event_time = { field = "date" }
rows = [ { date = "2010-01-01T01:00:00", city = "Basel", temperature = 99.0 } ]
[operators.warm]
type = "filter"
input = "readings"
where = "temperature > 20"
[operators.hot]
type = "filter"
input = "warm"
where = "temperature > 30"
[sinks.out]
type = "print"
input = "hot"
[[tests]]
name = "t"
)";

TestOutcome run(const std::string& test) {
  const auto loaded = parse_topology(job + test, "job.toml", "/");
  std::string why;
  for (const Diagnostic& d : loaded.diagnostics) why += render(d);
  REQUIRE_MESSAGE(loaded.topology, why);
  return run_topology_test(*loaded.topology, loaded.topology->tests[0]);
}

TEST_CASE("given rows take the source's place") {
  const auto outcome = run(
      "given.readings = [ { date = \"2010-07-01T12:00:00\", temperature = 31.0 }, { date = \"2010-07-01T13:00:00\", "
      "temperature = 12.0 } ]\nexpect.hot = [ { temperature = 31.0 } ]\n");
  CHECK(outcome.passed());
}

TEST_CASE("given rows take an operator's place, and what is above it is left out") {
  const auto outcome =
      run("given.warm = [ { date = \"2010-07-01T12:00:00\", temperature = 31.0 } ]\nexpect.hot = [ { temperature = "
          "31.0 } ]\n");
  CHECK(outcome.passed());
}

TEST_CASE("a source that is not given has no records") {
  CHECK(run("expect.hot = []\n").passed());
}

TEST_CASE("rows that are missing and rows that nobody expected make a test fail") {
  const auto outcome =
      run("given.readings = [ { date = \"2010-07-01T12:00:00\", city = \"A\", temperature = 31.0 } ]\n"
          "expect.hot = [ { temperature = 32.0 } ]\n");
  CHECK_FALSE(outcome.passed());
  REQUIRE(outcome.comparisons.size() == 1);
  CHECK(outcome.comparisons[0].missing == std::vector<std::string>{"{\"temperature\":32.0}"});
  CHECK(outcome.comparisons[0].unexpected ==
        std::vector<std::string>{"{\"date\":\"2010-07-01T12:00:00Z\",\"city\":\"A\",\"temperature\":31.0}"});
}

TEST_CASE("order counts only when asked for") {
  const std::string given =
      "given.readings = [ { date = \"2010-07-01T12:00:00\", temperature = 31.0 }, { date = \"2010-07-01T13:00:00\", "
      "temperature = 35.0 } ]\nexpect.hot = [ { temperature = 35.0 }, { temperature = 31.0 } ]\n";
  CHECK(run(given).passed());
  const auto ordered = run("ordered = true\n" + given);
  CHECK_FALSE(ordered.passed());
  CHECK(ordered.comparisons[0].order_differs);
}

TEST_CASE("doubles are the same up to what another order of summing changes, and infinities only themselves") {
  const auto came = [](const std::string& expected) {
    return run("given.warm = [ { date = \"2010-07-01T12:00:00\", temperature = 300.0 }, { date = "
               "\"2010-07-01T13:00:00\", "
               "temperature = inf } ]\nexpect.hot = [ { temperature = " +
               expected + " }, { temperature = inf } ]\n")
        .passed();
  };
  CHECK(came("300.0000001"));
  CHECK(came("299.9999999"));
  CHECK_FALSE(came("300.000001"));
  CHECK_FALSE(came("inf"));
}

TEST_CASE("a big test that fails does not compare every row with every other") {
  std::string given;
  std::string expected;
  for (int i = 0; i < 20'000; ++i) {
    given += "{ date = \"2010-07-01T12:00:00\", city = \"A\", temperature = " + std::to_string(100 + i) + ".0 },";
    expected += "{ temperature = " + std::to_string(100 + i) + ".5 }, { city = \"" + (i % 2 == 0 ? "A" : "B") + "\" },";
  }
  const auto outcome = run("given.warm = [ " + given + " ]\nexpect.hot = [ " + expected + " ]\n");
  REQUIRE(outcome.comparisons.size() == 1);
  CHECK(outcome.comparisons[0].matched.size() == 10'000);
  CHECK(outcome.comparisons[0].missing.size() == 30'000);
  CHECK(outcome.comparisons[0].unexpected.size() == 10'000);
}

TEST_CASE("of equal rows as many match as came") {
  std::string given;
  std::string expected;
  for (int i = 0; i < 3'000; ++i) {
    if (i % 2 == 0) given += "{ date = \"2010-07-01T12:00:00\", city = \"A\", temperature = 50.0 },";
    expected += i % 3 == 0 ? "{ temperature = 50.0 }," : "{ city = \"A\" },";
  }
  const auto outcome = run("given.warm = [ " + given + " ]\nexpect.hot = [ " + expected + " ]\n");
  REQUIRE(outcome.comparisons.size() == 1);
  CHECK(outcome.comparisons[0].matched.size() == 1'500);
  CHECK(outcome.comparisons[0].missing.size() == 1'500);
  CHECK(outcome.comparisons[0].unexpected.empty());
}

TEST_CASE("expected rows that name different fields find the pairing that fits all") {
  // The first row also fits the second record; only one way round leaves none over.
  const auto outcome =
      run("given.readings = [ { date = \"2010-07-01T12:00:00\", city = \"A\", temperature = 31.0 }, { date = "
          "\"2010-07-01T13:00:00\", city = \"B\", temperature = 31.0 } ]\n"
          "expect.hot = [ { temperature = 31.0 }, { city = \"A\" } ]\n");
  CHECK(outcome.passed());
}

const std::string windowed = R"toml([sources.readings]
type = "collection"
schema = { date = "timestamp", temperature = "float64" }
event_time = { field = "date" }
rows = []
[operators.hourly]
type = "window"
input = "readings"
window = { tumbling = "1h" }
aggregate = { warmest = "max(temperature)" }
[operators.daily]
type = "window"
input = "hourly"
window = { tumbling = "1d" }
aggregate = { hours = "count()" }
[sinks.out]
type = "print"
input = "daily"
)toml";

TestOutcome run_windowed(const std::string& test) {
  const auto loaded = parse_topology(windowed + "[[tests]]\nname = \"t\"\n" + test, "job.toml", "/");
  std::string why;
  for (const Diagnostic& d : loaded.diagnostics) why += render(d);
  REQUIRE_MESSAGE(loaded.topology, why);
  return run_topology_test(*loaded.topology, loaded.topology->tests[0]);
}

TEST_CASE("given rows come one by one, so that one behind the watermark is late") {
  const auto outcome = run_windowed(
      "given.readings = [ { date = \"2010-01-01T00:10:00\", temperature = 1 }, "
      "{ date = \"2010-01-01T02:10:00\", temperature = 2 }, { date = \"2010-01-01T00:20:00\", temperature = 9 } ]\n"
      "expect.hourly = [ { warmest = 1.0 }, { warmest = 2.0 } ]\n"
      "expect.\"hourly.late\" = [ { temperature = 9.0 } ]\n");
  CHECK(outcome.passed());
}

TEST_CASE("the time of rows that replace a window's results is just before their window's end") {
  const auto outcome = run_windowed(
      "given.hourly = [ { window_end = \"2010-01-02T00:00:00\", warmest = 1 } ]\n"
      "expect.daily = [ { window_start = \"2010-01-01T00:00:00\", hours = 1 } ]\n");
  CHECK(outcome.passed());
}

}  // namespace
}  // namespace dataflow
