#include "libdataflow/formats/lines_decoder.hpp"

#include <doctest/doctest.h>

#include "tests/unit/formats/decoding.hpp"

using namespace dataflow;
using dataflow::testing::decode_all;
using dataflow::testing::field;

TEST_CASE("each line is a row, blank ones too, without its line end") {
  const auto got = decode_all({TextFormat::lines, lines_fields()},
                              "\xEF\xBB\xBF"
                              "a\r\n\n \"b\"\nlast");
  CHECK(got.errors.empty());
  CHECK(got.rows == "{\"line\":\"a\"}\n{\"line\":\"\"}\n{\"line\":\" \\\"b\\\"\"}\n{\"line\":\"last\"}\n");
}

TEST_CASE("a line that is not UTF-8 is malformed as a string and read as bytes") {
  const auto strings = decode_all({TextFormat::lines, lines_fields()}, "a\n\xFF\nb\n");
  CHECK(strings.rows == "{\"line\":\"a\"}\n{\"line\":\"b\"}\n");
  CHECK(strings.errors.size() == 1);
  const auto bytes = decode_all({TextFormat::lines, {field("raw", TypeKind::bytes)}}, "\xFF\n");
  CHECK(bytes.rows == "{\"raw\":\"/w==\"}\n");
}
