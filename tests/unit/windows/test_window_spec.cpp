// What makes a window's description good, and what it says of its input and output.
#include "tests/unit/windows/windowing.hpp"

using namespace dataflow;
using namespace dataflow::window_tests;

namespace {

using namespace std::chrono_literals;

std::string why_not(const WindowSpec& spec) {
  const Status status = check_window(spec);
  return status ? "" : status.error().message();
}

WindowSpec of(WindowKind kind, Duration size, Duration every = Duration{0}) {
  WindowSpec spec;
  spec.kind = kind;
  spec.size = size;
  spec.slide = spec.step = every;
  spec.gap = size;
  return spec;
}

}  // namespace

TEST_CASE("a window needs a length above zero") {
  CHECK(why_not(of(WindowKind::tumbling, 1us)).empty());
  CHECK(why_not(of(WindowKind::tumbling, 0s)).starts_with("a tumbling window must be longer than zero, not 0s"));
  CHECK(why_not(of(WindowKind::sliding, -1s, 1s)).starts_with("a sliding window must be longer than zero"));
  CHECK(why_not(of(WindowKind::sliding, 1s, 0s)).starts_with("a sliding window's step (`every`) must be longer"));
  CHECK(why_not(of(WindowKind::cumulate, 1s, 0s)).starts_with("a cumulating window's step (`every`) must be longer"));
}

TEST_CASE("sliding windows must not leave gaps, and not fall into too many slices") {
  CHECK(why_not(of(WindowKind::sliding, 10s, 10s)).empty());
  CHECK(why_not(of(WindowKind::sliding, 10s, 11s)).find("would leave out the records between them") !=
        std::string::npos);
  CHECK(why_not(of(WindowKind::sliding, 24h, 1s)).empty());
  CHECK(why_not(of(WindowKind::sliding, 24h, 1ms)).find("make the size a multiple of `every`") != std::string::npos);
  CHECK(why_not(of(WindowKind::sliding, 24h, 7'000'001us)).find("make the size a multiple") != std::string::npos);
}

TEST_CASE("a cumulating window grows in whole steps") {
  CHECK(why_not(of(WindowKind::cumulate, 10s, 5s)).empty());
  CHECK(why_not(of(WindowKind::cumulate, 10s, 3s)) ==
        "a cumulating window of 10s cannot grow by 3s: make the size a multiple of `every`");
}

TEST_CASE("lateness and the time between early results are checked") {
  WindowSpec spec = of(WindowKind::tumbling, 1s);
  spec.allowed_lateness = Duration{-1};
  CHECK(why_not(spec) == "the allowed lateness must not be negative");
  spec.allowed_lateness = Duration{0};
  spec.early = Duration{0};
  CHECK(why_not(spec) == "the time between early results must be longer than zero");
}

TEST_CASE("results have the keys, the bounds of windows that have bounds, and the aggregates") {
  WindowSpec spec = windows_by_key(WindowKind::tumbling, {{"n", "count()"}, {"mean", "avg(v)"}});
  const auto timed = window_output_schema(spec, *input_schema());
  REQUIRE(timed.has_value());
  CHECK(**timed == *make_schema({{"key", TypeKind::string},
                                 {"window_start", TypeKind::timestamp},
                                 {"window_end", TypeKind::timestamp},
                                 {"n", TypeKind::int64},
                                 {"mean", TypeKind::float64}}));
  spec.kind = WindowKind::global;
  const auto timeless = window_output_schema(spec, *input_schema());
  REQUIRE(timeless.has_value());
  CHECK(**timeless == *make_schema({{"key", TypeKind::string}, {"n", TypeKind::int64}, {"mean", TypeKind::float64}}));
}

TEST_CASE("an aggregate must not take the name of a key or a bound") {
  for (const char* name : {"key", "window_end"}) {
    const auto schema =
        window_output_schema(windows_by_key(WindowKind::tumbling, {{name, "count()"}}), *input_schema());
    REQUIRE(!schema.has_value());
    CHECK(schema.error().message() ==
          "the output would have two fields named \"" + std::string{name} + "\"; give the aggregate another name");
  }
}

TEST_CASE("a window reads its keys and what its aggregates are computed from, and passes late records on whole") {
  const SchemaPtr input = make_schema({{"unread", TypeKind::string},
                                       {"key", TypeKind::string},
                                       {"v", TypeKind::int64},
                                       {"w", TypeKind::int64},
                                       {"also_unread", TypeKind::int64}});
  WindowSpec spec = of(WindowKind::tumbling, 1s);
  spec.key_fields = {1};
  spec.aggregates.push_back({"r", compile_aggregate("sum(v) FILTER (WHERE w > 0) / count()", *input).value()});
  const auto use = make_window_operator(spec, input)->field_use();
  REQUIRE(use);
  auto reads = use->reads;
  std::sort(reads.begin(), reads.end());
  CHECK(reads == std::vector<std::size_t>{1, 2, 3});
  CHECK(use->passing_outputs == std::vector<std::size_t>{window_late_output});
}
