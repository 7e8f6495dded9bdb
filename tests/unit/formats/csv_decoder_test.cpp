#include "libdataflow/formats/csv_decoder.hpp"

#include <doctest/doctest.h>

#include "tests/unit/formats/decoding.hpp"

using namespace dataflow;
using dataflow::testing::decode_all;
using dataflow::testing::field;

namespace {

DecoderOptions csv(std::vector<SourceField> fields) {
  return {TextFormat::csv, std::move(fields)};
}

const std::vector<SourceField> name_and_n = {field("name", TypeKind::string), field("n", TypeKind::int64)};

}  // namespace

TEST_CASE("columns are matched by name, and those that nobody wants are skipped") {
  const auto got = decode_all(csv(name_and_n), "n,unused,name\n1,\"x,\n\",a\n2,,b\n");
  CHECK(got.failure == "");
  CHECK(got.errors.empty());
  CHECK(got.rows == "{\"name\":\"a\",\"n\":1}\n{\"name\":\"b\",\"n\":2}\n");
}

TEST_CASE("quoted fields hold delimiters, doubled quotes and newlines") {
  const auto got = decode_all(csv(name_and_n), "name,n\n\"a,\"\"b\"\"\nc\",1\n\"\"\"\",\"2\"\n");
  CHECK(got.errors.empty());
  CHECK(got.rows == "{\"name\":\"a,\\\"b\\\"\\nc\",\"n\":1}\n{\"name\":\"\\\"\",\"n\":2}\n");
}

TEST_CASE("an empty field is NULL, a quoted empty one an empty string") {
  const auto got = decode_all(csv(name_and_n), "name,n\n,\n\"\",\"\"\n");
  CHECK(got.errors.empty());
  CHECK(got.rows == "{\"name\":null,\"n\":null}\n{\"name\":\"\",\"n\":null}\n");
}

TEST_CASE("a byte order mark, CRLF and a last line without end are no matter") {
  const auto got = decode_all(csv(name_and_n), "\xEF\xBB\xBFname,n\r\na,1\r\n\"b\r\n\",2\r\nc,3");
  CHECK(got.errors.empty());
  CHECK(got.rows == "{\"name\":\"a\",\"n\":1}\n{\"name\":\"b\\r\\n\",\"n\":2}\n{\"name\":\"c\",\"n\":3}\n");
}

TEST_CASE("a row with too few or too many fields is malformed, its neighbours are not") {
  const auto got = decode_all(csv(name_and_n), "name,n\na,1\nb\nc,3,4\n\nd,4\n");
  CHECK(got.rows == "{\"name\":\"a\",\"n\":1}\n{\"name\":\"d\",\"n\":4}\n");
  REQUIRE(got.errors.size() == 2);
  CHECK(got.errors[0] == "b: 1 field where the header has 2");
  CHECK(got.errors[1] == "c,3,4: 3 fields where the header has 2");
}

TEST_CASE("short and long rows that make up for each other are still seen") {
  const auto got = decode_all(csv(name_and_n), "name,n\na\nb,2,3\n");
  CHECK(got.rows == "");
  CHECK(got.errors.size() == 2);
  const auto three = decode_all(csv({field("a", TypeKind::string)}), "a,b,c\n1\n2\n3,4\nx,y,z,w\n");
  CHECK(three.rows == "");
  CHECK(three.errors.size() == 4);
}

TEST_CASE("a value that is none of its type names field, value and type") {
  const auto got = decode_all(csv({field("t", TypeKind::float64), field("n", TypeKind::int32)}),
                              "t,n\nwarm,1\n1.5,2147483648\n2.5,7\n");
  CHECK(got.rows == "{\"t\":2.5,\"n\":7}\n");
  REQUIRE(got.errors.size() == 2);
  CHECK(got.errors[0] == "warm,1: field \"t\": \"warm\" is not a float64");
  CHECK(got.errors[1] == "1.5,2147483648: field \"n\": \"2147483648\" is not an int32");
}

TEST_CASE("text behind a closing quote is malformed; a quote inside a plain field is an ordinary byte") {
  const auto got = decode_all(csv(name_and_n), "name,n\n\"a\"b,1\n5\" pipe,2\n\"a\",\"1\"x\n");
  CHECK(got.rows == "{\"name\":\"5\\\" pipe\",\"n\":2}\n");
  REQUIRE(got.errors.size() == 2);
  CHECK(got.errors[0] == "\"a\"b,1: field \"name\" has text behind its closing quote");
  CHECK(got.errors[1] == "\"a\",\"1\"x: field \"n\" has text behind its closing quote");
}

