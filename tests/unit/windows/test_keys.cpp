// Which records are of one key, by the types of the keys.
#include <cmath>
#include <limits>

#include "tests/unit/windows/windowing.hpp"

using namespace dataflow;
using namespace dataflow::testing_support;
using namespace dataflow::window_tests;

namespace {

/// The keys of one window over all rows, each with the number of its rows.
std::vector<Row> counts_by_key(const SchemaPtr& schema, RowsInBraces rows_in) {
  WindowSpec spec = windows_by_key(WindowKind::tumbling, {{"n", "count()"}}, schema);
  spec.size = Duration{10};
  for (std::size_t i = 1; i < schema->size(); ++i) spec.key_fields.push_back(i);
  Windowing windows{std::move(spec), schema};
  const std::vector<std::int64_t> times(rows_in.size(), 5);
  windows.push(make_batch(schema, rows_in, times));
  windows.drain();
  std::vector<Row> results = rows_of(windows.out.main);
  for (Row& row : results) row.erase(row.end() - 3, row.end() - 1);  // the bounds
  return results;
}

}  // namespace

TEST_CASE("keys of every fixed width come out as they went in") {
  const SchemaPtr numbers = make_schema({{"k", TypeKind::int64}});
  constexpr std::int64_t least = std::numeric_limits<std::int64_t>::min();
  CHECK(counts_by_key(numbers, {{0}, {-1}, {least}, {0}, {nullptr}, {-1}}) ==
        rows({{0, 2}, {-1, 2}, {least, 1}, {nullptr, 1}}));
  const SchemaPtr small = make_schema({{"k", TypeKind::int32}});
  CHECK(counts_by_key(small, {{-7}, {2147483647}, {-7}, {nullptr}}) == rows({{-7, 2}, {2147483647, 1}, {nullptr, 1}}));
  const SchemaPtr flags = make_schema({{"k", TypeKind::boolean}});
  CHECK(counts_by_key(flags, {{false}, {true}, {nullptr}, {true}}) == rows({{false, 1}, {true, 2}, {nullptr, 1}}));
  const SchemaPtr times = make_schema({{"k", TypeKind::timestamp}});
  CHECK(counts_by_key(times, {{-1}, {-1}, {5}}) == rows({{-1, 2}, {5, 1}}));
}

TEST_CASE("zero and minus zero are one key, and so are all NaNs") {
  const SchemaPtr schema = make_schema({{"k", TypeKind::float64}});
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto counts = counts_by_key(schema, {{0.0}, {-0.0}, {nan}, {-nan}, {0.5}});
  REQUIRE(counts.size() == 3);
  CHECK(counts[0] == Row{Value{0.0}, Value{std::int64_t{2}}});
  CHECK(std::isnan(std::get<double>(counts[1][0])));
  CHECK(counts[1][1] == Value{std::int64_t{2}});
  CHECK(counts[2] == Row{Value{0.5}, Value{std::int64_t{1}}});
}

TEST_CASE("texts around the length that is kept inline are told apart") {
  const SchemaPtr schema = make_schema({{"k", TypeKind::string}});
  CHECK(counts_by_key(schema, {{""},
                               {"twelve bytes"},
                               {"thirteen byte"},
                               {"thirteen bytf"},
                               {"twelve bytes"},
                               {"thirteen byte"},
                               {"twelve byte"}}) ==
        rows({{"", 1}, {"twelve bytes", 2}, {"thirteen byte", 2}, {"thirteen bytf", 1}, {"twelve byte", 1}}));
}

TEST_CASE("bytes with zeros in them are told apart by length") {
  const SchemaPtr schema = make_schema({{"k", TypeKind::bytes}});
  const std::string one(1, '\0');
  const std::string two(2, '\0');
  CHECK(counts_by_key(schema, {{one}, {two}, {""}, {two}}) == rows({{one, 1}, {two, 2}, {"", 1}}));
}

TEST_CASE("keys of several fields are equal when every field is, and NULL is equal to NULL") {
  const SchemaPtr schema = make_schema({{"a", TypeKind::string}, {"b", TypeKind::string}, {"c", TypeKind::int32}});
  CHECK(counts_by_key(schema, {{"a", "bc", 1},
                               {"ab", "c", 1},
                               {"a", "bc", 1},
                               {nullptr, "bc", 1},
                               {"", "bc", 1},
                               {nullptr, "bc", 1},
                               {"a", "bc", nullptr},
                               {nullptr, nullptr, nullptr}}) == rows({{"a", "bc", 1, 2},
                                                                      {"ab", "c", 1, 1},
                                                                      {nullptr, "bc", 1, 2},
                                                                      {"", "bc", 1, 1},
                                                                      {"a", "bc", nullptr, 1},
                                                                      {nullptr, nullptr, nullptr, 1}}));
}
