#include "libdataflow/formats/infer.hpp"

#include <doctest/doctest.h>

using namespace dataflow;

namespace {

/// "name type, name type; event_time NAME"
std::string inferred(std::string_view text, bool cut = false) {
  const auto schema = infer_schema(text, cut);
  if (!schema) return schema.error().message();
  std::string out;
  for (const SourceField& field : schema->fields) {
    out += (out.empty() ? "" : ", ") + field.field.name + " " + schema_type_name(field);
  }
  if (schema->event_time) out += "; event_time " + schema->fields[*schema->event_time].field.name;
  return out;
}

}  // namespace

TEST_CASE("CSV: types are those that every value fits") {
  CHECK(inferred("date,n,x,flag,name,zip,empty,mixed\n"
                 "2010-01-01T00:00:00,1,1.5,true,a,0815,,1\n"
                 "2010-01-01T01:00:00,,2,false,b,4001,,x\n") ==
        "date timestamp, n int64, x float64, flag bool, name string, zip string, empty string, mixed string; "
        "event_time date");
}

TEST_CASE("integers that may be times are timestamps when their name says so") {
  CHECK(inferred("time,amount,created_at\n1262307600000,1262307600000,1262307600\n") ==
        "time timestamp_ms, amount int64, created_at timestamp_s; event_time time");
  CHECK(inferred("ts\n1262307600000000\n") == "ts timestamp_us; event_time ts");
  CHECK(inferred("ts\n12\n1262307600000000\n") == "ts int64");
}

TEST_CASE("JSON: members of all objects, in the order in which they appear") {
  CHECK(inferred("{\"id\":\"1\",\"mag\":1.5,\"time\":1262307600000,\"updated\":1262307600000,\"net\":{\"a\":1}}\n"
                 "{\"mag\":2,\"felt\":null,\"time\":1262307600000,\"ok\":true,\"when\":\"2010-01-01\"}\n") ==
        "id string, mag float64, time timestamp_ms, updated timestamp_ms, net string, felt string, ok bool, when "
        "timestamp; "
        "event_time time");
}

TEST_CASE("the delimiter is the one that the header has") {
  const auto schema = infer_schema("a;b\n1,5;2\n", false);
  REQUIRE(schema);
  CHECK(schema->delimiter == ';');
  CHECK(inferred("a;b\n1,5;2\n") == "a string, b int64");
}

TEST_CASE("a last record that is cut off says nothing") {
  CHECK(inferred("n\n1\n2\nx", true) == "n int64");
  CHECK(inferred("{\"n\":1}\n{\"n\":\"", true) == "n int64");
}

TEST_CASE("the event time is a field that every record has") {
  CHECK(inferred("t,seen\n2010-01-01,2010-01-01\n,2010-01-02\n") == "t timestamp, seen timestamp; event_time seen");
  CHECK(inferred("{\"time\":\"2010-01-01\",\"n\":1}\n{\"n\":2}\n") == "time timestamp, n int64");
  CHECK(inferred("{\"time\":\"2010-01-01\"}\n{\"time\":null}\n") == "time timestamp");
}

TEST_CASE("a JSON array, binary data and other encodings are refused") {
  for (const char* array :
       {"[{\"a\":1}]", "[\n  {\"a\":1},\n  {\"a\":2}\n]\n", " [1,2]", "[]", "[", "[[1]]", "[\"a\"]"}) {
    CAPTURE(array);
    CHECK(inferred(array).starts_with("this is a JSON array"));
  }
  CHECK(inferred("[date],[n]\n2010-01-01,1\n") == "[date] timestamp, [n] int64; event_time [date]");
  CHECK(inferred(std::string_view{"a,b\n1,\0\n", 8}).starts_with("line 2 has a NUL byte"));
  CHECK(inferred("\xFF\xFE"
                 "a\n")
            .starts_with("line 1 is not UTF-8"));
  CHECK(inferred("a,b\n1,Z\xFCrich\n").starts_with("line 2 is not UTF-8"));
  // A character that the end of what was looked at cuts in two is none of the file's mistakes.
  CHECK(inferred("a\n1\n\xC3", true) == "a int64");
}

TEST_CASE("JSON: a number beyond 64 bits is a number, and its object counts") {
  CHECK(inferred("{\"n\":1,\"s\":\"a\\\"1\"}\n{\"n\":-12345678901234567890123,\"s\":\"12345678901234567890123\"}\n") ==
        "n float64, s string");
  CHECK(inferred("{\"n\":[12345678901234567890123]}\n") == "n string");
  CHECK(inferred("{\"n\":9223372036854775807}\n") == "n int64");
}

TEST_CASE("what cannot be inferred from is said") {
  CHECK(inferred("") == "there is nothing in it to infer from");
  CHECK(inferred(" \n\n") == "there is nothing in it to infer from");
  CHECK(inferred("a,,b\n1,2,3\n") ==
        "the header (line 1) has no name for column 2; give it one: columns are matched by name");
  CHECK(inferred("a,b,a\n1,2,3\n") ==
        "the header (line 1) has the name \"a\" again for column 3; give it another: columns are matched by name");
  CHECK(inferred("{\n\"n\":1}\n").find("line 1 is not a JSON object") == 0);
  const auto missing = infer_schema("/nowhere/data.csv");
  REQUIRE_FALSE(missing);
  CHECK(missing.error().message() == "/nowhere/data.csv does not exist; check the path");
}
