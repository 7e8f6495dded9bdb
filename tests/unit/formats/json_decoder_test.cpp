#include "libdataflow/formats/json_decoder.hpp"

#include <doctest/doctest.h>

#include "libdataflow/formats/json_text.hpp"
#include "tests/unit/formats/decoding.hpp"

using namespace dataflow;
using dataflow::testing::decode_all;
using dataflow::testing::field;

namespace {

DecoderOptions json(std::vector<SourceField> fields) {
  return {TextFormat::json, std::move(fields)};
}

const std::vector<SourceField> name_and_n = {field("name", TypeKind::string), field("n", TypeKind::int64)};

}  // namespace

TEST_CASE("members are matched by name in any order; others are ignored, missing ones and null are NULL") {
  const auto got = decode_all(json(name_and_n),
                              "{\"n\":1,\"name\":\"a\"}\n"
                              "{\"x\":{\"n\":[5,{\"name\":1}]},\"name\":\"b\",\"y\":[],\"n\":2, \"z\": \"q\"}\n"
                              "{}\n"
                              "  { \"n\" : null , \"name\" : \"c\" }  \r\n"
                              "\n"
                              "{\"na\\u006de\":\"d\"}");
  CHECK(got.errors.empty());
  CHECK(got.rows ==
        "{\"name\":\"a\",\"n\":1}\n{\"name\":\"b\",\"n\":2}\n{\"name\":null,\"n\":null}\n{\"name\":\"c\",\"n\":null}\n"
        "{\"name\":\"d\",\"n\":null}\n");
}

TEST_CASE("escapes in strings are replaced") {
  const auto got = decode_all(json(name_and_n), "{\"name\":\"a\\\"\\\\\\/\\n\\u00e4\\ud83d\\ude00\"}\n");
  CHECK(got.rows == "{\"name\":\"a\\\"\\\\/\\n\xC3\xA4\xF0\x9F\x98\x80\",\"n\":null}\n");
  CHECK(decode_all(json(name_and_n), "{\"name\":\"\\ud83d\"}\n").errors.size() == 1);
  CHECK(decode_all(json(name_and_n), "{\"name\":\"\\x\"}\n").errors.size() == 1);
}

TEST_CASE("a value of another type is malformed and names its field") {
  const auto got = decode_all(json(name_and_n),
                              "{\"n\":\"1\"}\n{\"n\":1.5}\n{\"n\":true}\n{\"n\":[1]}\n{\"n\":9223372036854775808}\n"
                              "{\"n\":3}\n");
  CHECK(got.rows == "{\"name\":null,\"n\":3}\n");
  REQUIRE(got.errors.size() == 5);
  CHECK(got.errors[0] == "{\"n\":\"1\"}: field \"n\": \"1\" is not an int64");
  CHECK(got.errors[2] == "{\"n\":true}: field \"n\": \"true\" is not an int64");
}

TEST_CASE("integral floats are read as integers, integers as floats") {
  const auto got = decode_all(json({field("n", TypeKind::int64), field("f", TypeKind::float64)}),
                              "{\"n\":2.0,\"f\":2}\n{\"n\":1e3,\"f\":-1.25e-2}\n{\"n\":1e30,\"f\":1}\n");
  CHECK(got.rows == "{\"n\":2,\"f\":2.0}\n{\"n\":1000,\"f\":-0.0125}\n");
  CHECK(got.errors.size() == 1);
}

TEST_CASE("only numbers by the grammar of JSON are numbers") {
  for (const char* bad : {"01", "-", "1.", ".5", "+1", "1e", "0x1", "1e+", "--1", "-01", "nan", "Infinity"}) {
    CAPTURE(bad);
    const std::string n = std::string{"{\"n\":"} + bad + "}\n";
    CHECK(decode_all(json({field("n", TypeKind::int64)}), n).errors.size() == 1);
    CHECK(decode_all(json({field("n", TypeKind::float64)}), n).errors.size() == 1);
    CHECK(decode_all(json({field("n", DataType::decimal(10, 2))}), n).errors.size() == 1);
  }
}

