#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "serialization/value.hpp"

using namespace dataflow;

namespace {

std::string json_string(std::string_view text) {
  std::string out;
  append_json_string(text, out);
  return out;
}
std::string json_double(double value) {
  std::string out;
  append_json_double(value, out);
  return out;
}
std::string decimal(std::int64_t unscaled, std::uint8_t scale) {
  std::string out;
  append_decimal(unscaled, scale, out);
  return out;
}
std::string base64(std::string_view bytes) {
  std::string out;
  append_base64(bytes, out);
  return out;
}

constexpr auto replacement = "\xEF\xBF\xBD";

}  // namespace

TEST_CASE("values of every type have their JSON") {
  CHECK(to_json(TypeKind::int64, Value{}) == "null");
  CHECK(to_json(TypeKind::boolean, Value{true}) == "true");
  CHECK(to_json(TypeKind::boolean, Value{false}) == "false");
  CHECK(to_json(TypeKind::int32, Value{std::int64_t{-7}}) == "-7");
  CHECK(to_json(TypeKind::int64, Value{std::numeric_limits<std::int64_t>::min()}) == "-9223372036854775808");
  CHECK(to_json(TypeKind::float64, Value{2.5}) == "2.5");
  CHECK(to_json(DataType::decimal(10, 2), Value{std::int64_t{-5}}) == "-0.05");
  CHECK(to_json(TypeKind::string, Value{"a\"b"}) == "\"a\\\"b\"");
  CHECK(to_json(TypeKind::bytes, Value{"hi"}) == "\"aGk=\"");
  CHECK(to_json(TypeKind::timestamp, Value{std::int64_t{0}}) == "\"1970-01-01T00:00:00Z\"");
}

TEST_CASE("doubles are shortest, whole ones end in .0, and what JSON cannot say is null") {
  CHECK(json_double(0.1) == "0.1");
  CHECK(json_double(1) == "1.0");
  CHECK(json_double(100'000) == "100000.0");
  CHECK(json_double(123456789012345.0) == "123456789012345.0");
  CHECK(json_double(-0.0) == "-0.0");
  CHECK(json_double(0.00001) == "0.00001");
  CHECK(json_double(1e-6) == "1e-06");
  CHECK(json_double(1e16) == "1e+16");
  CHECK(json_double(1.7976931348623157e308) == "1.7976931348623157e+308");
  CHECK(json_double(5e-324) == "5e-324");
  CHECK(json_double(std::nan("")) == "null");
  CHECK(json_double(-std::numeric_limits<double>::infinity()) == "null");
}

TEST_CASE("decimals keep all digits of their scale") {
  CHECK(decimal(1999, 2) == "19.99");
  CHECK(decimal(5, 2) == "0.05");
  CHECK(decimal(-5, 2) == "-0.05");
  CHECK(decimal(0, 3) == "0.000");
  CHECK(decimal(100, 2) == "1.00");
  CHECK(decimal(42, 0) == "42");
  CHECK(decimal(1, 18) == "0.000000000000000001");
  CHECK(decimal(std::numeric_limits<std::int64_t>::min(), 18) == "-9.223372036854775808");
}

TEST_CASE("base64 is that of RFC 4648") {
  CHECK(base64("") == "");
  CHECK(base64("f") == "Zg==");
  CHECK(base64("fo") == "Zm8=");
  CHECK(base64("foo") == "Zm9v");
  CHECK(base64("foob") == "Zm9vYg==");
  CHECK(base64("foobar") == "Zm9vYmFy");
  CHECK(base64(std::string_view{"\xFB\xFF\0", 3}) == "+/8A");
  const std::string large(3'000'002, 'f');
  const std::string encoded = base64(large);
  CHECK(encoded.size() == (large.size() + 2) / 3 * 4);
  CHECK(encoded.find('=') == encoded.size() - 1);
}

TEST_CASE("strings are escaped wherever in a run of eight the character lies") {
  for (std::size_t length = 1; length <= 20; ++length) {
    for (std::size_t at = 0; at < length; ++at) {
      std::string text(length, 'x');
      text[at] = '\n';
      CHECK(json_string(text) == "\"" + std::string(at, 'x') + "\\n" + std::string(length - at - 1, 'x') + "\"");
      text[at] = '\xFF';
      CHECK(json_string(text) == "\"" + std::string(at, 'x') + replacement + std::string(length - at - 1, 'x') + "\"");
    }
  }
  CHECK(json_string("\"\\/\b\f\n\r\t") == R"("\"\\/\b\f\n\r\t")");
  CHECK(json_string(std::string_view{"\0\x1F\x7F", 3}) == "\"\\u0000\\u001f\x7F\"");
  CHECK(json_string("") == "\"\"");
}

TEST_CASE("well-formed UTF-8 passes, each byte that is not becomes U+FFFD") {
  for (const char* good : {"zürich", "€", "😀", "\xED\x9F\xBF", "\xEE\x80\x80", "\xF4\x8F\xBF\xBF"})
    CHECK(json_string(good) == "\"" + std::string{good} + "\"");
  const auto times = [](int n) {
    std::string out = "\"";
    for (int i = 0; i < n; ++i) out += replacement;
    return out + "\"";
  };
  CHECK(json_string("\x80") == times(1));
  CHECK(json_string("\xC3") == times(1));              // cut off
  CHECK(json_string("\xC0\xAF") == times(2));          // overlong
  CHECK(json_string("\xE0\x80\x80") == times(3));      // overlong
  CHECK(json_string("\xED\xA0\x80") == times(3));      // a surrogate
  CHECK(json_string("\xF4\x90\x80\x80") == times(4));  // beyond U+10FFFF
  CHECK(json_string("\xF0\x9F\x98") == times(3));      // cut off
}
