// What joins count of the rows that are in none of their results.
#include "tests/support/joining.hpp"

namespace dataflow {
namespace {

constexpr std::size_t left = 0;
constexpr std::size_t right = 1;
using namespace std::chrono_literals;
using testing_support::JoinBench;

const std::string fields = "k = \"int64\", id = \"string\"";
const std::string timed_fields = fields + ", at = \"timestamp\"";
const std::string on_key = "on = \"left.k = right.k\"\nfields = { l = \"left.id\", r = \"right.id\" }\n";

/// Two rows a side, one of them without a key, through a join of that kind in time.
void count_in_time(const std::string& kind, const std::string& how, std::uint64_t without_key) {
  CAPTURE(kind);
  CAPTURE(how);
  JoinBench join{on_key + how + "kind = \"" + kind + "\"\n", timed_fields, timed_fields};
  join.push(left, {{1, "a", 10us}, {nullptr, "b", 10us}});
  join.push(right, {{1, "x", 10us}, {nullptr, "y", 10us}});
  join.watermark(Timestamp::max());
  CHECK(join.counted("without_key") == without_key);
  CHECK(join.counted("late") == 0);
}

TEST_CASE("rows without a key are counted on the sides whose rows need a match") {
  const std::string window = "window = { tumbling = \"1ms\" }\n";
  const std::string session = "window = { session = \"1ms\" }\n";
  const std::string interval = "between = [\"-1ms\", \"1ms\"]\n";
  for (const std::string& how : {window, session, interval}) {
    count_in_time("inner", how, 2);
    count_in_time("left", how, 1);
    count_in_time("full", how, 0);
  }
  for (const auto& [kind, without_key] : {std::pair{"inner", 2U}, {"left", 1U}, {"full", 0U}}) {
    JoinBench join{on_key + "kind = \"" + kind + "\"\n", fields, fields};
    join.push(left, {{1, "a"}, {nullptr, "b"}});
    join.push(right, {{nullptr, "y"}});
    CHECK(join.counted("without_key") == without_key);
  }
}

TEST_CASE("left rows without a match are counted in each of their windows") {
  for (const char* window : {"{ tumbling = \"1ms\" }", "{ session = \"1ms\" }"}) {
    for (const auto& [kind, without_match] :
         {std::pair{"inner", 2U}, {"right", 2U}, {"semi", 2U}, {"left", 0U}, {"anti", 0U}}) {
      CAPTURE(kind);
      const std::string of_left = "on = \"left.k = right.k\"\nfields = { l = \"left.id\" }\n";
      JoinBench join{of_left + "window = " + window + "\nkind = \"" + kind + "\"\n", timed_fields, timed_fields};
      join.push(left, {{1, "a", 10us}, {2, "b", 10us}, {3, "c", 10us}});
      join.push(right, {{1, "x", 10us}, {1, "y", 10us}, {4, "z", 10us}});
      join.watermark(Timestamp::max());
      CHECK(join.counted("without_match") == without_match);
    }
  }
  JoinBench sliding{on_key + "window = { sliding = \"2ms\", every = \"1ms\" }\n", timed_fields, timed_fields};
  sliding.push(left, {{1, "a", 10us}});
  sliding.watermark(Timestamp::max());
  CHECK(sliding.counted("without_match") == 2);
}

TEST_CASE("a row that is late and has no key is counted once") {
  JoinBench join{on_key + "between = [\"-1ms\", \"1ms\"]\n", timed_fields, timed_fields};
  join.watermark(Timestamp{20us});
  join.push(left, {{nullptr, "a", 10us}, {nullptr, "b", 30us}});
  CHECK(join.counted("late") == 1);
  CHECK(join.counted("without_key") == 1);
}

TEST_CASE("rows that no version is valid for are counted unless they are results") {
  for (const auto& [kind, without_match, without_key] : {std::tuple{"inner", 1U, 1U}, {"left", 0U, 0U}}) {
    CAPTURE(kind);
    JoinBench join{on_key + "as_of = true\nkind = \"" + kind + "\"\n", timed_fields, timed_fields};
    join.push(right, {{1, "x", 5us}});
    join.push(left, {{1, "a", 10us}, {1, "b", 2us}, {nullptr, "c", 10us}});
    join.watermark(Timestamp::max());
    CHECK(join.counted("without_match") == without_match);
    CHECK(join.counted("without_key") == without_key);
  }
}

TEST_CASE("a lookup counts the stream's rows that are not in the table, and the table's without a key once") {
  const std::string node =
      "type = \"lookup\"\ninput = \"l\"\ntable = \"r\"\non = \"input.k = table.k\"\n"
      "fields = { i = \"input.id\", t = \"table.id\" }\n";
  JoinBench join{node, fields, fields, 3};
  join.push(right, {{1, "x"}, {nullptr, "y"}});
  join.end_of_input(right);
  join.push(left, {{1, "a"}, {2, "b"}, {nullptr, "c"}});
  CHECK(join.counted("without_match") == 2);
  CHECK(join.counted("without_key") == 1);
  JoinBench keeps{node + "kind = \"left\"\n", fields, fields};
  keeps.end_of_input(right);
  keeps.push(left, {{1, "a"}, {nullptr, "b"}});
  CHECK(keeps.counted("without_match") == 0);
}

}  // namespace
}  // namespace dataflow
