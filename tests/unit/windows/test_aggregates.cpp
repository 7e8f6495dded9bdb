// What each aggregate gives, over one window.
#include "tests/unit/windows/windowing.hpp"

using namespace dataflow;
using namespace dataflow::window_tests;

namespace {

constexpr std::int64_t biggest = std::numeric_limits<std::int64_t>::max();

/// The aggregates of the records' values, all of one key, in one window, in two batches.
std::string aggregate(const std::vector<std::string>& expressions,
                      const std::vector<std::optional<std::int64_t>>& values) {
  Named named;
  for (const std::string& text : expressions) named.emplace_back("r" + std::to_string(named.size()), text);
  WindowSpec spec = windows_by_key(WindowKind::tumbling, named);
  spec.size = Duration{10};
  Windowing windows{std::move(spec)};
  std::vector<Record> records;
  for (const auto& v : values) {
    records.push_back({"k", v, 0});
    if (records.size() * 2 > values.size()) {
      windows.push(records);
      records.clear();
    }
  }
  if (!records.empty()) windows.push(records);
  windows.drain();
  const std::string text = windows.results();
  REQUIRE(text.starts_with("k 0 10 "));
  return text.substr(7);
}

Result<Step> push_into(const std::string& expression, const std::vector<Record>& records) {
  WindowSpec spec = windows_by_key(WindowKind::tumbling, {{"r", expression}});
  spec.size = Duration{10};
  Windowing windows{std::move(spec)};
  auto step = windows.process(records);
  return step ? windows.on_watermark(100) : step;
}

}  // namespace

TEST_CASE("counts are of records, of values and of different values") {
  CHECK(aggregate({"count()", "count(v)", "count(DISTINCT v)", "approx_count_distinct(v)"},
                  {5, std::nullopt, 7, 5, 7, 9}) == "6 5 3 3");
}

TEST_CASE("aggregates of no values are NULL, counts are zero") {
  CHECK(aggregate({"count()", "count(v)", "count(DISTINCT v)", "approx_count_distinct(v)"},
                  {std::nullopt, std::nullopt}) == "2 0 0 0");
  CHECK(aggregate({"sum(v)", "min(v)", "max(v)", "avg(v)", "stddev(v)", "variance(v)", "first(v)", "last(v)",
                   "approx_percentile(v, 0.5)", "min(key || CAST(v AS string))"},
                  {std::nullopt}) == "NULL NULL NULL NULL NULL NULL NULL NULL NULL NULL");
}

TEST_CASE("sum, min, max and avg leave NULLs out") {
  CHECK(aggregate({"sum(v)", "min(v)", "max(v)", "avg(v)"}, {3, std::nullopt, -5, 12}) == "10 -5 12 3.33333");
}

TEST_CASE("min and max of negative values only are negative") {
  CHECK(aggregate({"min(v)", "max(v)"}, {-3, -1, -2}) == "-3 -1");
}

TEST_CASE("sum, min, max and avg of floating-point numbers") {
  CHECK(aggregate({"sum(v / 2e0)", "min(v / 2e0)", "max(v / 2e0)", "avg(v / 2e0)"}, {3, std::nullopt, -5, 12}) ==
        "5 -2.5 6 1.66667");
}

TEST_CASE("sum, min and avg of decimals stay decimals") {
  // Decimals are shown as their digits: 0.01 is 1 of scale 2, and an average has six digits after the point.
  CHECK(aggregate({"sum(CAST(v AS decimal(10,2)))", "min(CAST(v AS decimal(10,2)))", "avg(CAST(v AS decimal(10,2)))"},
                  {1, 2, 2}) == "500 100 1666667");
}

TEST_CASE("min and max of int32, bool and timestamps") {
  CHECK(aggregate({"min(CAST(v AS int32))", "max(CAST(v AS int32))", "min(v > 1)", "max(v > 1)",
                   "max(TIMESTAMP '1970-01-01T00:00:00')"},
                  {1, -7, 4}) == "-7 4 false true 0");
}

