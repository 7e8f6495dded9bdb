#include <doctest/doctest.h>

#include "serialization/time.hpp"

using namespace dataflow;
using namespace std::chrono_literals;

namespace {

std::int64_t micros_of(std::string_view text) {
  const auto t = parse_iso8601(text);
  INFO(text);
  REQUIRE(t.has_value());
  return t->micros;
}

constexpr std::int64_t second = 1'000'000;
constexpr std::int64_t first_of_2010 = 1'262'304'000 * second;

}  // namespace

TEST_CASE("timestamps are written as ISO 8601 with as much fraction as they have") {
  CHECK(to_iso8601(Timestamp{0}) == "1970-01-01T00:00:00Z");
  CHECK(to_iso8601(Timestamp{first_of_2010 + 3'600 * second}) == "2010-01-01T01:00:00Z");
  CHECK(to_iso8601(Timestamp{1}) == "1970-01-01T00:00:00.000001Z");
  CHECK(to_iso8601(Timestamp{120'000}) == "1970-01-01T00:00:00.120Z");
  CHECK(to_iso8601(Timestamp{123'456}) == "1970-01-01T00:00:00.123456Z");
  CHECK(to_iso8601(Timestamp{-1}) == "1969-12-31T23:59:59.999999Z");
}

TEST_CASE("years of other than four digits are written in the expanded form of ISO 8601, and read again") {
  const std::int64_t first = micros_of("0001-01-01");
  const std::int64_t last = micros_of("9999-12-31T23:59:59.999999Z");
  for (const auto& [micros, text] : {std::pair{first, "0001-01-01T00:00:00Z"},
                                     {last, "9999-12-31T23:59:59.999999Z"},
                                     {first - 1, "+0000-12-31T23:59:59.999999Z"},
                                     {last + 1, "+10000-01-01T00:00:00Z"},
                                     {first - 366 * 86'400 * second - 1, "-0001-12-31T23:59:59.999999Z"},
                                     {Timestamp::min().micros, "-290308-12-21T19:59:05.224192Z"},
                                     {Timestamp::max().micros, "+294247-01-10T04:00:54.775807Z"}}) {
    CHECK(to_iso8601(Timestamp{micros}) == text);
    CHECK(micros_of(text) == micros);
  }
  CHECK(micros_of("+2010-01-01T01:00:00Z") == first_of_2010 + 3'600 * second);
  CHECK(micros_of("+002010-01-01") == first_of_2010);
}

TEST_CASE("every accepted way to write the same moment means the same") {
  const std::int64_t moment = first_of_2010 + 3'600 * second;
  for (const char* text :
       {"2010-01-01T01:00:00Z", "2010-01-01T01:00:00", "2010-01-01 01:00:00", "2010-01-01T01:00Z", "2010-01-01T01:00",
        "2010-01-01t01:00:00z", "2010-01-01T01:00:00.000Z", "2010-01-01T01:00:00.0", "2010-01-01T02:30:00+01:30",
        "2010-01-01T02:30:00+0130", "2010-01-01T03:00:00+02", "2009-12-31T23:30:00-01:30", "2010-01-01T01:00:00-0000"})
    CHECK(micros_of(text) == moment);
  CHECK(micros_of("2010-01-01") == first_of_2010);
}

TEST_CASE("fractions have one to six digits and surplus ones are cut") {
  CHECK(micros_of("1970-01-01T00:00:00.1") == 100'000);
  CHECK(micros_of("1970-01-01T00:00:00.000001") == 1);
  CHECK(micros_of("1970-01-01T00:00:00.1234569") == 123'456);
  CHECK(micros_of("1969-12-31T23:59:59.5Z") == -500'000);
}

TEST_CASE("leap days exist in leap years only") {
  CHECK(parse_iso8601("2024-02-29").has_value());
  CHECK(parse_iso8601("2000-02-29").has_value());
  CHECK_FALSE(parse_iso8601("2023-02-29").has_value());
  CHECK_FALSE(parse_iso8601("1900-02-29").has_value());
}

TEST_CASE("texts that are no moment are malformed and named") {
  for (const char* text : {"",
                           "2010",
                           "2010-1-1",
                           "2010-00-01",
                           "2010-13-01",
                           "2010-01-00",
                           "2010-01-32",
                           "2010-04-31",
                           "0000-01-01",
                           "20100101",
                           "2010-01-01T",
                           "2010-01-01T1:00",
                           "2010-01-01T24:00:00",
                           "2010-01-01T23:60:00",
                           "2010-01-01T23:59:60",
                           "2010-01-01T01:00:00.",
                           "2010-01-01T01:00:00,5",
                           "2010-01-01T01:00:00X",
                           "2010-01-01T01:00:00Zz",
                           "2010-01-01T01:00:00+24:00",
                           "2010-01-01T01:00:00+01:60",
                           "2010-01-01T01:00:00+1",
                           "2010-01-01T01:00:00+01:",
                           "2010-01-01x01:00:00",
                           " 2010-01-01",
                           "2010-01-01 ",
                           "-0000-01-01",
                           "10000-01-01",
                           "+1000000-01-01",
                           "+290-01-01",
                           "+294247-01-10T04:00:54.775808Z",
                           "-290308-12-21T19:59:05.224191Z",
                           "+294247-01-10T04:00:54Z-01:00",
                           "+999999-01-01",
                           "-999999-01-01",
                           "2010-01-01T01",
                           "2010-01-01\xC3\xA9"}) {
    const auto t = parse_iso8601(text);
    INFO(text);
    REQUIRE_FALSE(t.has_value());
    CHECK(t.error().code() == ErrorCode::malformed_data);
    CHECK(t.error().message().find(text) != std::string::npos);
  }
  CHECK(parse_iso8601(std::string(1000, '2')).error().message().size() < 150);
}

TEST_CASE("durations are read in every unit and with a sign") {
  CHECK(*parse_duration("5us") == 5us);
  CHECK(*parse_duration("250ms") == 250ms);
  CHECK(*parse_duration("10s") == 10s);
  CHECK(*parse_duration("5m") == 5min);
  CHECK(*parse_duration("1h") == 1h);
  CHECK(*parse_duration("1d") == 24h);
  CHECK(*parse_duration("-10m") == -10min);
  CHECK(*parse_duration("+1s") == 1s);
  CHECK(*parse_duration("0s") == 0s);
}

TEST_CASE("what is no duration is refused with the units that are") {
  for (const char* text : {"", "s", "10", "10 s", "1.5h", "1h30m", "10S", "10min", "--1s", "-", "1s "}) {
    const auto d = parse_duration(text);
    INFO(text);
    REQUIRE_FALSE(d.has_value());
    CHECK(d.error().code() == ErrorCode::invalid_argument);
    CHECK(d.error().message().find("us, ms, s, m, h, d") != std::string::npos);
  }
  CHECK(parse_duration("9223372036854775807us").has_value());
  CHECK_FALSE(parse_duration("9223372036854775808us").has_value());
  for (const std::string text : {"106751992d", "99999999999999999999s", "-1000000000000000000000000000000h"})
    CHECK(parse_duration(text).error().message() == "the duration '" + text + "' is too long");
  CHECK(parse_duration("99999999999999999999 s").error().message().find("is no duration") != std::string::npos);
}

TEST_CASE("durations are written in the largest unit that divides them") {
  CHECK(to_string(Duration{0}) == "0s");
  CHECK(to_string(Duration{90s}) == "90s");
  CHECK(to_string(Duration{1h}) == "1h");
  CHECK(to_string(Duration{48h}) == "2d");
  CHECK(to_string(Duration{-10min}) == "-10m");
  CHECK(to_string(Duration{1500ms}) == "1500ms");
  CHECK(to_string(Duration{1us}) == "1us");
}
