#include <doctest/doctest.h>

#include "serialization/schema.hpp"
#include "serialization/schema_codec.hpp"

using namespace dataflow;

namespace {

std::string error_of(std::string_view text) {
  const auto type = parse_data_type(text);
  INFO(text);
  REQUIRE_FALSE(type.has_value());
  CHECK(type.error().code() == ErrorCode::invalid_argument);
  return type.error().message();
}

bool mentions(const std::string& message, std::string_view what) {
  INFO(message);
  return message.find(what) != std::string::npos;
}

const DataType nested_type = DataType::nested(
    TypeKind::map,
    {{"key", TypeKind::string},
     {"value",
      DataType::nested(TypeKind::row, {{"n", DataType::decimal(18, 0)},
                                       {"l", DataType::nested(TypeKind::array, {{"element", TypeKind::bytes}})}})}});

}  // namespace

TEST_CASE("a type's text is read back as the same type") {
  for (const char* text : {"bool", "int32", "int64", "float64", "decimal(10,2)", "decimal(18,18)", "string", "bytes",
                           "timestamp", "array<string>", "map<string,int64>", "row<a int64, b array<bool>>"}) {
    const auto type = parse_data_type(text);
    REQUIRE_MESSAGE(type.has_value(), type.error().message());
    CHECK(to_string(*type) == text);
  }
  CHECK(to_string(nested_type) == "map<string,row<n decimal(18,0), l array<bytes>>>");
  CHECK(*parse_data_type(to_string(nested_type)) == nested_type);
}

TEST_CASE("spaces inside of a type do not matter and a decimal's scale may be left out") {
  CHECK(*parse_data_type(" decimal( 10 , 2 ) ") == DataType::decimal(10, 2));
  CHECK(*parse_data_type("decimal(5)") == DataType::decimal(5, 0));
  CHECK(*parse_data_type("map< string, int64 >") == *parse_data_type("map<string,int64>"));
}

TEST_CASE("an unknown type is told the nearest known one") {
  CHECK(mentions(error_of("strnig"), "did you mean string?"));
  CHECK(mentions(error_of("timestmp"), "did you mean timestamp?"));
  CHECK(mentions(error_of("varchar"), "did you mean string?"));
  CHECK(mentions(error_of("double"), "did you mean float64?"));
  CHECK(mentions(error_of("array<flaot64>"), "did you mean float64?"));
  CHECK(mentions(error_of(""), "is no type"));
}

TEST_CASE("types with a wrong shape are refused") {
  CHECK(mentions(error_of("decimal"), "decimal(10,2)"));
  CHECK(mentions(error_of("decimal(19,2)"), "1 to 18"));
  CHECK(mentions(error_of("decimal(0,0)"), "1 to 18"));
  CHECK(mentions(error_of("decimal(4,5)"), "scale larger"));
  CHECK(mentions(error_of("decimal(4,2"), "closing"));
  CHECK(mentions(error_of("decimal(99999999999999,2)"), "precision"));
  CHECK(mentions(error_of("array"), "array<string>"));
  CHECK(mentions(error_of("array<int64"), "closing '>'"));
  CHECK(mentions(error_of("map<string>"), "map<string,int64>"));
  CHECK(mentions(error_of("row<a int64, a bool>"), "twice"));
  CHECK(mentions(error_of("row<>"), "without a name"));
  CHECK(mentions(error_of("int64 int64"), "after its end"));
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "array<";
  CHECK(mentions(error_of(deep), "too deeply"));
}

TEST_CASE("types differ by kind, precision, scale and children") {
  CHECK(DataType{TypeKind::int64} == DataType{TypeKind::int64});
  CHECK_FALSE(DataType{TypeKind::int64} == DataType{TypeKind::timestamp});
  CHECK_FALSE(DataType::decimal(10, 2) == DataType::decimal(10, 3));
  CHECK_FALSE(DataType::decimal(10, 2) == DataType::decimal(11, 2));
  CHECK_FALSE(*parse_data_type("array<int64>") == *parse_data_type("array<int32>"));
  CHECK_FALSE(*parse_data_type("row<a int64>") == *parse_data_type("row<b int64>"));
}

TEST_CASE("widths are those of the column layout") {
  CHECK(DataType{TypeKind::boolean}.width() == 1);
  CHECK(DataType{TypeKind::int32}.width() == 4);
  CHECK(DataType{TypeKind::timestamp}.width() == 8);
  CHECK(DataType::decimal(1, 0).width() == 8);
  CHECK(DataType{TypeKind::string}.width() == 0);
  CHECK(nested_type.width() == 0);
  CHECK(nested_type.children().size() == 2);
  CHECK(DataType{TypeKind::string}.children().empty());
}

TEST_CASE("a schema finds its fields by name and shows itself") {
  const Schema schema{{{"date", TypeKind::timestamp}, {"pressure", TypeKind::float64}}};
  CHECK(schema.find("pressure") == std::optional<std::size_t>{1});
  CHECK_FALSE(schema.find("Pressure").has_value());
  CHECK(to_string(schema) == "{ date timestamp, pressure float64 }");
  CHECK(to_string(Schema{}) == "{ }");
  CHECK(schema == Schema{{{"date", TypeKind::timestamp}, {"pressure", TypeKind::float64}}});
  CHECK_FALSE(schema == Schema{{{"pressure", TypeKind::float64}, {"date", TypeKind::timestamp}}});
}

TEST_CASE("a schema with nested types comes back equal from its message") {
  const Schema schema{{{"id", TypeKind::int64}, {"tags", nested_type}, {"price", DataType::decimal(10, 2)}}};
  const auto received = decode_schema(encode_schema(schema));
  REQUIRE(received.has_value());
  CHECK(**received == schema);
  CHECK((*decode_schema(encode_schema(Schema{})))->size() == 0);
}

TEST_CASE("a type as deep as can be typed comes back equal from its message") {
  std::string text = "int64";
  while (parse_data_type("array<" + text + ">").has_value()) text = "array<" + text + ">";
  const Schema schema{{{"deep", *parse_data_type(text)}}};
  const auto received = decode_schema(encode_schema(schema));
  REQUIRE_MESSAGE(received.has_value(), received.error().message());
  CHECK(**received == schema);
}

TEST_CASE("a schema's message that was cut off or is empty is refused") {
  const Buffer words = encode_schema(Schema{{{"id", TypeKind::int64}, {"tags", nested_type}}});
  for (std::size_t size = 0; size < words.size(); ++size) {
    const auto result = decode_schema(words.view(words.bytes().first(size)));
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error().code() == ErrorCode::malformed_data);
  }
}
