// Joins without bounds in time, whose results are a changelog.
#include "tests/support/joining.hpp"

namespace dataflow {
namespace {

constexpr std::size_t left = 0;
constexpr std::size_t right = 1;
using namespace std::chrono_literals;
using testing_support::JoinBench;

const std::string fields = "k = \"int64\", id = \"string\"";
const std::string on_key = "on = \"left.k = right.k\"\n";
const std::string ids = "fields = { l = \"left.id\", r = \"right.id\" }\n";

JoinBench join_of(const std::string& kind, const std::string& more = ids) {
  return JoinBench{on_key + more + "kind = \"" + kind + "\"\n", fields, fields};
}

TEST_CASE("a row meets all that there have been") {
  JoinBench join = join_of("inner");
  CHECK(join.node().outputs[0].changelog == ChangelogMode::append_only);
  join.push(left, {{1, "a"}, {2, "b"}, {1, "c"}});
  CHECK(join.take().empty());
  join.push(right, {{1, "x"}, {3, "y"}});
  CHECK(join.take() == "a x; c x");
  join.push(left, {{3, "d"}, {1, "e"}});
  CHECK(join.take() == "d y; e x");
}

TEST_CASE("a left row is said to have no match until it has one, and again when that goes") {
  JoinBench join = join_of("left");
  CHECK(join.node().outputs[0].changelog == ChangelogMode::retract);
  join.push(left, {{1, "a"}});
  CHECK(join.take() == "a NULL");
  join.push(right, {{1, "x"}, {1, "y"}});
  CHECK(join.take() == "-D a NULL; a x; a y");
  join.push(right, {{1, "x"}}, {RowKind::remove});
  CHECK(join.take() == "-D a x");
  join.push(right, {{1, "y"}}, {RowKind::update_before});
  CHECK(join.take() == "-D a y; a NULL");
  join.push(left, {{1, "a"}}, {RowKind::remove});
  CHECK(join.take() == "-D a NULL");
}

TEST_CASE("a full join says it of both sides") {
  JoinBench join = join_of("full");
  join.push(left, {{1, "a"}});
  join.push(right, {{2, "x"}, {nullptr, "n"}});
  CHECK(join.take() == "a NULL; NULL x; NULL n");
  join.push(left, {{2, "b"}});
  CHECK(join.take() == "-D NULL x; b x");
  join.push(right, {{2, "x"}}, {RowKind::remove});
  CHECK(join.take() == "-D b x; b NULL");
  join.push(right, {{nullptr, "n"}}, {RowKind::remove});
  CHECK(join.take() == "-D NULL n");
}

TEST_CASE("a right join is a left join turned round") {
  JoinBench join = join_of("right");
  join.push(right, {{1, "x"}});
  join.push(left, {{1, "a"}, {5, "b"}});
  CHECK(join.take() == "NULL x; -D NULL x; a x");
}

TEST_CASE("a semi join gives a left row while it has a match, an anti join while it has none") {
  const std::string only = "fields = { l = \"left.id\" }\n";
  JoinBench semi = join_of("semi", only);
  CHECK(semi.node().outputs[0].changelog == ChangelogMode::append_only);
  semi.push(left, {{1, "a"}});
  CHECK(semi.take().empty());
  semi.push(right, {{1, "x"}, {1, "y"}});
  CHECK(semi.take() == "a");
  semi.push(left, {{1, "b"}});
  CHECK(semi.take() == "b");

  JoinBench anti = join_of("anti", only);
  CHECK(anti.node().outputs[0].changelog == ChangelogMode::retract);
  anti.push(left, {{1, "a"}, {nullptr, "n"}});
  CHECK(anti.take() == "a; n");
  anti.push(right, {{1, "x"}, {1, "y"}});
  CHECK(anti.take() == "-D a");
  anti.push(right, {{1, "x"}, {1, "y"}}, {RowKind::remove, RowKind::remove});
  CHECK(anti.take() == "a");
}

TEST_CASE("an update takes back what the old row said and says what the new one does") {
  JoinBench join = join_of("inner");
  join.push(left, {{1, "a"}});
  join.push(right, {{1, "x"}});
  CHECK(join.take() == "a x");
  join.push(right, {{1, "x"}, {1, "y"}}, {RowKind::update_before, RowKind::update_after});
  CHECK(join.take() == "-D a x; a y");
  join.push(right, {{1, "y"}, {2, "y"}}, {RowKind::update_before, RowKind::update_after});
  CHECK(join.take() == "-D a y");
}

TEST_CASE("rows that are equal are there as often as they came") {
  JoinBench join = join_of("inner");
  join.push(left, {{1, "a"}, {1, "a"}});
  join.push(right, {{1, "x"}});
  CHECK(join.take() == "a x; a x");
  join.push(left, {{1, "a"}}, {RowKind::remove});
  CHECK(join.take() == "-D a x");
  join.push(right, {{1, "z"}});
  CHECK(join.take() == "a z");
}

TEST_CASE("a row that comes and goes within a batch leaves nothing behind") {
  JoinBench join = join_of("left");
  join.push(right, {{1, "x"}});
  join.push(left, {{1, "a"}, {1, "a"}}, {RowKind::insert, RowKind::remove});
  CHECK(join.take() == "a x; -D a x");
  CHECK(join.restore(1) == 1);
}

TEST_CASE("what takes back a row that is not there is dropped and counted") {
  JoinBench join = join_of("inner");
  join.push(right, {{1, "x"}});
  join.push(left, {{1, "a"}}, {RowKind::remove});
  CHECK(join.take().empty());
  CHECK(join.counted("unknown_retractions") == 1);
}

TEST_CASE("a row is forgotten when its time to live is over, and nothing is taken back for it") {
  JoinBench join = join_of("left", ids + "ttl = \"10s\"\n");
  join.clock(Timestamp{1s});
  join.push(left, {{1, "a"}});
  join.clock(Timestamp{8s});
  join.push(right, {{1, "x"}});
  CHECK(join.take() == "a NULL; -D a NULL; a x");
  join.clock(Timestamp{12s});  // a is gone, x is not
  join.push(right, {{1, "y"}});
  CHECK(join.take().empty());
  join.push(left, {{1, "b"}});
  CHECK(join.take() == "b x; b y");
  CHECK(join.restore(2) == 3);
  join.clock(Timestamp{60s});
  CHECK(join.restore(1) == 0);
}

TEST_CASE("counts of matches come back from a checkpoint, in any number of subtasks") {
  JoinBench join = join_of("left");
  join.push(left, {{1, "a"}, {2, "b"}, {3, "c"}});
  join.push(right, {{1, "x"}, {1, "y"}, {3, "z"}});
  join.take();
  CHECK(join.restore(3) == 6);
  join.push(right, {{1, "x"}}, {RowKind::remove});
  CHECK(join.take() == "-D a x");
  join.restore(2);
  join.push(right, {{1, "y"}}, {RowKind::remove});
  CHECK(join.take() == "-D a y; a NULL");
}

TEST_CASE("a key with thousands of rows leaves room for others between batches") {
  std::mt19937_64 moods{3};
  JoinBench join = join_of("full");
  join.moods = &moods;
  std::vector<testing_support::Row> rows;
  for (std::int64_t i = 0; i < 3000; ++i) rows.push_back({std::int64_t{7}, std::to_string(i)});
  join.push(left, rows);
  join.take();
  join.push(right, {{7, "x"}, {7, "y"}});
  std::size_t pairs = 0;
  for (const BatchPtr& batch : join.batches()) pairs += batch->rows();
  CHECK(pairs == 9000);  // 3000 taken back, 6000 pairs
  join.push(right, {{7, "x"}}, {RowKind::remove});
  join.push(right, {{7, "y"}}, {RowKind::remove});
  pairs = 0;
  for (const BatchPtr& batch : join.batches()) pairs += batch->rows();
  CHECK(pairs == 9000);
}

}  // namespace
}  // namespace dataflow
