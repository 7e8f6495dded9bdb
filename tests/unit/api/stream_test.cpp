#include <dataflow/dataflow.hpp>

#include <doctest/doctest.h>

#include "libdataflow/runtime/collect_sink.hpp"
#include "libdataflow/runtime/local_executor.hpp"

namespace df = dataflow;
using namespace std::chrono_literals;

namespace {

struct Reading {
  std::string sensor;
  std::int64_t celsius = 0;
};
DATAFLOW_RECORD(Reading, sensor, celsius)

struct Fahrenheit {
  std::string sensor;
  double degrees = 0;
  std::optional<std::string> note;
};
DATAFLOW_RECORD(Fahrenheit, sensor, degrees, note)

TEST_CASE("a collection filtered and mapped gives the records in order") {
  df::Environment env;
  std::vector<Fahrenheit> results;
  env.from_collection<Reading>({{"sensor-1", 22}, {"sensor-1", 30}, {"sensor-2", 40}})
      .filter([](const Reading& r) { return r.celsius > 25; })
      .map([](const Reading& r) {
        return Fahrenheit{r.sensor, static_cast<double>(r.celsius) * 1.8 + 32,
                          r.celsius > 35 ? std::optional<std::string>{"hot"} : std::nullopt};
      })
      .print();
  auto graph = env.build("monitor");
  REQUIRE(graph);
  CHECK(graph->nodes.size() == 3);  // the filter is part of the map
  auto executor = df::LocalExecutor::create(std::move(*graph));
  REQUIRE(executor);
  const auto status = (*executor)->run();
  if (!status) MESSAGE(status.error().message());
  CHECK(status);
}

}  // namespace