TEST_CASE("timestamps, decimals, booleans and bytes") {
  const auto got = decode_all(
      json({field("t", TypeKind::timestamp), field("ms", TypeKind::timestamp, TimestampEncoding::epoch_ms),
            field("d", DataType::decimal(10, 2)), field("b", TypeKind::boolean), field("y", TypeKind::bytes)}),
      "{\"t\":\"2010-01-01T01:00:00\",\"ms\":1262307600000,\"d\":1.5,\"b\":true,\"y\":\"YWJj\"}\n"
      "{\"d\":\"-0.01\",\"b\":false,\"y\":\"\"}\n"
      "{\"t\":5}\n{\"ms\":\"2010-01-01\"}\n{\"d\":1.555}\n{\"b\":1}\n{\"y\":\"*\"}\n");
  CHECK(got.rows ==
        "{\"t\":\"2010-01-01T01:00:00Z\",\"ms\":\"2010-01-01T01:00:00Z\",\"d\":1.50,\"b\":true,\"y\":\"YWJj\"}\n"
        "{\"t\":null,\"ms\":null,\"d\":-0.01,\"b\":false,\"y\":\"\"}\n");
  CHECK(got.errors.size() == 5);
}

TEST_CASE("a number or boolean in a string field is its JSON text, null is NULL") {
  const auto got = decode_all(json(name_and_n), R"({"name":5,"n":1}
{"name": -1.50e+3 ,"n":2}
{"name":true}
{"name": false }
{"name":12345678901234567890123}
{"name":null}
)");
  CHECK(got.errors.empty());
  CHECK(got.rows ==
        "{\"name\":\"5\",\"n\":1}\n{\"name\":\"-1.50e+3\",\"n\":2}\n{\"name\":\"true\",\"n\":null}\n"
        "{\"name\":\"false\",\"n\":null}\n{\"name\":\"12345678901234567890123\",\"n\":null}\n"
        "{\"name\":null,\"n\":null}\n");
}

TEST_CASE("what is no number by the grammar of JSON is no text either") {
  for (const char* bad : {"01", "-", "1.", "1e", "0x1", "1-2", "12 34", "truee", "nan"}) {
    CAPTURE(bad);
    CHECK(decode_all(json(name_and_n), std::string{"{\"name\":"} + bad + "}\n").errors.size() == 1);
  }
}

TEST_CASE("an object or array in a string field is its JSON text") {
  const auto got = decode_all(json(name_and_n), "{\"name\": {\"a\" : [1, 2]} , \"n\":1}\n{\"name\":[],\"n\":2}\n");
  CHECK(got.rows == "{\"name\":\"{\\\"a\\\" : [1, 2]}\",\"n\":1}\n{\"name\":\"[]\",\"n\":2}\n");
}

TEST_CASE("a broken line is malformed and its neighbours are read") {
  for (const std::string bad : {"{\"n\":1",
                                "{\"n\":1,",
                                "{\"n\":",
                                "{\"n\"",
                                "{",
                                "[1]",
                                "12",
                                "\"x\"",
                                "{\"n\":1}}",
                                "{\"n\":1} {\"n\":2}",
                                "{\"n\":1 \"name\":\"a\"}",
                                "{\"n\" 1}",
                                "{n:1}",
                                "{\"n\":tru}",
                                "{\"n\":1,}",
                                "{,}",
                                "{\"n\":1,\"n\":2}",
                                "{\"name\":\"a",
                                "{\"name\":\"\xFF\"}",
                                "{\"name\":\"a\tb\"}",
                                "{\"x\":[1}",
                                "}",
                                "{\"x\":{\"n\":1}",
                                "garbage",
                                "{\"name\":\"a\"b}",
                                "{\"x\":}",
                                "\"",
                                "{\"name\":\"a\\\"}"}) {
    CAPTURE(bad);
    const auto got = decode_all(json(name_and_n), "{\"n\":1}\n{\"n\":2}\n" + bad + "\n{\"n\":3}\n{\"n\":4}\n");
    CHECK(got.rows ==
          "{\"name\":null,\"n\":1}\n{\"name\":null,\"n\":2}\n{\"name\":null,\"n\":3}\n{\"name\":null,\"n\":4}\n");
    REQUIRE(got.errors.size() == 1);
    CHECK(got.errors[0].substr(0, bad.size() + 2) == bad + ": ");
  }
}

