#include <doctest/doctest.h>

#include "libdataflow/formats/row_encoder.hpp"
#include "tests/unit/windows/windowing.hpp"

using namespace dataflow;
using namespace dataflow::window_tests;

namespace {

WindowSpec running(const Named& aggregates = {{"n", "count()"}, {"total", "sum(v)"}}) {
  return windows_by_key(WindowKind::running, aggregates);
}

/// Results since the last call: "+I a 1 5; -U a 1 5; +U a 2 7".
std::string changes(Windowing& windows) {
  std::string text;
  for (const BatchPtr& batch : std::exchange(windows.out.main, {})) {
    const auto rows = testing_support::rows_of(*batch);
    for (std::uint32_t row = 0; row < batch->rows(); ++row) {
      text += (text.empty() ? "" : "; ") + std::string{dataflow::to_string(batch->kind(row))};
      for (const Value& value : rows[row]) text += " " + to_text(value);
    }
  }
  return text;
}

BatchPtr changelog(const std::vector<std::pair<RowKind, testing_support::Row>>& changes) {
  std::vector<testing_support::Row> rows;
  std::vector<RowKind> kinds;
  for (const auto& [kind, row] : changes) {
    kinds.push_back(kind);
    rows.push_back(row);
  }
  return testing_support::make_batch(input_schema(), rows, {}, kinds);
}

testing_support::Row row(const char* key, std::int64_t v) {
  return {std::string{key}, v};
}

}  // namespace

TEST_CASE("running aggregates give a key's first value as an insert and each change as an update") {
  Windowing totals{running()};
  totals.push({{"a", 5}, {"b", 1}});
  CHECK(changes(totals) == "+I a 1 5; +I b 1 1");
  totals.push({{"a", 2}});
  CHECK(changes(totals) == "-U a 1 5; +U a 2 7");
}

TEST_CASE("one batch changes a key once, however many records of it are in it") {
  Windowing totals{running()};
  totals.push({{"a", 1}, {"b", 10}, {"a", 2}, {"a", 3}});
  CHECK(changes(totals) == "+I a 3 6; +I b 1 10");
  totals.push({{"b", 10}, {"a", 4}, {"c", 7}, {"b", 10}});
  CHECK(changes(totals) == "-U b 1 10; -U a 3 6; +U b 3 30; +U a 4 10; +I c 1 7");
}

TEST_CASE("a key whose values came out the same gives nothing") {
  Windowing most{running({{"most", "max(v)"}, {"name", "max(key)"}})};
  most.push({{"a", 5}, {"b", 3}});
  CHECK(changes(most) == "+I a 5 a; +I b 3 b");
  most.push({{"a", 4}, {"b", 4}});
  CHECK(changes(most) == "-U b 3 b; +U b 4 b");
  most.push({{"a", 1}});
  CHECK(changes(most).empty());
}

TEST_CASE("NULL is a key, and a NULL value differs from every other") {
  Windowing totals{running({{"total", "sum(v)"}})};
  totals.push({{std::nullopt, std::nullopt}, {"a", std::nullopt}});
  CHECK(changes(totals) == "+I NULL NULL; +I a NULL");
  totals.push({{std::nullopt, std::nullopt}, {"a", 0}});
  CHECK(changes(totals) == "-U a NULL; +U a 0");
}

TEST_CASE("results have the newest event time of their key's records, and what is taken back the one it had") {
  Windowing totals{running()};
  totals.push({{"a", 1, 7}, {"a", 1, 3}});
  totals.push({{"a", 1, 5}, {"b", 1, 9}});
  CHECK(totals.event_times() == std::vector<std::int64_t>{7, 7, 7, 9});
}

TEST_CASE("a row that the input takes back is taken out of the aggregates") {
  Windowing totals{running({{"n", "count()"}, {"total", "sum(v)"}, {"mean", "avg(v)"}})};
  totals.push(changelog({{RowKind::insert, row("a", 4)}, {RowKind::insert, row("a", 8)}}));
  CHECK(changes(totals) == "+I a 2 12 6");
  totals.push(changelog({{RowKind::update_before, row("a", 4)}, {RowKind::update_after, row("a", 2)}}));
  CHECK(changes(totals) == "-U a 2 12 6; +U a 2 10 5");
  totals.push(changelog({{RowKind::remove, row("a", 8)}}));
  CHECK(changes(totals) == "-U a 2 10 5; +U a 1 2 2");
}

TEST_CASE("a key whose last row is taken back is removed, and may come again") {
  Windowing totals{running()};
  totals.push(changelog({{RowKind::insert, row("a", 4)}, {RowKind::insert, row("b", 1)}}));
  changes(totals);
  totals.push(changelog({{RowKind::remove, row("a", 4)}, {RowKind::insert, row("b", 1)}}));
  CHECK(changes(totals) == "-D a 1 4; -U b 1 1; +U b 2 2");
  totals.push(changelog({{RowKind::insert, row("a", 3)}}));
  CHECK(changes(totals) == "+I a 1 3");
  totals.push(changelog({{RowKind::insert, row("c", 3)}, {RowKind::remove, row("c", 3)}}));
  CHECK(changes(totals).empty());
}

TEST_CASE("without keys the one result stays, also when nothing is left") {
  WindowSpec spec = running();
  spec.key_fields.clear();
  Windowing totals{spec};
  totals.push(changelog({{RowKind::insert, row("a", 4)}}));
  CHECK(changes(totals) == "+I 1 4");
  totals.push(changelog({{RowKind::remove, row("a", 4)}}));
  CHECK(changes(totals) == "-U 1 4; +U 0 NULL");
}

TEST_CASE("a key without records for its time to live begins anew") {
  WindowSpec spec = running();
  spec.ttl = Duration{100};
  Windowing totals{spec};
  totals.push({{"a", 1}, {"b", 1}});
  totals.clock(60);
  totals.push({{"b", 1}});
  changes(totals);
  totals.context.clock = Timestamp{120};  // before anything has looked
  totals.push({{"a", 1}, {"b", 1}});
  CHECK(changes(totals) == "-U b 2 2; +I a 1 1; +U b 3 3");
  CHECK(totals.context.counter("forgotten").value() == 1);
}

TEST_CASE("keys that no record comes of any more go by themselves") {
  WindowSpec spec = running();
  spec.ttl = Duration{std::chrono::seconds{1}};
  Windowing totals{spec};
  totals.push({{"a", 1}, {"b", 1}});
  changes(totals);
  REQUIRE(totals.timer().has_value());
  totals.clock(3'000'000);
  CHECK(totals.context.counter("forgotten").value() == 2);
  CHECK(!totals.timer().has_value());
  totals.push(changelog({{RowKind::remove, row("a", 1)}}));
  CHECK(changes(totals).empty());
  CHECK(totals.context.counter("unmatched").value() == 1);
}

TEST_CASE("results of long texts come in batches of a bearable size") {
  Windowing texts{running({{"text", "max(key)"}})};
  std::vector<Record> records;
  for (int i = 0; i < 1000; ++i) records.push_back({std::to_string(i) + std::string(2000, 'x'), 1});
  texts.push(records);
  std::size_t rows = 0;
  for (const BatchPtr& batch : texts.out.main) {
    CHECK(batch->byte_size() <= 2 * max_batch_bytes);
    rows += batch->rows();
  }
  CHECK(rows == 1000);
}
