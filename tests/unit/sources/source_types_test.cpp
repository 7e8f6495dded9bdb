#include "libdataflow/sources/source_types.hpp"

#include <doctest/doctest.h>

#include "libdataflow/topology/topology.hpp"
#include "tests/unit/sources/reading.hpp"

using namespace dataflow;
using dataflow::testing::read_all;

namespace {

/// A topology with one source, and its rows discarded.
LoadedTopology with_source(const std::string& keys) {
  return parse_topology("name = \"t\"\n[sources.s]\n" + keys + "\n[sinks.d]\ntype = \"discard\"\ninput = \"s\"\n",
                        "t.toml", "/data");
}

std::string rows_of(const std::string& keys) {
  const LoadedTopology loaded = with_source(keys);
  if (!loaded.topology) return loaded.diagnostics.empty() ? "?" : loaded.diagnostics[0].message;
  return read_all(*loaded.topology->graph.nodes[0].source->factory).rows;
}

std::vector<std::string> mistakes(const std::string& keys) {
  std::vector<std::string> messages;
  for (const Diagnostic& diagnostic : with_source(keys).diagnostics) messages.push_back(diagnostic.message);
  return messages;
}

const std::string every_type =
    "type = \"collection\"\nschema = { b = \"bool\", i = \"int32\", f = \"float64\", d = \"decimal(5,2)\", s = "
    "\"string\", y = \"bytes\", t = \"timestamp\", e = \"timestamp_s\" }\n";

}  // namespace

TEST_CASE("collection: rows become values of the schema's types; what is left out is NULL") {
  CHECK(rows_of(every_type + "rows = [ { b = true, i = -1, f = 2, d = 1.25, s = \"x\", y = \"YQ==\", t = "
                             "\"2010-01-01T01:00:00\", e = 1262307600 }, {} ]") ==
        "{\"b\":true,\"i\":-1,\"f\":2.0,\"d\":1.25,\"s\":\"x\",\"y\":\"YQ==\",\"t\":\"2010-01-01T01:00:00Z\",\"e\":"
        "\"2010-01-01T01:00:00Z\"}\n"
        "{\"b\":null,\"i\":null,\"f\":null,\"d\":null,\"s\":null,\"y\":null,\"t\":null,\"e\":null}\n");
}

TEST_CASE("collection: each wrong value names its row and field") {
  CHECK(mistakes(every_type + "rows = [ {}, { b = 1, i = 2147483648, f = \"1\", d = 1.255, s = 5, y = \"*\", t = "
                              "\"soon\", e = \"2010-01-01\", x = 1 } ]") ==
        std::vector<std::string>{
            "row 2: field \"b\": \"1\" is not a bool", "row 2: field \"i\": \"2147483648\" is not an int32",
            "row 2: field \"f\": \"1\" is not a float64", "row 2: field \"d\": \"1.255\" is not a decimal(5,2)",
            "row 2: field \"s\": \"5\" is not a string", "row 2: field \"y\": \"*\" is not a bytes",
            "row 2: field \"t\": \"soon\" is not a timestamp such as 2010-01-01T01:00:00",
            "row 2: field \"e\": \"2010-01-01\" is not a timestamp in whole seconds since 1970",
            "row 2: the schema has no field \"x\""});
  CHECK(mistakes("type = \"collection\"\nrows = []").at(0) == "a collection needs a schema");
}

TEST_CASE("generate: its options reach the rows") {
  CHECK(rows_of("type = \"generate\"\ncount = 2\nstart = \"2024-01-01T00:00:00\"\ninterval = \"1h\"\n"
                "fields = { n = \"seq()\", at = \"time()\" }") ==
        "{\"n\":0,\"at\":\"2024-01-01T00:00:00Z\"}\n{\"n\":1,\"at\":\"2024-01-01T01:00:00Z\"}\n");
  CHECK(mistakes("type = \"generate\"\ncount = -1\nstart = \"soon\"\nfields = { n = \"seq()\" }").size() == 2);
}

TEST_CASE("generate: time may stand still, but does not go back") {
  const std::string one = "type = \"generate\"\ncount = 1\nfields = { at = \"time()\" }\ninterval = ";
  CHECK(mistakes(one + "\"-1s\"").at(0) == "\"interval\" must not be negative");
  CHECK(mistakes(one + "\"0s\"").empty());
}

TEST_CASE("generate: its functions take no arguments, which is said of them") {
  const LoadedTopology loaded = with_source("type = \"generate\"\nfields = { x = \"1 + Random(1)\", y = \"seq(2)\" }");
  REQUIRE(loaded.diagnostics.size() == 2);
  CHECK(loaded.diagnostics[0].message == "random takes no arguments");
  CHECK(loaded.diagnostics[0].suggestion == "write random()");
  CHECK(loaded.diagnostics[0].span.column == 21);
  CHECK(loaded.diagnostics[1].message == "seq takes no arguments");
}

TEST_CASE("file: a path is needed, and a limit of records that the reader can keep to") {
  const std::string file = "type = \"file\"\nformat = \"lines\"\n";
  CHECK(mistakes(file + "path = \"\"").at(0) == "\"path\" is empty");
  CHECK(mistakes(file + "path = \"${NOWHERE_SET:-}\"").at(0) == "\"path\" is empty");
  CHECK(
      mistakes(file + "path = \"a\"\nmax_record_size = \"1KiB\"").at(0).starts_with("must be between 256KiB and 1GiB"));
  CHECK(mistakes(file + "path = \"a\"\nmax_record_size = \"256KiB\"").empty());
}

TEST_CASE("file and stdin: what cannot be read as asked is said when the file is checked") {
  const std::string file = "type = \"file\"\npath = \"a\"\n";
  CHECK(mistakes(file + "format = \"csv\"").at(0) == "a source of csv needs a schema");
  CHECK(mistakes(file + "format = \"lines\"\ndelimiter = \"\"").size() == 1);
  CHECK(mistakes(file + "format = \"lines\"\nschema = { a = \"int64\" }").at(0) ==
        "the format \"lines\" has one field, a string or bytes");
  CHECK(mistakes(file + "format = \"lines\"\nwatch = \"0s\"").size() == 1);
  CHECK(mistakes("type = \"stdin\"\nformat = \"lines\"").empty());
  const LoadedTopology loaded = with_source("type = \"stdin\"\nformat = \"lines\"");
  CHECK(to_string(*loaded.topology->graph.nodes[0].outputs[0].schema) == "{ line string }");
}