TEST_CASE("a quote that is open at the end makes the rest malformed") {
  const auto got = decode_all(csv(name_and_n), "name,n\na,1\n\"b,2\nc,3\n");
  CHECK(got.rows == "{\"name\":\"a\",\"n\":1}\n");
  REQUIRE(got.errors.size() == 1);
  CHECK(got.errors[0] == "\"b,2\nc,3: a quote is opened and not closed until the end of the data");
}

TEST_CASE("every type is read from its text") {
  const auto got =
      decode_all(csv({field("b", TypeKind::boolean), field("i", TypeKind::int32), field("l", TypeKind::int64),
                      field("f", TypeKind::float64), field("d", DataType::decimal(10, 2)), field("s", TypeKind::string),
                      field("y", TypeKind::bytes), field("t", TypeKind::timestamp)}),
                 "b,i,l,f,d,s,y,t\n"
                 "TRUE,-7,9223372036854775807,1e3,12.5,\xC3\xA4,abc,2010-01-01T01:00:00\n"
                 "0,+7, 12 ,-0.25,-0.01,x,\xFF,2010-01-31 23:59:59.25+01:00\n");
  CHECK(got.errors.empty());
  CHECK(
      got.rows ==
      "{\"b\":true,\"i\":-7,\"l\":9223372036854775807,\"f\":1000.0,\"d\":12.50,\"s\":\"\xC3\xA4\",\"y\":\"YWJj\",\"t\":"
      "\"2010-01-01T01:00:00Z\"}\n"
      "{\"b\":false,\"i\":7,\"l\":12,\"f\":-0.25,\"d\":-0.01,\"s\":\"x\",\"y\":\"/w==\",\"t\":\"2010-01-31T22:59:59."
      "250Z\"}\n");
}

TEST_CASE("integers of every length are read, and a byte that is no digit is seen at every place") {
  std::string text = "n\n";
  std::string expected;
  std::string digits;
  for (int length = 1; length <= 18; ++length) {
    digits += static_cast<char>('0' + length * 7 % 10);
    for (const std::string& number : {digits, "-" + digits, std::string(static_cast<std::size_t>(length), '9')}) {
      text += number + "\n";
      expected += "{\"n\":" + number + "}\n";
    }
    text += std::string(static_cast<std::size_t>(length), '0') + "\n";
    expected += "{\"n\":0}\n";
  }
  const auto got = decode_all(csv({field("n", TypeKind::int64)}), text);
  CHECK(got.errors.empty());
  CHECK(got.rows == expected);

  for (std::size_t length = 1; length <= 18; ++length) {
    for (std::size_t at = 0; at < length; ++at) {
      for (const char wrong : {'/', ':', 'a', '\x10', '\xB0', '\xFF', '-', ' ', '.'}) {
        std::string number(length, '5');
        number[at] = wrong;
        if (wrong == '-' && at == 0 && length > 1) continue;          // a negative number
        if (wrong == ' ' && (at == 0 || at + 1 == length)) continue;  // blanks around it are allowed
        INFO(number);
        CHECK(decode_all(csv({field("n", TypeKind::int64)}), "n\n" + number + "\n").errors.size() == 1);
      }
    }
  }
}

TEST_CASE("quoted numbers are read, also those with a doubled quote, which are none") {
  const auto got = decode_all(csv(name_and_n), "name,n\na,\"12345678901\"\nb,\"1\"\"2\"\nc,\"-7\"\n");
  CHECK(got.rows == "{\"name\":\"a\",\"n\":12345678901}\n{\"name\":\"c\",\"n\":-7}\n");
  CHECK(got.errors.size() == 1);
}

TEST_CASE("epochs are read in the unit that the schema names") {
  const auto got = decode_all(csv({field("s", TypeKind::timestamp, TimestampEncoding::epoch_s),
                                   field("ms", TypeKind::timestamp, TimestampEncoding::epoch_ms),
                                   field("us", TypeKind::timestamp, TimestampEncoding::epoch_us)}),
                              "s,ms,us\n1262307600,1262307600000,1262307600000000\n99999999999999999,0,0\n");
  CHECK(got.rows ==
        "{\"s\":\"2010-01-01T01:00:00Z\",\"ms\":\"2010-01-01T01:00:00Z\",\"us\":\"2010-01-01T01:00:00Z\"}\n");
  CHECK(got.errors.size() == 1);
}