TEST_CASE("min and max of texts are by bytes, also of texts of any length") {
  WindowSpec spec = windows_by_key(WindowKind::tumbling, {{"least", "min(key)"}, {"most", "max(key)"}});
  spec.size = Duration{10};
  spec.key_fields.clear();
  Windowing windows{std::move(spec)};
  windows.push({{"m", 0, 0}, {std::nullopt, 0, 0}, {"Z and a text that is longer", 0, 0}});
  windows.push({{"z", 0, 0}, {"z and more of it than fits", 0, 0}, {"n", 0, 0}, {"", 0, 15}, {"\xc3\xa9", 0, 15}});
  windows.drain();
  CHECK(windows.results() == "0 10 Z and a text that is longer z and more of it than fits; 10 20  \xc3\xa9");
}

TEST_CASE("the sample variance needs two values") {
  CHECK(aggregate({"variance(v)", "stddev(v)"}, {4}) == "NULL NULL");
  CHECK(aggregate({"variance(v)", "stddev(v)"}, {2, 4, 4, 4, 5, 5, 7, 9}) == "4.57143 2.13809");
}

TEST_CASE("the variance of large, close values does not cancel out") {
  CHECK(aggregate({"variance(v)"}, {1'000'000'000'000'001, 1'000'000'000'000'002, 1'000'000'000'000'003}) == "1");
}

TEST_CASE("first and last are those that came first and last and are not NULL") {
  CHECK(aggregate({"first(v)", "last(v)", "first(key)", "last(v * 2)"}, {std::nullopt, 5, 3, std::nullopt}) ==
        "5 3 k 6");
}

TEST_CASE("percentiles are near the value at their place") {
  std::vector<std::optional<std::int64_t>> values;
  for (std::int64_t v = 1; v <= 1000; ++v) values.emplace_back(v);
  const std::string text = aggregate({"approx_percentile(v, 0.5)", "approx_percentile(v, 0.99)"}, values);
  const double median = std::stod(text);
  const double high = std::stod(text.substr(text.find(' ')));
  CHECK(median == doctest::Approx(500).epsilon(0.02));
  CHECK(high == doctest::Approx(990).epsilon(0.02));
}

TEST_CASE("an approximate count of many different values is within three percent") {
  std::vector<std::optional<std::int64_t>> values;
  for (std::int64_t v = 0; v < 50'000; ++v) values.emplace_back(v % 20'000);
  CHECK(std::stod(aggregate({"approx_count_distinct(v)"}, values)) == doctest::Approx(20'000).epsilon(0.03));
}

TEST_CASE("a filter keeps records out of one aggregate") {
  CHECK(aggregate(
            {"count() FILTER (WHERE v > 2)", "sum(v) FILTER (WHERE v > 2)", "max(v) FILTER (WHERE v < 0)", "count()"},
            {1, 5, std::nullopt, 7}) == "2 12 NULL 4");
  CHECK(aggregate({"count() FILTER (WHERE v > 2)", "count(v) FILTER (WHERE v > 2)", "count()"}, {1, 5, 2, 7}) ==
        "2 2 4");
}

TEST_CASE("expressions over aggregates and constants") {
  CHECK(aggregate({"sum(v) / count()", "max(v) - min(v)", "sum(v * v)", "if(count() > 2, 'many', 'few')"}, {1, 2, 6}) ==
        "3 5 41 many");
}

TEST_CASE("a sum that leaves 64 bits is an error that says what to do") {
  const auto step = push_into("sum(v)", {{"k", biggest, 0}, {"k", 1, 1}});
  REQUIRE(!step.has_value());
  CHECK(step.error().code() == ErrorCode::arithmetic);
  CHECK(step.error().message() == "sum(v) overflows int64; cast its argument to float64, or use a smaller window");
}

TEST_CASE("an average of values whose sum leaves 64 bits is right") {
  CHECK(std::stod(aggregate({"avg(v)"}, {biggest, biggest})) == doctest::Approx(static_cast<double>(biggest)));
}

TEST_CASE("an argument that cannot be computed is an error that names the aggregate and shows the record") {
  const auto step = push_into("sum(10 / v)", {{"k", 5, 0}, {"k", 0, 1}});
  REQUIRE(!step.has_value());
  CHECK(step.error().message().starts_with("sum(10 / v): "));
  CHECK(step.error().message().ends_with("in record {\"key\":\"k\",\"v\":0}"));
}

TEST_CASE("a result that cannot be computed is an error that names the output") {
  const auto step = push_into("10 / sum(v)", {{"k", 0, 0}});
  REQUIRE(!step.has_value());
  CHECK(step.error().message().starts_with("aggregate \"r\": "));
}
