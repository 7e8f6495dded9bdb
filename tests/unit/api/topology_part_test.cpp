// Topology files inside of C++ jobs, and what sources may leave out because no record has it.
#include <dataflow/testing.hpp>

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

namespace df = dataflow;
using namespace std::chrono_literals;
using df::testing::run;

namespace {

struct Reading {
  std::string city;
  double celsius = 0;
};
DATAFLOW_RECORD(Reading, city, celsius)
struct City {
  std::string city;
};
DATAFLOW_RECORD(City, city)
struct Whole {
  std::string city;
  df::Timestamp time;
  double celsius = 0;
  std::int64_t station = 0;
};
DATAFLOW_RECORD(Whole, city, time, celsius, station)

constexpr const char* topology = R"toml(name = "part"
[sources.readings]
type   = "file"
path   = "readings.csv"
format = "csv"
schema = { station = "int64", time = "timestamp", celsius = "float64", city = "string" }
event_time = { field = "time" }

[operators.warm]
type  = "filter"
input = "readings"
where = "celsius > 0"

[operators.daily]
type = "window"
input = "warm"
key_by = ["city"]
window = { tumbling = "1d" }
aggregate = { high = "max(celsius)" }
)toml";

/// A folder with the topology and its data, for as long as a test runs.
class Folder {
 public:
  Folder() : path_{std::filesystem::temp_directory_path() / ("dataflow-part-" + std::to_string(getpid()))} {
    std::filesystem::create_directories(path_);
    std::ofstream{path_ / "part.toml"} << topology;
    // The station of the second line is no number.
    std::ofstream{path_ / "readings.csv"} << "station,time,celsius,city\n"
                                             "1,2024-01-01T00:00:00,5,Bern\n"
                                             "x,2024-01-01T01:00:00,7,Basel\n"
                                             "3,2024-01-02T00:00:00,-1,Bern\n";
    file() = (path_ / "part.toml").string();
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  static std::string& file() {
    static std::string name;
    return name;
  }

 private:
  std::filesystem::path path_;
};

/// The fields that the first source still decodes, after the graph's readers have been asked.
std::string fields_read(void (*job)(df::Environment&)) {
  df::Environment env;
  job(env);
  const auto graph = env.build("job");
  REQUIRE_MESSAGE(graph, graph.error().message());
  std::string names;
  const df::StreamNode& source = graph->nodes.front();
  for (const df::StreamNode& node : graph->nodes) {
    if (node.inputs.empty() || node.inputs[0].from != source.id) continue;
    const auto use = node.factory->field_use();
    if (!use) return "all";
    for (const std::size_t field : use->reads) names += (*source.outputs[0].schema)[field].name + " ";
    if (!use->passing_outputs.empty()) names += "(passing)";
  }
  return names;
}

TEST_CASE("a topology's nodes are streams of a C++ job by name, with the fields that a record names") {
  const Folder folder;
  const auto outputs = run([](df::Environment& env) {
    const auto part = env.topology(Folder::file());
    part.stream<Reading>("warm")
        .map([](const Reading& r) {
          return Reading{r.city, r.celsius * 2};
        })
        .print()
        .named("doubled");
    part.stream<City>("daily").print().named("cities");
  });
  CHECK(outputs.json_of("doubled") == "{\"city\":\"Bern\",\"celsius\":10.0}\n{\"city\":\"Basel\",\"celsius\":14.0}\n");
  CHECK(outputs.of<City>("cities").size() == 2);
}

TEST_CASE("event time of a topology's source goes on into the job") {
  const Folder folder;
  const auto outputs = run([](df::Environment& env) {
    env.topology(Folder::file())
        .stream<Reading>("warm")
        .key_by(&Reading::city)
        .window(df::tumbling(24h))
        .reduce([](const Reading& a, const Reading& b) { return a.celsius > b.celsius ? a : b; })
        .named("warmest")
        .print();
  });
  CHECK(outputs.of<Reading>("print").size() == 2);
}

TEST_CASE("a file that is wrong, or a node that it has not, is a mistake at the job's line") {
  const Folder folder;
  const auto mistake = [](void (*job)(df::Environment&)) {
    df::Environment env;
    job(env);
    const auto graph = env.build("job");
    REQUIRE(!graph);
    return graph.error().message();
  };
  const std::string unknown = mistake([](df::Environment& env) {
    env.topology(Folder::file()).stream<City>("cold").discard();
    env.topology(Folder::file() + "x");
  });
  CHECK(unknown.find("topology_part_test.cpp:") == 0);
  CHECK(unknown.find("the topology has no node \"cold\"") != std::string::npos);
  CHECK(unknown.find("part.tomlx") != std::string::npos);
  std::ofstream{Folder::file(), std::ios::app}
      << "[operators.x]\ntype = \"filter\"\ninput = \"warm\"\nwhere = \"nil > 1\"\n";
  const std::string wrong =
      mistake([](df::Environment& env) { env.topology(Folder::file()).stream<City>("warm").discard(); });
  CHECK(wrong.find("topology_part_test.cpp:") == 0);
  CHECK(wrong.find("no column \"nil\"") != std::string::npos);
}

class Cities : public df::KeyedProcess<std::int64_t, City, City> {
 public:
  void process(const City& c, Context&, df::Output<City>& out) override { out.emit(c); }
};
class CitySink : public df::Sink<City> {
 public:
  void write(const City&) override {}
};

TEST_CASE("typed operators read the fields of their record and their key, and a filter passes the others on") {
  const auto narrow = [](df::Environment& env) {
    return df::Stream<City>{env.plan(), env.from_collection<Whole>({}).info()};
  };
  static const auto narrow_of = narrow;
  CHECK(fields_read([](df::Environment& env) { narrow_of(env).map([](const City& c) { return c.city; }).discard(); }) ==
        "city ");
  CHECK(fields_read([](df::Environment& env) { narrow_of(env).filter([](const City&) { return true; }).discard(); }) ==
        "city (passing)");
  CHECK(fields_read([](df::Environment& env) {
          narrow_of(env)
              .filter([](const City&) { return true; })
              .map([](const City& c) { return c.city.size() > 1; })
              .discard();
        }) == "city city ");
  CHECK(fields_read([](df::Environment& env) {
          narrow_of(env).flat_map([](const City& c) { return std::vector<City>{c}; }).discard();
        }) == "city ");
  CHECK(fields_read([](df::Environment& env) { narrow_of(env).to(CitySink{}); }) == "city ");
  CHECK(fields_read([](df::Environment& env) {
          narrow_of(env)
              .key_by([](const City& c) { return static_cast<std::int64_t>(c.city.size()); })
              .process<Cities>()
              .named("c")
              .discard();
        }) == "all");
  CHECK(fields_read([](df::Environment& env) {
          df::StreamInfo keyed = narrow_of(env).info();
          keyed.key_fields = {3};
          df::KeyedStream<City, std::int64_t>{narrow_of(env), keyed}.process<Cities>().named("c").discard();
        }) == "station city ");
}

TEST_CASE("what no record of the job has is not decoded, and is no error when it is malformed") {
  const Folder folder;
  const auto outputs = run([](df::Environment& env) {
    env.topology(Folder::file()).stream<Reading>("readings").map([](const Reading& r) { return r.city; }).print();
  });
  CHECK(outputs.of<std::string>("print") == std::vector<std::string>{"Bern", "Basel", "Bern"});
  CHECK_THROWS_WITH(run([](df::Environment& env) { env.topology(Folder::file()).stream<Whole>("readings").discard(); }),
                    doctest::Contains("station"));
}

TEST_CASE("a filter in front of a computed key leaves its records out") {
  const auto outputs = run([](df::Environment& env) {
    env.from_collection<Reading>({{"Bern", 1}, {"Basel", 2}, {"Chur", 3}})
        .filter([](const Reading& r) { return r.celsius != 2; })
        .key_by([](const Reading& r) { return static_cast<std::int64_t>(r.city.size()); })
        .reduce([](const Reading& a, const Reading& b) {
          return Reading{a.city, a.celsius + b.celsius};
        })
        .named("sums")
        .print();
  });
  CHECK(outputs.json_of("print") == "{\"city\":\"Bern\",\"celsius\":1.0}\n{\"city\":\"Bern\",\"celsius\":4.0}\n");
}

}  // namespace
