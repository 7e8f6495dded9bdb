#include "libdataflow/topology/topology.hpp"

#include <map>

namespace dataflow {
namespace {

const std::string source = R"([sources.readings]
type = "collection"
schema = { date = "timestamp", city = "string", temperature = "float64" }
event_time = { field = "date", out_of_orderness = "1h" }
rows = [ { date = "2010-01-01T01:00:00", city = "Basel", temperature = 4.0 } ]
)";
const std::string sink = "[sinks.out]\ntype = \"print\"\ninput = \"hot\"\n";

LoadedTopology load(const std::string& text, const LoadOptions& options = {}) {
  return parse_topology(text, "job.toml", "/base", options);
}

/// The messages of everything that is wrong, a line each.
std::string messages(const LoadedTopology& loaded) {
  std::string all;
  for (const Diagnostic& d : loaded.diagnostics)
    all += std::string{to_string(d.severity)} + " " + std::to_string(d.span.line) + ":" +
           std::to_string(d.span.column) + " " + d.message + (d.suggestion.empty() ? "" : " | " + d.suggestion) + "\n";
  return all;
}

TEST_CASE("a topology becomes a graph whose inputs come before their users") {
  const auto loaded = load("name = \"job\"\nparallelism = 3\n[restart]\nstrategy = \"fixed\"\nattempts = 7\n" + sink +
                           "[operators.hot]\ntype = \"filter\"\ninput = \"readings\"\nwhere = \"temperature > 23\"\n"
                           "uid = \"hot-v1\"\nparallelism = 2\n" +
                           source);
  REQUIRE_MESSAGE(loaded.topology, messages(loaded));
  const StreamGraph& graph = loaded.topology->graph;
  CHECK(graph.name == "job");
  CHECK(graph.settings.parallelism == 3);
  CHECK(graph.settings.restart.strategy == RestartSettings::Strategy::fixed);
  CHECK(graph.settings.restart.attempts == 7);
  REQUIRE(graph.nodes.size() == 3);
  CHECK(graph.nodes[0].name == "readings");
  CHECK(graph.nodes[0].source->event_time->out_of_orderness == std::chrono::hours{1});
  CHECK(graph.nodes[0].outputs[0].event_time);
  CHECK(graph.nodes[1].name == "hot");
  CHECK(graph.nodes[1].uid == "hot-v1");
  CHECK(graph.nodes[1].parallelism == 2);
  CHECK(graph.nodes[1].inputs[0].from == 0);
  CHECK(graph.nodes[1].defined_at == "job.toml:9");
  CHECK(graph.nodes[2].is_sink());
}

TEST_CASE("a mistake in an expression has its place inside of the text") {
  const auto loaded =
      load(source + "[operators.hot]\ntype = \"filter\"\ninput = \"readings\"\nwhere = \"temprature > 25\"\n" + sink);
  CHECK(messages(loaded) == "error 9:10 no column \"temprature\" in \"readings\" | did you mean \"temperature\"?\n");
  CHECK_FALSE(loaded.topology);
}

TEST_CASE("all mistakes come at once, and what only follows from one does not") {
  const auto loaded = load(R"(paralelism = 4
[sources.readings]
type = "collection"
schema = { date = "timestamp", temperature = "flot64" }
rows = []
[operators.hot]
type = "filter"
input = "readings"
where = "no_such_column > 25"
[operators.other]
type = "filtr"
input = "readins"
[sinks.out]
type = "print"
input = ["hot", "other.late"]
colour = "red"
)");
  CHECK(messages(loaded) ==
        "error 1:1 unknown key \"paralelism\" in a topology | did you mean \"parallelism\"?\n"
        "error 4:47 the type 'flot64' names no type: did you mean float64?\n"
        "error 11:9 unknown type \"filtr\" of operator | did you mean \"filter\"?\n"
        "error 12:10 no node \"readins\" | did you mean \"readings\"?\n"
        "error 16:1 unknown key \"colour\" in \"out\" (sink of type print) | it takes format, input, parallelism, "
        "type, uid\n");
}

TEST_CASE("behind a filter with a mistake the rest is still checked") {
  const auto loaded =
      load(source + "[operators.hot]\ntype = \"filter\"\ninput = \"readings\"\nwhere = \"temprature > 25\"\n" + sink +
           "[sinks.other]\ntype = \"print\"\ninput = \"hot.lat\"\n");
  CHECK(loaded.diagnostics.size() >= 1);
  CHECK(loaded.diagnostics[0].span.line == 9);
}

TEST_CASE("a cycle names its nodes") {
  const auto loaded =
      load(source +
           "[operators.a]\ntype = \"filter\"\ninput = [\"readings\", \"b\"]\nwhere = \"temperature > 1\"\n"
           "[operators.b]\ntype = \"filter\"\ninput = \"a\"\nwhere = \"temperature > 1\"\n"
           "[sinks.out]\ntype = \"print\"\ninput = \"b\"\n");
  REQUIRE(loaded.diagnostics.size() == 1);
  CHECK(loaded.diagnostics[0].message == "the nodes form a cycle: a -> b -> a");
  CHECK(loaded.diagnostics[0].span.line == 8);
}

TEST_CASE("names are unique over all sections, and of small letters") {
  const auto loaded = load(source +
                           "[operators.Hot]\ntype = \"filter\"\ninput = \"readings\"\nwhere = \"temperature > 1\"\n"
                           "[sinks.readings]\ntype = \"print\"\ninput = \"readings\"\n");
  REQUIRE(loaded.diagnostics.size() == 2);
  CHECK(loaded.diagnostics[0].suggestion == "for example \"hot\"");
  CHECK(loaded.diagnostics[1].message == "\"readings\" is already the name of a source: names are unique in the file");
}

TEST_CASE("an unknown side output suggests the known one") {
  const auto loaded =
      load(source +
           "[operators.hot]\ntype = \"route\"\ninput = \"readings\"\nroutes = { big = \"temperature > 1\" }\n"
           "[sinks.out]\ntype = \"print\"\ninput = \"hot.bigg\"\n"
           "[sinks.errors]\ntype = \"print\"\ninput = \"readings.errors\"\n");
  CHECK(messages(loaded) ==
        "error 12:10 \"hot\" has no output \"bigg\" | did you mean \"hot.big\"?\n"
        "error 15:10 \"readings\" has no output \"errors\" | set on_error = \"side_output\" in \"readings\"\n");
}

TEST_CASE("a union needs equal schemas") {
  const auto loaded = load(source + R"([sources.others]
type = "collection"
schema = { date = "timestamp" }
rows = []
[sinks.out]
type = "print"
input = ["readings", "others"]
)");
  REQUIRE(loaded.diagnostics.size() == 1);
  CHECK(loaded.diagnostics[0].span.line == 12);
  CHECK(loaded.diagnostics[0].span.column == 23);
  CHECK(loaded.diagnostics[0].suggestion == "make them equal with a select");
}

TEST_CASE("empty names and a parallelism beyond the key groups are marked where they are said") {
  CHECK(messages(load("name = \"\"\nmax_parallelism = 16\n" + source +
                      "parallelism = 17\n[sinks.out]\ntype = \"print\"\ninput = \"readings\"\nuid = \"\"\n")) ==
        "error 1:8 \"name\" is empty | without it the file's name is the job's\n"
        "error 8:15 \"parallelism\" must be from 1 to 16 (max_parallelism)\n"
        "error 12:7 \"uid\" is empty | without it the node's name is its identity\n");
}

TEST_CASE("a key of [restart] that is for another strategy is refused") {
  const auto with = [](const std::string& keys) {
    return messages(load("[restart]\n" + keys + source + "[sinks.out]\ntype = \"print\"\ninput = \"readings\"\n"));
  };
  CHECK(with("strategy = \"exponential\"\nattempts = 3\n") ==
        "error 3:1 \"attempts\" is for the strategy \"fixed\", and this is \"exponential\" | leave it out, or write "
        "strategy = \"fixed\"\n");
  CHECK(with("delay = \"1s\"\n") ==
        "error 2:1 \"delay\" is for the strategy \"fixed\" or \"failure_rate\", and this is \"exponential\" | leave it "
        "out, "
        "or write strategy = \"fixed\"\n");
  CHECK(with("strategy = \"none\"\ninterval = \"1s\"\n").starts_with("error 3:1 \"interval\" is for the strategy"));
  CHECK(with("strategy = \"fixed\"\nattempts = 1\ndelay = \"1s\"\n").empty());
  CHECK(with("strategy = \"failure_rate\"\nmax_failures = 1\ndelay = \"1s\"\ninterval = \"1s\"\n").empty());
  CHECK(with("initial_delay = \"1s\"\nmax_delay = \"1s\"\nreset_after = \"1s\"\n").empty());
}

TEST_CASE("control characters in a job's name are refused") {
  CHECK(messages(
            load("name = \"\\u001b[31mred\"\n" + source + "[sinks.out]\ntype = \"print\"\ninput = \"readings\"\n")) ==
        "error 1:8 \"name\" has a control character\n");
}

TEST_CASE("columns need names") {
  const auto with = [](const std::string& keys) {
    return messages(load(source + "[operators.hot]\ntype = \"select\"\ninput = \"readings\"\n" + keys + "\n" + sink));
  };
  CHECK(with("fields = { \"\" = \"city\" }") == "error 9:12 a name in \"fields\" is empty\n");
  CHECK(with("add = { \"\" = \"city\" }") == "error 9:9 a name in \"add\" is empty\n");
  CHECK(with("rename = { city = \"\" }") == "error 9:20 the new name of \"city\" is empty\n");
}

TEST_CASE("a field twice in a list of keys is marked where it is there again") {
  const auto window = load(source +
                           "[operators.hot]\ntype = \"window\"\ninput = \"readings\"\nkey_by = [\"city\", \"city\"]\n"
                           "window = { tumbling = \"1d\" }\naggregate = { n = \"count()\" }\n" +
                           sink);
  CHECK(messages(window) == "error 9:20 \"city\" is there twice\n");
  const auto partitions = load(source +
                               "[sinks.out]\ntype = \"file\"\ninput = \"readings\"\npath = \"out\"\n"
                               "partition_by = [\"city\", \"date\", \"city\"]\nroll_size = \"0B\"\n");
  CHECK(messages(partitions) ==
        "error 10:34 \"city\" is there twice\n"
        "error 11:14 must be at least one byte | roll_size = \"64MiB\"\n");
}

TEST_CASE("two file sinks that do not say that they share a folder have one each") {
  const auto with = [](const std::string& on_existing) {
    return messages(load(source + "[sinks.one]\ntype = \"file\"\ninput = \"readings\"\npath = \"out\"\n" +
                         "[sinks.two]\ntype = \"file\"\ninput = \"readings\"\npath = \"x/../out/\"\n" + on_existing));
  };
  CHECK(with("") ==
        "error 13:9 \"one\" and \"two\" would both write into this folder | "
        "give each a folder of its own, or say on_existing = \"append\" to share it\n");
  CHECK(with("on_existing = \"append\"\n") == "");
}

TEST_CASE("a mistake in a text of several lines is marked in its line, unless something was put in before") {
  LoadOptions options;
  options.environment = [](const std::string&) { return std::optional<std::string>{"Basel"}; };
  const auto with = [&](const std::string& where) {
    return messages(load(
        source + "[operators.hot]\ntype = \"filter\"\ninput = \"readings\"\nwhere = " + where + "\n" + sink, options));
  };
  CHECK(with("\"\"\"\n  temperature > 23\n  AND citi = 'Basel'\n\"\"\"") ==
        "error 11:7 no column \"citi\" in \"readings\" | did you mean \"city\"?\n");
  CHECK(with("'''citi = 'Basel''''") == "error 9:12 no column \"citi\" in \"readings\" | did you mean \"city\"?\n");
  CHECK(with("\"\"\"\n  citi = '${CITY}'\"\"\"") ==
        "error 10:3 no column \"citi\" in \"readings\" | did you mean \"city\"?\n");
  CHECK(with("\"\"\"\n  '${CITY}' = citi\"\"\"") ==
        "error 9:9 no column \"citi\" in \"readings\" | did you mean \"city\"?\n");
}

TEST_CASE("a node that reaches no sink is a warning") {
  const auto loaded =
      load(source + "[operators.hot]\ntype = \"filter\"\ninput = \"readings\"\nwhere = \"temperature > 1\"\n");
  CHECK(loaded.topology);
  CHECK(loaded.diagnostics.size() == 2);
  CHECK_FALSE(has_errors(loaded.diagnostics));
}

TEST_CASE("event time must be a timestamp of the schema") {
  const auto with = [](const std::string& event_time) {
    return messages(
        load("[sources.hot]\ntype = \"collection\"\nschema = { date = \"timestamp\", n = \"int64\" }\nrows = []\n"
             "event_time = " +
             event_time + "\n" + sink));
  };
  CHECK(with("{ field = \"date\" }") == "");
  CHECK(with("{ field = \"dat\" }") ==
        "error 5:25 no column \"dat\" in the schema of \"hot\" | did you mean \"date\"?\n");
  CHECK(with("{ field = \"n\" }") ==
        "error 5:25 event time must be a timestamp, \"n\" is int64 | in the schema: "
        "timestamp, timestamp_s, timestamp_ms or timestamp_us\n");
  CHECK(with("{ field = \"date\", out_of_orderness = \"-1s\" }") ==
        "error 5:52 \"out_of_orderness\" must not be negative\n");
  CHECK(with("{ fild = \"date\" }") == "error 5:16 unknown key \"fild\" in \"event_time\" | did you mean \"field\"?\n");
  CHECK(with("{}") == "error 5:14 event time needs either a field or an expression | { field = \"date\" }\n");
  CHECK(with("{ field = \"date\", expression = \"date\" }") ==
        "error 5:14 event time needs either a field or an expression | { field = \"date\" }\n");
  CHECK(with("{ expression = \"to_timestamp('2026', 'yyyy')\" }") == "");
  CHECK(with("{ expression = \"1 + n\" }") ==
        "error 5:30 event time must be a timestamp, this is int64 | in the schema: "
        "timestamp, timestamp_s, timestamp_ms or timestamp_us\n");
  CHECK(with("{ expression = \"1 + m\" }") == "error 5:34 no column \"m\" in \"hot\" | it has date, n\n");
}

TEST_CASE("--set changes a key and is shown when it is wrong") {
  const std::string text =
      source + "[operators.hot]\ntype = \"filter\"\ninput = \"readings\"\nwhere = \"temperature > 23\"\n" + sink;
  LoadOptions options;
  options.overrides = {"operators.hot.where=temperature > 99", "parallelism=2"};
  const auto loaded = load(text, options);
  REQUIRE_MESSAGE(loaded.topology, messages(loaded));
  CHECK(loaded.topology->graph.nodes[1].details == "temperature > 99");
  CHECK(loaded.topology->graph.settings.parallelism == 2);

  options.overrides = {"operators.hot.where=temprature > 99", "operators.hott.where=x"};
  const auto wrong = load(text, options);
  REQUIRE(wrong.diagnostics.size() == 2);
  CHECK(wrong.diagnostics[0].message == "no node \"hott\" in [operators]");
  CHECK(wrong.diagnostics[1].file == "--set");
  CHECK(wrong.diagnostics[1].source_line == "operators.hot.where='temprature > 99'");
  CHECK(wrong.diagnostics[1].span.column == 22);
}

TEST_CASE("values from the environment work and show nowhere") {
  LoadOptions options;
  options.environment = [](const std::string& name) -> std::optional<std::string> {
    const std::map<std::string, std::string> known = {{"LIMIT", "23.75"}, {"COLUMN", "hush_hush"}, {"N", "2"}};
    const auto found = known.find(name);
    return found == known.end() ? std::nullopt : std::optional{found->second};
  };
  const auto loaded = load("parallelism = \"${N}\"\n" + source +
                               "[operators.hot]\ntype = \"filter\"\ninput = \"readings\"\n"
                               "where = \"temperature > ${LIMIT}\"\n" +
                               sink,
                           options);
  REQUIRE_MESSAGE(loaded.topology, messages(loaded));
  CHECK(loaded.topology->graph.settings.parallelism == 2);
  CHECK(loaded.topology->graph.nodes[1].details == "temperature > ${LIMIT}");

  const auto wrong = load(
      source + "[operators.hot]\ntype = \"filter\"\ninput = \"readings\"\nwhere = \"${COLUMN} > 1\"\n" + sink, options);
  REQUIRE(wrong.diagnostics.size() == 1);
  CHECK(wrong.diagnostics[0].message.find("hush") == std::string::npos);
  CHECK(wrong.diagnostics[0].message.find("${COLUMN}") != std::string::npos);
}

TEST_CASE("a variable that is not set is the only mistake of its value") {
  const auto loaded =
      load(source + "[operators.hot]\ntype = \"filter\"\ninput = \"readings\"\nwhere = \"${NOT_SET} > 1\"\n" + sink,
           {{}, [](const std::string&) { return std::nullopt; }});
  CHECK(messages(loaded) ==
        "error 9:10 the environment variable NOT_SET is not set | set it, or give a default: ${NOT_SET:-...}\n");
}

TEST_CASE("settings of checkpoints are checked") {
  const std::string rest = "[sinks.hot2]\ntype = \"print\"\ninput = \"readings\"\n" + source;
  const std::string table = "[checkpoint]\ninterval = \"10s\"\nstorage = \"file:///tmp/c\"\n";
  const auto loaded = load(table + "retain = 5\n[state]\nbackend = \"heap\"\n" + rest);
  REQUIRE(loaded.topology);
  CHECK(loaded.diagnostics.empty());
  const auto& checkpoint = loaded.topology->graph.settings.checkpoint;
  REQUIRE(checkpoint);
  CHECK(checkpoint->interval == std::chrono::seconds{10});
  CHECK(checkpoint->storage == "file:///tmp/c");
  CHECK(checkpoint->retain == 5);
  CHECK_FALSE(checkpoint->tolerable_failures);
  CHECK_FALSE(load(rest).topology->graph.settings.checkpoint);
  CHECK(messages(load(table + "mode = \"unaligned\"\n" + rest)).find("error 4:8") != std::string::npos);
  CHECK(messages(load("[checkpoint]\ninterval = \"10s\"\n" + rest)).find("storage") != std::string::npos);
  CHECK(messages(load("parallelism = 200\n" + rest)) ==
        "error 1:15 \"parallelism\" must be from 1 to 128 (max_parallelism)\n");
}

TEST_CASE("settings of state are read") {
  const std::string rest = "[sinks.hot2]\ntype = \"print\"\ninput = \"readings\"\n" + source;
  CHECK(load(rest).topology->graph.settings.state.backend == StateBackendKind::heap);
  const auto loaded = load("memory = \"100MiB\"\n[state]\nbackend = \"rocksdb\"\n" + rest);
  REQUIRE(loaded.topology);
  CHECK(loaded.diagnostics.empty());
  CHECK(loaded.topology->graph.settings.state.backend == StateBackendKind::rocksdb);
  CHECK(loaded.topology->graph.settings.state_memory_bytes() == 50U << 20);
  const auto given = load("[state]\nbackend = \"rocksdb\"\nmemory = \"64MiB\"\n" + rest);
  CHECK(given.topology->graph.settings.state_memory_bytes() == 64U << 20);
  CHECK(messages(load("[state]\nbackend = \"rocksdb\"\nmemory = \"1MiB\"\n" + rest)) ==
        "error 3:10 \"memory\" must be at least 16MiB\n");
  CHECK(messages(load("[state]\nmemory = \"64MiB\"\n" + rest)).starts_with("warning 2:10"));
  const auto batch = load("mode = \"batch\"\n[state]\nmemory = \"64MiB\"\n" + rest);
  CHECK(batch.diagnostics.empty());
  CHECK(batch.topology->graph.settings.state_memory_bytes() == 64U << 20);
}

TEST_CASE("a file that is no TOML, empty or of other things does not get far") {
  CHECK(load("[[[").diagnostics.size() == 1);
  CHECK(load("").diagnostics.size() == 1);
  CHECK_FALSE(load("sources = 1\nsinks = [1]\n[operators]\na = 1\n").topology);
  CHECK_FALSE(load_topology("/no/such/file.toml").topology);
  CHECK_FALSE(load_topology("/").topology);
}

TEST_CASE("rows of tests are typed by the node's schema, and mistakes in them are found") {
  const std::string job =
      source + "[operators.hot]\ntype = \"filter\"\ninput = \"readings\"\nwhere = \"temperature > 23\"\n" + sink;
  const auto loaded = load(job + R"([[tests]]
name = "t"
ordered = true
given.readings = [ { date = "2010-01-01T00:00:00", temperature = 31 } ]
expect.hot = [ { temperature = 31.0 } ]
)");
  REQUIRE_MESSAGE(loaded.topology, messages(loaded));
  REQUIRE(loaded.topology->tests.size() == 1);
  const TopologyTest& test = loaded.topology->tests[0];
  CHECK(test.ordered);
  CHECK(test.given[0].rows[0] == std::vector<Value>{std::int64_t{1262304000000000}, {}, 31.0});
  CHECK(test.expect[0].named_fields[0] == std::vector<std::size_t>{2});

  const auto wrong = load(job + R"([[tests]]
nam = "t"
given.reading = [ ]
expect.hot = [ { temprature = 31.0, temperature = "hot", date = 5 } ]
expect.out = []
)");
  CHECK(messages(wrong) ==
        "error 13:1 a test needs a name | name = \"what it shows\"\n"
        "error 14:1 unknown key \"nam\" in a test | did you mean \"name\"?\n"
        "error 15:7 no node \"reading\" | did you mean \"readings\"?\n"
        "error 16:18 no column \"temprature\" in \"hot\" | did you mean \"temperature\"?\n"
        "error 16:51 \"temperature\": expected float64, this is a text\n"
        "error 16:65 \"date\": expected timestamp, this is an integer\n"
        "error 17:8 \"out\" is a sink: nothing comes out of it | name the node that it reads\n");
}

}  // namespace
}  // namespace dataflow
