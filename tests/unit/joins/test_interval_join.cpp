// Joins within an interval of time: the right's time from the left's.
#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/joining.hpp"

namespace dataflow {
namespace {

constexpr std::size_t left = 0;
constexpr std::size_t right = 1;
using namespace std::chrono_literals;
using testing_support::JoinBench;

const std::string fields = "k = \"string\", id = \"string\", at = \"timestamp\"";
const std::string within_4 = "on = \"left.k = right.k\"\nbetween = [\"-2us\", \"1us\"]\n";
const std::string ids = "fields = { l = \"left.id\", r = \"right.id\" }\n";

TEST_CASE("rows meet when the right's time is within the bounds, both included") {
  // Flink's picture of interval joins: bounds -2 and +1, green events at 0 1 6 7, orange at 0 2 3 4 5 7.
  JoinBench join{within_4 + ids, fields, fields};
  join.push(left,
            {{"k", "0", 0us}, {"k", "2", 2us}, {"k", "3", 3us}, {"k", "4", 4us}, {"k", "5", 5us}, {"k", "7", 7us}});
  join.push(right, {{"k", "0", 0us}, {"k", "1", 1us}, {"k", "6", 6us}, {"k", "7", 7us}});
  CHECK(join.take() == "0 0 @0; 2 0 @2; 0 1 @1; 2 1 @2; 3 1 @3; 5 6 @6; 7 6 @7; 7 7 @7");
}

TEST_CASE("a pair comes with its second row, whichever that is, and has the later time of the two") {
  JoinBench join{within_4 + ids, fields, fields};
  join.push(right, {{"k", "R", 9us}});
  CHECK(join.take().empty());
  join.push(left, {{"k", "L", 10us}});
  CHECK(join.take() == "L R @10");
  join.push(right, {{"k", "S", 11us}});
  CHECK(join.take() == "L S @11");
}

TEST_CASE("a row is kept as long as time allows a match, and no longer") {
  JoinBench join{within_4 + ids, fields, fields};
  join.push(left, {{"k", "L", 10us}});
  join.watermark(10us);
  CHECK(join.restore(2) == 1);
  join.push(right, {{"k", "R", 11us}});
  CHECK(join.take() == "L R @11");
  join.watermark(14us);
  CHECK(join.restore(1) == 0);
}

const std::string open_fields = "k = \"string\", id = \"string\", until = \"timestamp\", at = \"timestamp\"";
const std::string while_open = "on = \"left.k = right.k\"\nbetween = [\"0s\", \"until\"]\n";

TEST_CASE("the end of the interval may be a field of each left row") {
  JoinBench join{while_open + ids, open_fields, fields};
  join.push(
      left,
      {{"k", "short", 12us, 10us}, {"k", "long", 20us, 10us}, {"k", "never", nullptr, 10us}, {"k", "over", 9us, 10us}});
  join.push(right, {{"k", "early", 9us}, {"k", "start", 10us}, {"k", "end", 12us}, {"k", "later", 13us}});
  CHECK(join.take() == "short start @10; long start @10; short end @12; long end @12; long later @13");
}

TEST_CASE(
    "a row whose interval has an end of its own is kept until then, and those that it may meet until it is late") {
  JoinBench join{while_open + ids, open_fields, fields};
  join.push(right, {{"k", "R", 10us}});
  join.push(left, {{"k", "short", 4000000us, 10us}, {"k", "long", 60000000us, 10us}});
  CHECK(join.take() == "short R @10; long R @10");
  CHECK(join.restore(2) == 3);
  join.watermark(10000000us);
  CHECK(join.restore(1) == 1);
  join.push(right, {{"k", "S", 60000000us}});
  CHECK(join.take() == "long S @60000000");
}

TEST_CASE("a left row that waits until a time of its own is alone when that has passed") {
  JoinBench join{while_open + ids + "kind = \"left\"\n", open_fields, fields};
  join.push(left, {{"k", "L", 20us, 10us},
                   {"k", "never", nullptr, 11us},
                   {"k", "over", 8us, 12us},
                   {nullptr, "no key", 30us, 13us}});
  CHECK(join.take() == "never NULL @11; no key NULL @30");
  CHECK(join.restore(2) == 2);
  join.watermark(8us);
  CHECK(join.take() == "over NULL @12");
  join.watermark(19us);
  CHECK(join.take().empty());
  join.watermark(20us);
  CHECK(join.take() == "L NULL @20");
}

const std::string priced_fields = "k = \"string\", id = \"string\", price = \"int64\", at = \"timestamp\"";
const std::string priced = "on = \"left.k = right.k\"\nbetween = [\"-2us\", \"4us\"]\n" + ids;

TEST_CASE("of each left row only pairs may be asked for that none before was better than") {
  JoinBench join{priced + "best = \"right.price DESC\"\n", priced_fields, priced_fields};
  join.push(right, {{"k", "early", 5, 10us}, {"k", "worse", 4, 11us}});
  join.push(left, {{"k", "A", 0, 10us}});
  CHECK(join.take() == "A early @10");
  join.push(left, {{"k", "B", 0, 9us}});
  CHECK(join.take() == "B early @10");
  CHECK(join.restore(2) == 4);  // and the best of each
  join.push(right, {{"k", "less", 4, 12us}, {"k", "NULL", nullptr, 12us}, {"k", "equal", 5, 12us}});
  CHECK(join.take() == "B equal @12; A equal @12");
  join.push(right, {{"k", "more", 7, 13us}});
  CHECK(join.take() == "B more @13; A more @13");
  join.push(right, {{"k", "less", 6, 13us}});
  CHECK(join.take().empty());
}

TEST_CASE("rows that wait for the other side have met nothing, whatever the rows before them have") {
  JoinBench join{priced + "best = \"right.price DESC\"\n", priced_fields, priced_fields};
  join.push(right, {{"k", "early", 5, 10us}});
  join.push(left, {{"k", "A", 0, 10us}});
  CHECK(join.take() == "A early @10");
  join.push(left, {{"k", "B", 0, 30us}, {"k", "C", 0, 31us}});
  join.push(right, {{"k", "low", -5, 31us}});
  CHECK(join.take() == "B low @31; C low @31");
}

TEST_CASE("of a batch's pairs only the best of a left row is given, and what is equal to it") {
  JoinBench join{priced + "best = \"right.price ASC\"\n", priced_fields, priced_fields};
  join.push(left, {{"k", "L", 0, 10us}});
  join.push(right, {{"k", "a", 5, 10us}, {"k", "b", 6, 10us}, {"k", "c", -1, 11us}, {"k", "d", -1, 11us}});
  CHECK(join.take() == "L c @11; L d @11");
}

TEST_CASE("wherever in a long batch the best rows are, and what is passed over still waits for other left rows") {
  const std::string numbered = "k = \"int64\", id = \"int64\", price = \"int64\", at = \"timestamp\"";
  JoinBench join{"on = \"left.k = right.k\"\nbetween = [\"0s\", \"1s\"]\nbest = \"right.price DESC\"\n" + ids, numbered,
                 numbered};
  join.push(left, {{0, 100, 0, 10us}, {1, 101, 0, 10us}, {2, 102, 0, 10us}, {2, 103, 0, 10us}});
  std::vector<testing_support::Row> rows;
  std::array<std::int64_t, 4> best{};  // of each key: its row
  std::string better_ones;             // of the last key: those that none before is better than
  const auto price_of = [](std::int64_t row) { return row * 37 % 2000; };  // a permutation
  for (std::int64_t row = 0; row < 2000; ++row) {
    rows.push_back({row % 4, row, price_of(row), std::int64_t{20}});
    std::int64_t& of_key = best[static_cast<std::size_t>(row % 4)];
    const bool is_better = of_key == 0 || price_of(row) > price_of(of_key);
    if (is_better) of_key = row;
    if (is_better && row % 4 == 3)
      better_ones += (better_ones.empty() ? "104 " : "; 104 ") + std::to_string(row) + " @20";
  }
  join.push(right, rows);
  const std::string given = join.take();
  for (const auto& [id, key] : {std::pair{100, 0}, {101, 1}, {102, 2}, {103, 2}}) {
    const std::string pair = std::to_string(id) + " " + std::to_string(best[static_cast<std::size_t>(key)]) + " @20";
    CHECK_MESSAGE(given.find(pair) != std::string::npos, pair, " in ", given);
  }
  CHECK(std::count(given.begin(), given.end(), ';') == 3);
  join.push(left, {{3, 104, 0, 10us}});
  CHECK(join.take() == better_ones);
}

TEST_CASE("rows that are ahead of the other side wait for it, and are in checkpoints") {
  JoinBench join{while_open + ids, open_fields, fields};
  join.push(right, {{"k", "first", 5us}});
  join.push(left, {{"k", "A", 40us, 20us}, {"k", "B", 60us, 30us}});
  join.push(left, {{"k", "C", 90us, 50us}});
  join.watermark(4us);
  join.push(right, {{"k", "at 25", 25us}});
  CHECK(join.take() == "A at 25 @25");
  CHECK(join.restore(2) == 5);
  join.push(left, {{"k", "D", 80us, 70us}});
  join.push(right, {{"k", "at 55", 55us}, {"k", "at 75", 75us}});
  CHECK(join.take() == "B at 55 @55; C at 55 @55; C at 75 @75; D at 75 @75");
}

TEST_CASE("rows that have met all that came before them wait for what comes out of order") {
  JoinBench join{while_open + ids, open_fields, fields};
  join.push(left, {{"k", "A", 40us, 10us}});
  join.push(right, {{"k", "at 20", 20us}, {"other", "at 21", 21us}});
  join.push(right, {{"k", "at 30", 30us}});
  CHECK(join.take() == "A at 20 @20; A at 30 @30");
  join.push(left, {{"k", "B", 90us, 25us}});
  CHECK(join.take() == "B at 30 @30");
  join.push(right, {{"k", "at 35", 35us}});
  CHECK(join.take() == "A at 35 @35; B at 35 @35");
  join.push(left, {{"other", "C", 90us, 15us}, {"k", "D", 90us, 15us}});
  CHECK(join.take() == "C at 21 @21; D at 20 @20; D at 30 @30; D at 35 @35");
}

TEST_CASE("rows that wait for what comes out of order go when time has passed them") {
  JoinBench join{while_open + ids, open_fields, fields};
  join.push(left, {{"k", "A", 90us, 10us}});
  join.push(right, {{"k", "at 20", 20us}});
  join.push(right, {{"k", "at 30", 30us}});
  join.watermark(20us);
  CHECK(join.take() == "A at 20 @20; A at 30 @30");
  CHECK(join.restore(1) == 2);
  join.push(left, {{"k", "B", 90us, 25us}});
  CHECK(join.take() == "B at 30 @30");
}

TEST_CASE("a row without a match comes when it is certain that it has none, with that time") {
  JoinBench join{within_4 + ids + "kind = \"full\"\n", fields, fields};
  join.push(left, {{"k", "L", 10us}});
  join.push(right, {{"k", "R", 20us}});
  join.watermark(10us);
  CHECK(join.take().empty());
  join.watermark(11us);
  CHECK(join.take() == "L NULL @11");
  join.watermark(21us);
  CHECK(join.take().empty());
  join.watermark(22us);
  CHECK(join.take() == "NULL R @22");
}

TEST_CASE("a NULL key meets nothing, which is certain at once") {
  JoinBench join{within_4 + ids + "kind = \"left\"\n", fields, fields};
  join.push(right, {{nullptr, "R", 10us}});
  join.push(left, {{nullptr, "L", 10us}});
  CHECK(join.take() == "L NULL @11");
  CHECK(join.restore(1) == 0);
}

TEST_CASE("a semi join gives a left row once, with its first match") {
  JoinBench join{within_4 + "fields = { l = \"left.id\" }\nkind = \"semi\"\n", fields, fields};
  join.push(left, {{"k", "L", 10us}, {"k", "M", 30us}});
  join.push(right, {{"k", "R", 11us}, {"k", "S", 9us}});
  CHECK(join.take() == "L @11");
  join.watermark(100us);
  CHECK(join.take().empty());
}

TEST_CASE("an anti join gives a left row when nothing can match it any more") {
  JoinBench join{within_4 + "fields = { l = \"left.id\" }\nkind = \"anti\"\n", fields, fields};
  join.push(left, {{"k", "L", 10us}, {"k", "M", 30us}});
  join.push(right, {{"k", "R", 11us}});
  join.watermark(100us);
  CHECK(join.take() == "M @31");
}

TEST_CASE("a row that is behind the watermark is dropped and counted") {
  JoinBench join{within_4 + ids + "kind = \"full\"\n", fields, fields};
  join.watermark(10us);
  join.push(left, {{"k", "L", 10us}});
  join.push(right, {{"k", "R", 9us}});
  join.watermark(100us);
  CHECK(join.take().empty());
  CHECK(join.counted("late") == 2);
}

TEST_CASE("a key with many rows costs what its matches cost, and gives them in batches") {
  std::mt19937_64 moods{7};
  JoinBench join{within_4 + ids, fields, fields};
  join.moods = &moods;
  std::vector<testing_support::Row> rows;
  for (std::int64_t i = 0; i < 20'000; ++i) rows.push_back({std::string{"hot"}, std::to_string(i), i / 1000});
  for (std::size_t at = 0; at < rows.size(); at += 4000) {
    join.push(left,
              {rows.begin() + static_cast<std::ptrdiff_t>(at), rows.begin() + static_cast<std::ptrdiff_t>(at) + 4000});
  }
  join.push(right, {{"hot", "R", 5us}});  // meets the left's 4 to 7
  std::size_t pairs = 0;
  for (const BatchPtr& batch : join.batches()) pairs += batch->rows();
  CHECK(pairs == 4000);
}

}  // namespace
}  // namespace dataflow
