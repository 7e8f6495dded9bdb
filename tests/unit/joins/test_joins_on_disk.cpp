// Joins whose rows lie in a store, but for those of the batch at hand: what the tests against references, which do the
// same at random, have too few keys or too little time for.
#include <algorithm>

#include "tests/support/joining.hpp"
#include "tests/support/temporary_folder.hpp"

namespace dataflow {
namespace {

constexpr std::size_t left = 0;
constexpr std::size_t right = 1;
using namespace std::chrono_literals;
using testing_support::JoinBench;
using testing_support::Row;
using testing_support::TemporaryFolder;

const std::string fields = "k = \"int64\", id = \"int64\", at = \"timestamp\"";
const std::string ids = "fields = { l = \"left.id\", r = \"right.id\" }\n";
constexpr std::int64_t keys = 3000;  // more than are brought back at once

JoinBench on_disk(const TemporaryFolder& folder, const std::string& node, std::uint64_t cache_bytes = 0) {
  return JoinBench{"on = \"left.k = right.k\"\n" + node + ids, fields, fields, 1,
                   [&folder, cache_bytes, attempts = 0]() mutable {
                     return *make_memory_backend(folder / std::to_string(++attempts), cache_bytes);
                   }};
}

/// Rows of `count` keys, of which key k has the id k and the time `time(k)`.
template <class Time>
std::vector<Row> rows_of_keys(std::int64_t count, Time&& time) {
  std::vector<Row> rows;
  for (std::int64_t k = 0; k < count; ++k) rows.push_back({k, k, std::int64_t{time(k)}});
  return rows;
}

std::vector<std::int64_t> times_of(JoinBench& join) {
  std::vector<std::int64_t> times;
  for (const BatchPtr& batch : join.batches()) {
    for (std::uint32_t row = 0; row < batch->rows(); ++row) times.push_back(batch->timestamp(row).micros);
  }
  return times;
}

TEST_CASE("what is certain to have no match comes from disk in the order of time") {
  const TemporaryFolder folder;
  JoinBench join = on_disk(folder, "kind = \"left\"\nbetween = [\"0us\", \"100us\"]\n");
  join.push(left, rows_of_keys(keys, [](std::int64_t k) { return 1 + k * 7919 % keys; }));
  CHECK(join.waits_for() == Timestamp{101us});
  join.watermark(Timestamp{100 + keys / 2});
  const auto first = times_of(join);
  CHECK(first.size() == keys / 2);
  CHECK(std::is_sorted(first.begin(), first.end()));
  CHECK(join.restore(1) == keys / 2);
  join.watermark(Timestamp::max());
  const auto rest = times_of(join);
  CHECK(rest.size() == keys / 2);
  CHECK(std::is_sorted(rest.begin(), rest.end()));
  CHECK(rest.front() > first.back());
  CHECK_FALSE(join.waits_for().has_value());
}

TEST_CASE("rows that are due at the watermark come from disk with it, however many keys have such") {
  for (const std::string node :
       {"as_of = true\n", "between = [\"0us\", \"0us\"]\n", "window = { session = \"1us\" }\n"}) {
    CAPTURE(node);
    const TemporaryFolder folder;
    JoinBench join = on_disk(folder, "kind = \"left\"\n" + node);
    join.push(left, rows_of_keys(keys, [](std::int64_t) { return 5; }));
    REQUIRE(join.waits_for().has_value());
    join.watermark(*join.waits_for());
    CHECK(times_of(join).size() == keys);
  }
}

TEST_CASE("rows on disk go when time has passed all that they could match") {
  const TemporaryFolder folder;
  JoinBench join = on_disk(folder, "between = [\"-1us\", \"100us\"]\n");
  join.push(left, rows_of_keys(keys, [](std::int64_t) { return 1; }));
  join.push(right, rows_of_keys(keys / 2, [](std::int64_t) { return 50; }));
  CHECK(times_of(join).size() == keys / 2);
  join.watermark(100us);
  CHECK(join.restore(1) == keys + keys / 2);  // a key goes whole
  join.watermark(200us);
  CHECK(join.restore(1) == 0);
}

TEST_CASE("a checkpoint has keys on disk as files, of which the one before has most") {
  for (const char* const node : {"", "between = [\"0us\", \"100us\"]\n", "as_of = true\n"}) {
    CAPTURE(node);
    const TemporaryFolder folder;
    JoinBench join{
        std::string{"on = \"left.k = right.k\"\n"} + node + ids, fields, fields, 1,
        [&folder, attempts = 0]() mutable { return *make_rocksdb_backend(folder / std::to_string(++attempts), 0); }};
    join.storage = make_local_storage((folder / "checkpoints").string());
    join.push(right, rows_of_keys(keys, [](std::int64_t) { return 1; }));
    const std::uint64_t first = join.checkpoint();
    for (const bool again : {false, true}) {
      join.push(right, rows_of_keys(keys / 100, [](std::int64_t) { return 2; }));
      const std::uint64_t next = join.checkpoint();
      if (again) CHECK(next < first / 10);  // an interval join puts rows on disk with the batch that comes next
    }
    join.restore(1);
    join.push(left, rows_of_keys(keys, [](std::int64_t) { return 2; }));
    join.watermark(Timestamp::max());
    const bool one_each = std::string_view{node}.starts_with("as_of");
    const bool in_time = std::string_view{node}.starts_with("between");
    std::size_t expected = keys + 2 * (keys / 100);
    if (one_each) expected = keys;
    if (in_time) expected -= keys;
    CHECK(times_of(join).size() == expected);
  }
}

TEST_CASE("keys on disk go to other subtasks and to the heap") {
  const TemporaryFolder folder;
  const std::uint32_t parallelism[] = {3, 2, 1, 4};
  for (const bool to_heap : {false, true}) {
    JoinBench join{"on = \"left.k = right.k\"\nkind = \"full\"\nbetween = [\"0us\", \"100us\"]\n" + ids, fields, fields,
                   1, [&folder, to_heap, attempts = 0]() mutable -> StateBackendPtr {
                     if (++attempts % 2 == 0 && to_heap) return nullptr;
                     return *make_memory_backend(folder / std::to_string(attempts + (to_heap ? 100 : 0)), 0);
                   }};
    join.storage = std::make_shared<MemoryStorage>();
    join.push(right, rows_of_keys(keys, [](std::int64_t) { return 150; }));
    std::int64_t given = 0;
    for (const std::uint32_t subtasks : parallelism) {
      join.restore(subtasks);
      std::vector<Row> rows;
      for (std::int64_t k = given; k < given + 100; ++k) rows.push_back({k, k, std::int64_t{100}});
      join.push(left, rows);
      given += 100;
    }
    CHECK(times_of(join).size() == static_cast<std::size_t>(given));
    join.watermark(Timestamp::max());
    CHECK(times_of(join).size() == static_cast<std::size_t>(keys - given));
  }
}

TEST_CASE("left rows as of a time come from disk with the version that was valid then") {
  const TemporaryFolder folder;
  JoinBench join = on_disk(folder, "as_of = true\n");
  join.push(right, rows_of_keys(keys, [](std::int64_t) { return 1; }));
  join.push(left, rows_of_keys(keys, [](std::int64_t k) { return 2 + k % 10; }));
  join.push(right, rows_of_keys(keys, [](std::int64_t) { return 20; }));
  CHECK(join.waits_for() == Timestamp{2us});
  join.watermark(11us);
  const auto times = times_of(join);
  CHECK(times.size() == keys);
  CHECK(std::is_sorted(times.begin(), times.end()));
  CHECK(join.restore(1) == 2 * keys);  // both versions: the older one is valid still
  join.watermark(3s);
  CHECK(join.restore(1) == keys);
}

TEST_CASE("rows on disk outlive their time to live by little") {
  const TemporaryFolder folder;
  JoinBench join = on_disk(folder, "ttl = \"10s\"\n");
  join.push(left, rows_of_keys(keys, [](std::int64_t) { return 0; }));
  join.clock(5s);
  join.push(left, rows_of_keys(10, [](std::int64_t) { return 0; }));
  join.clock(13s);
  CHECK(join.restore(1) == 20);  // a key's row that has outlived its time goes with the others
  join.clock(18s);
  CHECK(join.restore(1) == 0);
}

TEST_CASE("a window is joined part by part, of which one has all rows of a key") {
  const TemporaryFolder folder;
  JoinBench join = on_disk(folder, "kind = \"full\"\nwindow = { tumbling = \"100us\" }\n", 20'000);
  for (int n = 0; n < 3; ++n) {
    join.push(left, rows_of_keys(keys, [](std::int64_t k) { return k % 100; }));
    join.push(left, std::vector<Row>(200, Row{std::int64_t{keys + 1}, std::int64_t{5}, std::int64_t{50}}));
    join.push(left, std::vector<Row>(500, Row{Value{}, std::int64_t{6}, std::int64_t{50}}));
    join.push(right, rows_of_keys(keys, [](std::int64_t k) { return k % 100; }));
  }
  CHECK(join.waits_for() == Timestamp{99us});
  CHECK(join.restore(1) == 3 * (2 * keys + 700));
  join.watermark(99us);
  CHECK(times_of(join).size() == 3 * 3 * keys + 3 * 700);
  CHECK(join.restore(1) == 0);
}

TEST_CASE("a checkpoint of a window join on disk writes what came since the one before it") {
  const TemporaryFolder folder;
  JoinBench join = on_disk(folder, "window = { tumbling = \"100us\" }\n", 100'000);
  join.storage = std::make_shared<MemoryStorage>();
  constexpr int pushes = 40;  // and so many runs, of which half are made one
  std::uint64_t first = 0;
  for (int n = 0; n < pushes; ++n) {
    for (const std::size_t side : {left, right}) {
      join.push(side, rows_of_keys(keys, [](std::int64_t k) { return k % 100; }));
    }
    if (n != 4) continue;
    first = join.checkpoint();
    CHECK(join.checkpoint() < first / 5);
  }
  join.checkpoint();
  join.push(right, rows_of_keys(keys, [](std::int64_t k) { return k % 100; }));
  CHECK(join.checkpoint() < first / 3);
  CHECK(join.restore(1) == (2 * pushes + 1) * keys);
}

TEST_CASE("a window join on disk goes on in any number of subtasks") {
  for (const std::string window : {"{ tumbling = \"100us\" }", "{ sliding = \"100us\", every = \"50us\" }",
                                   "{ cumulate = \"100us\", every = \"50us\" }"}) {
    CAPTURE(window);
    const TemporaryFolder folder;
    const std::string node = "kind = \"full\"\nwindow = " + window + "\n";
    JoinBench join = on_disk(folder, node, 60'000);
    join.storage = std::make_shared<MemoryStorage>();
    JoinBench reference{"on = \"left.k = right.k\"\n" + node + ids, fields, fields};
    const auto rows_of_both = [&] {
      std::vector<std::string> given[2];
      for (JoinBench* one : {&join, &reference}) {
        auto& texts = given[one == &join ? 0 : 1];
        for (const BatchPtr& batch : one->batches()) {
          for (std::uint32_t row = 0; row < batch->rows(); ++row) texts.push_back(JoinBench::text_of(*batch, row));
        }
        std::sort(texts.begin(), texts.end());
      }
      CHECK(given[0] == given[1]);
      return given[0].size();
    };
    std::int64_t time = 0;
    std::size_t rows = 0;
    for (const std::uint32_t parallelism : {2U, 5U, 1U}) {
      for (JoinBench* one : {&join, &reference}) {
        one->push(left, rows_of_keys(keys, [&](std::int64_t k) { return time + k % 90; }));
        one->push(right, rows_of_keys(keys / 2, [&](std::int64_t k) { return time + k % 90; }));
      }
      join.checkpoint();
      CHECK(join.restore(parallelism) >= keys);
      time += 70;
      for (JoinBench* one : {&join, &reference}) one->watermark(Timestamp{time});
      rows += rows_of_both();
    }
    for (JoinBench* one : {&join, &reference}) one->watermark(Timestamp::max());
    rows += rows_of_both();
    CHECK(rows >= static_cast<std::size_t>(3 * keys));
    CHECK(join.restore(1) == 0);
  }
}

}  // namespace
}  // namespace dataflow
