// Topologies with something broken at random: whatever comes of them is a job or a list of mistakes that can be shown,
// each with a place inside of the file.

#include <algorithm>
#include <cstdlib>
#include <random>

#include "libdataflow/topology/text_position.hpp"
#include "libdataflow/topology/topology.hpp"

namespace dataflow {
namespace {

const std::string whole = R"(name = "job"
parallelism = 2
memory = "64MiB"
[restart]
strategy = "fixed"
[sources.readings]
type = "file"
path = "${FOLDER:-data}/readings.csv"
format = "csv"
schema = { date = "timestamp", "city name" = "string", temperature = "float64" }
event_time = { field = "date", out_of_orderness = "1h" }
on_error = "side_output"
[operators.hot]
type = "filter"
input = ["readings"]
where = "temperature > 23 AND \"city name\" <> 'ä'"
[operators.named]
type = "select"
input = "hot"
add = { fahrenheit = "temperature * 1.8 + 32" }
drop = ["date"]
[operators.sizes]
type = "route"
input = "named"
[operators.sizes.routes]
big = "fahrenheit > 100"
[sinks.alerts]
type = "print"
input = ["sizes.big", "sizes.default"]
[sinks.bad]
type = "discard"
input = "readings.errors"
[[tests]]
name = "t"
given.readings = [ { date = "2010-07-01T12:00:00", temperature = 31.0 } ]
expect.hot = [ { temperature = 31.0 } ]
)";

std::string mutated(std::mt19937_64& random) {
  std::string text = whole;
  const auto at = [&](std::size_t size) { return std::uniform_int_distribution<std::size_t>{0, size}(random); };
  for (std::size_t changes = 1 + at(3); changes > 0; --changes) {
    const std::size_t from = at(text.size());
    const std::size_t length = std::min(at(12), text.size() - from);
    switch (at(4)) {
      case 0: text.erase(from, length); break;
      case 1: text.insert(from, text.substr(at(text.size()), at(30))); break;
      case 2: text.insert(from, 1, static_cast<char>(at(255))); break;
      case 3: text.insert(from, std::string{"\"'[]{}=.$\n#,"}.substr(at(11), 1)); break;
      default: text.replace(from, length, text.substr(at(text.size()), at(12)));
    }
  }
  return text;
}

TEST_CASE("a topology with random damage is a job or a list of mistakes with places in the file") {
  const char* given = std::getenv("DATAFLOW_SEED");
  const std::uint64_t seed = given ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  CAPTURE(seed);
  const char* repeat = std::getenv("DATAFLOW_LONG_TESTS");
  const int rounds = repeat && *repeat == '1' ? 1'000'000 : 20'000;
  std::mt19937_64 random{seed};
  LoadOptions options;
  options.environment = [](const std::string&) { return std::nullopt; };
  int good = 0;
  for (int round = 0; round < rounds; ++round) {
    const std::string text = mutated(random);
    const LoadedTopology loaded = parse_topology(text, "t.toml", "/nonexistent", options);
    good += loaded.topology.has_value();
    CAPTURE(round);
    CAPTURE(text);
    REQUIRE(loaded.topology.has_value() != has_errors(loaded.diagnostics));
    const auto lines = static_cast<std::uint32_t>(std::count(text.begin(), text.end(), '\n')) + 1;
    for (const Diagnostic& diagnostic : loaded.diagnostics) {
      REQUIRE_FALSE(diagnostic.message.empty());
      REQUIRE(diagnostic.span.line >= 1);
      REQUIRE(diagnostic.span.line <= lines);
      REQUIRE(diagnostic.span.column >= 1);
      REQUIRE(diagnostic.span.column <= diagnostic.source_column + character_count(diagnostic.source_line));
      REQUIRE_FALSE(render(diagnostic).empty());
    }
  }
  // Else only the TOML parser would be tested.
  CHECK(good > rounds / 100);
}

TEST_CASE("the topology that is damaged is a good one") {
  CHECK(parse_topology(whole, "t.toml", "/nonexistent").topology);
}

}  // namespace
}  // namespace dataflow
