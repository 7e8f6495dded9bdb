// Joins within windows: after the examples of Flink's page on window joins, with minutes for its times.
#include "tests/support/joining.hpp"

namespace dataflow {
namespace {

constexpr std::size_t left = 0;
constexpr std::size_t right = 1;
using namespace std::chrono_literals;
using testing_support::JoinBench;

const std::string fields = "k = \"string\", id = \"string\", at = \"timestamp\"";
const std::string five_minutes = "on = \"left.k = right.k\"\nwindow = { tumbling = \"5m\" }\n";
const std::string ids = "fields = { l = \"left.id\", r = \"right.id\", e = \"epoch_ms(window_end) / 60000\" }\n";

/// 1, 2, 3 on the left and 2, 3, 4 on the right, in two windows of five minutes; one of each meets.
void push_example(JoinBench& join) {
  join.push(left, {{"1", "L1", 2min}, {"2", "L2", 6min}, {"3", "L3", 4min}});
  join.push(right, {{"2", "R2", 1min}, {"3", "R3", 4min}, {"4", "R4", 5min}});
}
std::string example_of(const std::string& kind) {
  const bool alone = kind == "semi" || kind == "anti";
  JoinBench join{five_minutes + "kind = \"" + kind + "\"\n" + (alone ? "fields = { l = \"left.id\" }\n" : ids), fields,
                 fields};
  push_example(join);
  CHECK(join.take().empty());
  join.watermark(20min);
  return join.take();
}
const std::string at_5 = " @299999999";
const std::string at_10 = " @599999999";

TEST_CASE("rows of a key meet when they are in the same window") {
  CHECK(example_of("inner") == "L3 R3 5" + at_5);
}

TEST_CASE("rows that meet none in their window come with NULL where they are asked for") {
  CHECK(example_of("left") == "L1 NULL 5" + at_5 + "; L3 R3 5" + at_5 + "; L2 NULL 10" + at_10);
  CHECK(example_of("right") == "L3 R3 5" + at_5 + "; NULL R2 5" + at_5 + "; NULL R4 10" + at_10);
  CHECK(example_of("full") == "L1 NULL 5" + at_5 + "; L3 R3 5" + at_5 + "; NULL R2 5" + at_5 + "; L2 NULL 10" + at_10 +
                                  "; NULL R4 10" + at_10);
}

TEST_CASE("a semi join gives left rows that meet another in their window, an anti join the others") {
  CHECK(example_of("semi") == "L3" + at_5);
  CHECK(example_of("anti") == "L1" + at_5 + "; L2" + at_10);
}

TEST_CASE("where only the right's keys are asked for, a window keeps one of its rows of each key") {
  for (const std::string kind : {"semi", "anti"}) {
    const std::string spec = five_minutes + "kind = \"" + kind + "\"\nfields = { l = \"left.id\" }\n";
    JoinBench join{spec, fields, fields};
    join.push(left, {{"1", "L1", 1min}, {"2", "L2", 1min}, {nullptr, "L3", 1min}, {"2", "L4", 6min}});
    join.push(right,
              {{"1", "R1", 2min}, {"2", "R2", 6min}, {"1", "R3", 3min}, {nullptr, "R4", 1min}, {"1", "R5", 6min}});
    join.push(right, {{"1", "R6", 4min}, {"3", "R7", 7min}, {"2", "R8", 8min}});
    CHECK(join.restore(2) == (kind == "semi" ? 3 : 4) + 4);
    join.push(right, {{"1", "R9", 4min}});
    join.watermark(20min);
    CHECK(join.take() == (kind == "semi" ? "L1" + at_5 + "; L4" + at_10 : "L2" + at_5 + "; L3" + at_5));
  }
}

TEST_CASE("with a condition all of the right's rows are kept, since any may be the one") {
  JoinBench join{
      "on = \"left.k = right.k AND left.id < right.id\"\nkind = \"semi\"\nwindow = { tumbling = \"5m\" }\n"
      "fields = { l = \"left.id\" }\n",
      fields, fields};
  join.push(left, {{"1", "b", 1min}, {"1", "d", 1min}});
  join.push(right, {{"1", "a", 1min}, {"1", "c", 1min}});
  join.watermark(20min);
  CHECK(join.take() == "b" + at_5);
}

TEST_CASE("a window is joined when time has passed its end, and no earlier") {
  JoinBench join{five_minutes + ids, fields, fields};
  push_example(join);
  join.watermark(Timestamp{5min - 2us});
  CHECK(join.take().empty());
  join.watermark(Timestamp{5min - 1us});
  CHECK(join.take() == "L3 R3 5" + at_5);
  CHECK(join.restore(1) == 2);  // L2 and R4: what is over is forgotten
}

TEST_CASE("a row that comes after all its windows is dropped and counted") {
  JoinBench join{five_minutes + ids, fields, fields};
  join.push(left, {{"1", "L1", 2min}});
  join.watermark(5min);
  join.push(right, {{"1", "R1", 2min}, {"1", "R2", 6min}});
  join.push(left, {{"1", "L2", 7min}});
  join.watermark(20min);
  CHECK(join.take() == "L2 R2 10" + at_10);
  CHECK(join.counted("late") == 1);
}

TEST_CASE("rows meet once in each window that has both") {
  JoinBench sliding{"on = \"left.k = right.k\"\nwindow = { sliding = \"4m\", every = \"2m\" }\n" + ids, fields, fields};
  sliding.push(left, {{"1", "L", 3min}});
  sliding.push(right, {{"1", "R", 2min}});
  sliding.watermark(20min);
  CHECK(sliding.take() == "L R 4 @239999999; L R 6 @359999999");

  JoinBench cumulating{"on = \"left.k = right.k\"\nwindow = { cumulate = \"6m\", every = \"2m\" }\n" + ids, fields,
                       fields};
  cumulating.push(left, {{"1", "L", 1min}});
  cumulating.push(right, {{"1", "R", 3min}});
  cumulating.watermark(20min);
  CHECK(cumulating.take() == "L R 4 @239999999; L R 6 @359999999");
}

TEST_CASE("a condition beside the keys decides which rows meet, and which meet none") {
  JoinBench join{
      "on = \"left.k = right.k AND left.id < right.id\"\nkind = \"left\"\nwindow = { tumbling = \"5m\" }\n" + ids,
      fields, fields};
  join.push(left, {{"1", "b", 1min}, {"1", "e", 1min}});
  join.push(right, {{"1", "a", 1min}, {"1", "c", 1min}, {"1", "d", 1min}});
  join.watermark(20min);
  CHECK(join.take() == "b c 5" + at_5 + "; b d 5" + at_5 + "; e NULL 5" + at_5);
}

TEST_CASE("a key of thousands of pairs leaves in batches, between which the output may be full") {
  std::mt19937_64 moods{1};
  JoinBench join{five_minutes + "fields = { l = \"left.id\", r = \"right.id\" }", fields, fields};
  join.moods = &moods;
  std::vector<testing_support::Row> rows;
  for (int i = 0; i < 150; ++i) rows.push_back({std::string{"hot"}, std::to_string(i), std::int64_t{1}});
  join.push(left, rows);
  join.push(right, rows);
  join.watermark(20min);
  std::size_t pairs = 0;
  for (const BatchPtr& batch : join.batches()) {
    CHECK(batch->rows() <= 2048);
    pairs += batch->rows();
  }
  CHECK(pairs == 150 * 150);
}

const std::string sessions_of_5 =
    "on = \"left.k = right.k\"\nwindow = { session = \"5us\" }\nfields = { l = \"left.id\", r = \"right.id\", s = "
    "\"epoch_ms(window_start)\" }\n";

TEST_CASE("rows of both sides make a session, whose pairs come when it is over") {
  JoinBench join{sessions_of_5 + "kind = \"full\"\n", fields, fields};
  join.push(left, {{"k", "L1", 1000us}, {"k", "L2", 1010us}, {"q", "Q", 1004us}});
  join.push(right, {{"k", "R1", 1005us}, {"k", "R2", 1030us}});
  join.watermark(1008us);
  CHECK(join.take() == "Q NULL 1 @1008");
  join.watermark(1013us);
  CHECK(join.take().empty());
  CHECK(join.waits_for() == Timestamp{1014us});
  join.watermark(1014us);  // the right row keeps the two left ones together
  CHECK(join.take() == "L1 R1 1 @1014; L2 R1 1 @1014");
  join.watermark(1034us);
  CHECK(join.take() == "NULL R2 1 @1034");
  CHECK(join.restore(1) == 0);
}

TEST_CASE("a row that is old by itself goes on with a session that is open, and is late without one") {
  JoinBench join{sessions_of_5, fields, fields};
  join.push(left, {{"k", "L", 1020us}});
  join.watermark(1022us);
  join.push(right, {{"k", "R", 1015us}, {"k", "S", 1009us}, {"q", "T", 1015us}});
  CHECK(join.counted("late") == 2);
  join.watermark(1024us);
  CHECK(join.take() == "L R 1 @1024");
}

}  // namespace
}  // namespace dataflow