TEST_CASE("two halves of an object on two lines are two malformed records") {
  const auto got = decode_all(json(name_and_n), "{\"n\":1,\n\"name\":\"a\"} {\"n\":2}\n");
  CHECK(got.rows == "");
  CHECK(got.errors.size() == 2);
}

TEST_CASE("the same rows come whatever the batch size, with broken lines among them") {
  std::string text;
  for (int i = 0; i < 500; ++i) {
    text += "{\"n\":" + std::to_string(i) + ",\"name\":\"v" + std::to_string(i) + "\"}\n";
    if (i % 90 == 0) text += "{\"name\":\"open\n";
    if (i % 70 == 0) text += "\xFF\n\n";
  }
  const auto whole = decode_all(json(name_and_n), text);
  CHECK(whole.errors.size() == 14);
  for (const std::uint32_t rows : {1U, 3U, 100U}) {
    const auto cut = decode_all(json(name_and_n), text, rows);
    CHECK(cut.rows == whole.rows);
    CHECK(cut.errors == whole.errors);
  }
}

// The decoder remembers which name was at which place of an object.
TEST_CASE("a line means the same whatever line came before it") {
  const std::vector<std::string> lines = {
      R"({"name":"a","n":1})",
      R"({"n":2,"name":"b"})",
      R"({ "name" : "c" , "n" : 3 })",
      R"({"name": "d"	,"n": -4 })",
      R"({"name":"e"})",
      R"({"n":5})",
      R"({})",
      R"({"name":null,"n":null})",
      R"({"name":{"x":1},"n":6})",
      R"({"name":[],"n":7})",
      R"({"name":{},"n":8})",
      R"({"x":{},"n":9})",
      R"({"x":"y","n":10})",
      R"({"x":[1,2],"n":11})",
      R"({"na\u006de":"f","n":12})",
      R"({"name":"","n":0})",
      R"({"name":"q\"}","n":13})",
      R"({"name":"twice","name":"again"})",
      R"({"n":1,"n":2})",
      R"({"name":"g" "n":14})",
      R"({"name":"h","n":15)",
      R"({"name":"i","n":})",
      R"({"name":,"n":16})",
      R"({"name"::"j"})",
      R"({"name":"k"]})",
      R"({"name":]})",
      R"({"name":"l","n":1-})",
      R"({"name":"m","n":18}})",
      R"({"name":"n","n":19} {"name":"o"})",
      R"({"name":"p","n":20,})",
      R"({"name":"q"x,"n":21})",
      R"({"name","n":22})",
      R"({name:"r"})",
      R"(["name","n"])",
  };
  for (const std::string& before : lines) {
    const auto first = decode_all(json(name_and_n), before);
    for (const std::string& line : lines) {
      const auto alone = decode_all(json(name_and_n), line);
      const auto behind = decode_all(json(name_and_n), before + "\n" + line);
      CAPTURE(before);
      CAPTURE(line);
      CHECK(behind.rows == first.rows + alone.rows);
      std::vector<std::string> errors = first.errors;
      errors.insert(errors.end(), alone.errors.begin(), alone.errors.end());
      CHECK(behind.errors == errors);
    }
  }
}

TEST_CASE("base64 is read with and without padding, and nothing else is") {
  const auto decoded = [](std::string_view in) {
    std::string out;
    return text::decode_base64(in, out) ? out : "not base64";
  };
  CHECK(decoded("") == "");
  CHECK(decoded("YQ==") == "a");
  CHECK(decoded("YQ") == "a");
  CHECK(decoded("YWI=") == "ab");
  CHECK(decoded("YWJj") == "abc");
  CHECK(decoded("Y") == "not base64");
  CHECK(decoded("YQ=") == "not base64");
  CHECK(decoded("Y Q=") == "not base64");
}
