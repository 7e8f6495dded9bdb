// Values of states as they lie in a savepoint, shown without the program that wrote them.
#include <doctest/doctest.h>

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "dataflow/codec.hpp"
#include "libdataflow/process/value_json.hpp"

namespace dataflow {
namespace {

struct Visit {
  std::string page;
  std::optional<std::int32_t> seconds;
  Timestamp at;
  Decimal<9, 2> price;
};
DATAFLOW_RECORD(Visit, page, seconds, at, price)

struct Unknown {};

template <class T>
std::string shown(const T& value) {
  std::string bytes;
  Codec<T>::encode(value, bytes);
  return value_to_json(StateType<T>::text(), bytes).value_or("nothing");
}

}  // namespace

TEST_CASE("a value of every type that state may have is shown as what it is") {
  CHECK(shown(std::int64_t{-5}) == "-5");
  CHECK(shown(std::uint16_t{65535}) == "65535");
  CHECK(shown(2.5) == "2.5");
  CHECK(shown(true) == "true");
  CHECK(shown(std::string{"a \"b\""}) == R"("a \"b\"")");
  CHECK(shown(Timestamp{1'000'000}) == R"("1970-01-01T00:00:01Z")");
  CHECK(shown(std::vector<std::string>{"a", ""}) == R"(["a",""])");
  CHECK(shown(std::vector<double>{}) == "[]");
  CHECK(shown(std::map<std::string, std::int32_t>{{"x", 1}, {"y", 2}}) == R"({"x":1,"y":2})");
  CHECK(shown(std::map<std::int64_t, bool>{{1, true}, {2, false}}) == "[[1,true],[2,false]]");
  CHECK(shown(std::pair<std::int32_t, std::string>{1, "a"}) == R"([1,"a"])");
  const Visit visit{"home", std::nullopt, Timestamp{0}, Decimal<9, 2>::from_unscaled(1250)};
  CHECK(shown(visit) == R"({"page":"home","seconds":null,"at":"1970-01-01T00:00:00Z","price":12.50})");
  CHECK(shown(std::vector<Visit>{visit, visit}).starts_with(R"([{"page":"home")"));
}

TEST_CASE("bytes that are no value of their type, and types that nobody knows, are not shown") {
  CHECK(StateType<Unknown>::text() == "null");
  CHECK_FALSE(value_to_json("null", "abc"));
  CHECK_FALSE(value_to_json("{\"list\":null}", std::string("\1\0\0\0", 4)));
  CHECK_FALSE(value_to_json("\"int64\"", "abc"));
  CHECK_FALSE(value_to_json("\"int64\"", "abcdefghi"));
  CHECK_FALSE(value_to_json("\"number\"", "abcdefgh"));
  CHECK_FALSE(value_to_json("no JSON", "abcdefgh"));
  CHECK_FALSE(value_to_json("{\"list\":\"bool\"}", std::string("\xff\xff\xff\xff", 4)));
  std::string deep = "\"bool\"";
  for (int i = 0; i < 1000; ++i) deep = "{\"optional\":" + deep + "}";
  CHECK_FALSE(value_to_json(deep, std::string(1001, '\1')));
}

}  // namespace dataflow