TEST_CASE("a decimal is exact: surplus digits are an error, surplus zeros are not") {
  const auto options = csv({field("d", DataType::decimal(4, 2))});
  CHECK(decode_all(options, "d\n1.2300\n").rows == "{\"d\":1.23}\n");
  CHECK(decode_all(options, "d\n99.99\n").rows == "{\"d\":99.99}\n");
  CHECK(decode_all(options, "d\n1.234\n").errors.size() == 1);
  CHECK(decode_all(options, "d\n100\n").errors.size() == 1);
  CHECK(decode_all(options, "d\n99999999999999999999\n").errors.size() == 1);
  CHECK(decode_all(options, "d\n.\n").errors.size() == 1);
  CHECK(decode_all(options, "d\n1e1\n").errors.size() == 1);
}

TEST_CASE("invalid UTF-8 spoils its row only, even when neighbours together would be valid") {
  const auto got = decode_all(csv(name_and_n), "name,n\n\xC3,1\n\xA9,2\nok,3\n");
  CHECK(got.rows == "{\"name\":\"ok\",\"n\":3}\n");
  REQUIRE(got.errors.size() == 2);
  CHECK(got.errors[0].find("field \"name\" is not valid UTF-8") != std::string::npos);
  const auto unused = decode_all(csv({field("n", TypeKind::int64)}), "name,n\n\xFF,1\n");
  CHECK(unused.rows == "{\"n\":1}\n");
}

TEST_CASE("a column that the header lacks is named with those that it has") {
  const auto got = decode_all(csv(name_and_n), "nam,n\na,1\n");
  CHECK(got.failure.find("no column \"name\"; it has: nam, n") != std::string::npos);
  CHECK(decode_all(csv(name_and_n), "name,n,name\na,1,b\n").failure.find("twice") != std::string::npos);
}

TEST_CASE("data of no bytes has no records; a header alone neither") {
  CHECK(decode_all(csv(name_and_n), "").failure == "");
  CHECK(decode_all(csv(name_and_n), "").rows == "");
  CHECK(decode_all(csv(name_and_n), "name,n\n").rows == "");
  CHECK(decode_all(csv(name_and_n), "name,n").failure == "");
}

TEST_CASE("an empty line of a single column is a NULL") {
  CHECK(decode_all(csv({field("a", TypeKind::string)}), "a\nx\n\ny\n").rows ==
        "{\"a\":\"x\"}\n{\"a\":null}\n{\"a\":\"y\"}\n");
}

TEST_CASE("another delimiter separates, and a comma then does not") {
  DecoderOptions options = csv(name_and_n);
  options.delimiter = ';';
  CHECK(decode_all(options, "name;n\na,b;1\n").rows == "{\"name\":\"a,b\",\"n\":1}\n");
}

TEST_CASE("the same rows come whatever the batch size") {
  std::string text = "name,n\n";
  for (int i = 0; i < 300; ++i) {
    text += i % 7 == 0 ? "\"a\n\"\"" + std::to_string(i) + "\"," : "b" + std::to_string(i) + ",";
    text += i % 31 == 0 ? "bad\n" : std::to_string(i) + "\n";
    if (i % 50 == 0) text += "ragged\n\n";
  }
  const auto whole = decode_all(csv(name_and_n), text);
  CHECK(whole.errors.size() == 16);
  for (const std::uint32_t rows : {1U, 2U, 3U, 64U, 100U}) {
    const auto cut = decode_all(csv(name_and_n), text, rows);
    CHECK(cut.rows == whole.rows);
    CHECK(cut.errors == whole.errors);
  }
}

TEST_CASE("fields that nobody reads are not decoded, by CSV and by JSON") {
  for (const TextFormat format : {TextFormat::csv, TextFormat::json}) {
    DecoderOptions options{format, name_and_n};
    options.read = {false, true};
    std::string text = format == TextFormat::csv ? "name,n\n\xFF,1\nb,2\n" : "{\"name\":[],\"n\":1}\n{\"n\":2}\n";
    const std::size_t size = text.size();
    text.append(decode_padding, ' ');
    const auto decoder = make_decoder(options);
    const std::size_t start = decoder->start({text.data(), size}, true)->value();
    const DecodedRecords decoded = decoder->decode({text.data() + start, size - start}, true, 100);
    REQUIRE(decoded.batch);
    CHECK(decoded.malformed.empty());
    CHECK(decoded.batch->rows() == 2);
    CHECK(is_unread(decoded.batch->column(0)));
    CHECK(decoded.batch->column(1).as<std::int64_t>()[1] == 2);
  }
}
