// From a collection of readings, filter those above 25 degrees, and print them.

#include <dataflow/dataflow.hpp>

namespace df = dataflow;

struct Reading {
  std::string sensor;
  double temperature = 0;
};
DATAFLOW_RECORD(Reading, sensor, temperature)

int main(int argc, char** argv) {
  df::Environment env{argc, argv};
  env.from_collection<Reading>({{"sensor-1", 22}, {"sensor-1", 30}, {"sensor-2", 40}})
      .filter([](const Reading& reading) { return reading.temperature > 25; })
      .print();
  return env.execute("temperature_monitor");
}
