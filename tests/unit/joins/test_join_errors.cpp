// What becomes of pairs whose condition or fields cannot be computed: `on_error` of `join` and `lookup`.
#include "tests/support/joining.hpp"

namespace dataflow {
namespace {

constexpr std::size_t left = 0;
constexpr std::size_t right = 1;
using namespace std::chrono_literals;
using testing_support::JoinBench;

const std::string fields = "k = \"string\", n = \"int64\"";
const std::string timed = fields + ", at = \"timestamp\"";
const std::string ratio = "on = \"left.k = right.k AND left.n / right.n > 1\"\n";
const std::string numbers = "fields = { l = \"left.n\", r = \"right.n\" }\n";

TEST_CASE("a pair whose condition cannot be computed is no match when errors are skipped") {
  JoinBench join{ratio + numbers + "kind = \"left\"\nwindow = { tumbling = \"10us\" }\non_error = \"skip\"\n", timed,
                 timed};
  join.push(left, {{"k", 8, 1us}, {"q", 9, 2us}});
  join.push(right, {{"k", 0, 1us}, {"k", 2, 2us}, {"q", 0, 3us}});
  join.watermark(20us);
  CHECK(join.take() == "8 2 @9; 9 NULL @9");
  CHECK(join.counted("errors") == 2);
}

TEST_CASE("pairs that cannot be computed go to a side output whole, without a time") {
  JoinBench join{ratio + numbers + "between = [\"-5us\", \"5us\"]\non_error = \"side_output\"\n", timed, timed};
  REQUIRE(join.node().outputs.size() == 2);
  CHECK(join.node().outputs[1].name == "errors");
  CHECK_FALSE(join.node().outputs[1].event_time);
  join.push(left, {{"k", 8, 1us}});
  join.push(right, {{"k", 0, 1us}, {"k", 2, 2us}});
  CHECK(join.take() == "8 2 @2");
  CHECK(join.take_errors() == R"({"left.n":8,"right.n":0} division by zero NULL)");
}

TEST_CASE("a result that cannot be computed is left out, and so is what takes it back") {
  JoinBench join{
      "type = \"join\"\nleft = \"dl\"\nright = \"r\"\non = \"left.k = right.k\"\nfields = { q = \"left.n / "
      "right.n\" }\non_error = \"skip\"\n",
      fields, fields};
  join.push(right, {{"k", 0}, {"k", 2}});
  join.push(left, {{"k", 8}});
  CHECK(join.take() == "4");
  join.push(left, {{"k", 8}}, {RowKind::remove});
  CHECK(join.take() == "-D 4");
  CHECK(join.counted("errors") == 2);
}

TEST_CASE("what is asked for of each field is counted once for a result") {
  JoinBench join{
      "on = \"left.k = right.k\"\nfields = { q = \"left.n / right.n\", m = \"left.n % right.n\" }\non_error = "
      "\"skip\"\n",
      fields, fields};
  join.push(right, {{"k", 0}});
  join.push(left, {{"k", 8}});
  CHECK(join.take().empty());
  CHECK(join.counted("errors") == 1);
}

TEST_CASE("a lookup skips pairs that cannot be computed, too") {
  JoinBench lookup{
      "type = \"lookup\"\ninput = \"l\"\ntable = \"r\"\non = \"input.k = table.k\"\nkind = \"left\"\nfields = "
      "{ q = \"input.n / table.n\" }\non_error = \"skip\"\n",
      fields, fields};
  lookup.push(right, {{"k", 0}, {"q", 2}});
  lookup.end_of_input(right);
  lookup.push(left, {{"k", 8}, {"q", 8}, {"r", 8}});
  CHECK(lookup.take() == "4; NULL");
  CHECK(lookup.counted("errors") == 1);
}

}  // namespace
}  // namespace dataflow
