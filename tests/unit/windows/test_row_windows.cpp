// Rows with the window that they are in.
#include "libdataflow/windows/row_windows.hpp"
#include "tests/unit/windows/windowing.hpp"

namespace dataflow {
namespace {

using window_tests::Collected;
using window_tests::Context;

/// "v start end time; ..." of rows with these times, numbered from 0.
std::string with_windows(Duration size, Duration offset, const std::vector<std::int64_t>& times) {
  WindowSpec spec;
  spec.size = size;
  spec.offset = offset;
  const SchemaPtr input = make_schema({{"v", TypeKind::int64}});
  const auto schema = row_windows_schema(*input);
  REQUIRE(schema.has_value());
  std::vector<testing_support::Row> rows;
  for (std::size_t i = 0; i < times.size(); ++i) rows.push_back({static_cast<std::int64_t>(i)});
  Context context;
  const auto op = make_row_windows(spec, *schema)->create();
  REQUIRE(op->open(context).has_value());
  Collected out;
  REQUIRE(op->process(0, testing_support::make_batch(input, rows, times), out).has_value());
  REQUIRE(out.main.size() == 1);
  std::string text;
  const auto results = testing_support::rows_of(*out.main[0]);
  for (std::size_t i = 0; i < results.size(); ++i) {
    for (const Value& value : results[i]) text += window_tests::to_text(value) + " ";
    text += std::to_string(out.main[0]->timestamp(i).micros) + "; ";
  }
  return text;
}

TEST_CASE("a row has the window of its time, and the window's last moment as its time") {
  CHECK(with_windows(Duration{10}, Duration{0}, {0, 9, 10, 3, -1}) ==
        "0 0 10 9; 1 0 10 9; 2 10 20 19; 3 0 10 9; 4 -10 0 -1; ");
  CHECK(with_windows(Duration{10}, Duration{3}, {2, 3, 12, 13}) == "0 -7 3 2; 1 3 13 12; 2 3 13 12; 3 13 23 22; ");
}

TEST_CASE("windows at the ends of time end there") {
  const std::string last = std::to_string(Timestamp::max().micros);
  CHECK(with_windows(Duration{1000}, Duration{0}, {Timestamp::max().micros, Timestamp::max().micros - 1}) ==
        "0 9223372036854775000 " + last + " 9223372036854775806; 1 9223372036854775000 " + last +
            " 9223372036854775806; ");
}

TEST_CASE("an input with window bounds is not put into windows again") {
  const auto schema = row_windows_schema(*make_schema({{"window_end", TypeKind::timestamp}}));
  REQUIRE(!schema);
  CHECK(schema.error().message() == "the input has a field \"window_end\" already");
}

}  // namespace
}  // namespace dataflow
