// Splits that fall silent: windows, sessions and joins over sources of which some splits say nothing for a while. Only
// who has been silent for idle_after may be late, nothing is lost, and what is not late is counted as a quadratic
// reference counts it.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "libdataflow/runtime/collect_sink.hpp"
#include "libdataflow/runtime/local_executor.hpp"
#include "libdataflow/topology/topology.hpp"
#include "tests/support/batches.hpp"
#include "tests/support/scripted_source.hpp"
#include "tests/support/seeds.hpp"

using namespace dataflow;
using namespace dataflow::testing_support;

namespace {

constexpr const char* job_text = R"t(
[sources.in]
type       = "collection"
schema     = { id = "int64", key = "int64", at = "timestamp" }
event_time = { field = "at" }
rows       = []

[operators.tumbling]
type      = "window"
input     = "in"
key_by    = "key"
window    = { tumbling = "20s" }
aggregate = { n = "count()", ids = "sum(id)" }

[operators.sessions]
type      = "window"
input     = "in"
key_by    = "key"
window    = { session = "7500ms" }
aggregate = { n = "count()", ids = "sum(id)" }

[operators.pairs]
type    = "join"
left    = "in"
right   = "in"
on      = "left.key = right.key"
between = ["-3s", "5s"]
fields  = { a = "left.id", b = "right.id" }

[sinks.tumbling_out]
type  = "print"
input = "tumbling"
[sinks.tumbling_late]
type  = "print"
input = "tumbling.late"
[sinks.sessions_out]
type  = "print"
input = "sessions"
[sinks.sessions_late]
type  = "print"
input = "sessions.late"
[sinks.pairs_out]
type  = "print"
input = "pairs"
)t";

constexpr std::int64_t second = 1'000'000;
constexpr std::int64_t no_key = -1;

struct Record {
  std::int64_t id;
  std::int64_t key;  ///< no_key: NULL
  std::int64_t at;
  bool after_silence;  ///< its split had been silent before it or before one in front of it
};

struct Case {
  std::vector<Script> splits;
  std::vector<Record> records;
};

/// Each split is in order; splits are apart in time, have records of equal times, and pause between some batches.
Case make_case(std::mt19937_64& random, const SchemaPtr& schema, std::int64_t idle_after) {
  Case made;
  const std::size_t splits = 2 + random() % 4;
  for (std::size_t split = 0; split < splits; ++split) {
    Script& script = made.splits.emplace_back();
    auto at = static_cast<std::int64_t>(random() % 20);
    std::int64_t silence = 0;
    bool was_silent = false;
    for (std::size_t batch = 1 + random() % 12; batch != 0; --batch) {
      if (random() % 3 == 0) {
        const auto pause = static_cast<std::int64_t>(1 + random() % 40);
        script.emplace_back(Pause{Duration{pause * second}});
        silence += pause;
      }
      was_silent = was_silent || silence >= idle_after;
      silence = 0;
      std::vector<Row> rows;
      for (std::size_t row = 1 + random() % 4; row != 0; --row) {
        at += static_cast<std::int64_t>(random() % 6);
        const auto id = static_cast<std::int64_t>(made.records.size());
        const std::int64_t key = random() % 10 == 0 ? no_key : static_cast<std::int64_t>(random() % 3);
        made.records.push_back({id, key, at, was_silent});
        rows.push_back({id, key == no_key ? Value{} : Value{key}, at * second});
      }
      script.emplace_back(make_batch(schema, rows));
    }
  }
  return made;
}

using Numbers = std::vector<std::int64_t>;

/// The columns of what came, NULL as no_key, in an order of its own.
std::vector<Numbers> numbers_of(const Collected& collected, const std::vector<std::string>& fields) {
  std::vector<Numbers> all;
  for (const BatchPtr& batch : collected.batches) {
    for (std::uint32_t row = 0; row < batch->rows(); ++row) {
      Numbers& numbers = all.emplace_back();
      for (const std::string& field : fields) {
        const Column& column = batch->column(*batch->schema()->find(field));
        numbers.push_back(column.is_null(row) ? no_key : column.as<std::int64_t>()[row]);
      }
    }
  }
  std::sort(all.begin(), all.end());
  return all;
}

std::set<std::int64_t> ids_of(const Collected& collected) {
  std::set<std::int64_t> ids;
  for (const Numbers& row : numbers_of(collected, {"id"})) ids.insert(row[0]);
  return ids;
}

std::vector<Record> without(std::vector<Record> records, const std::set<std::int64_t>& late) {
  std::erase_if(records, [&](const Record& record) { return late.contains(record.id); });
  return records;
}

/// Key, start, end in seconds, records and the sum of their ids: of each record its window, of each window all records.
std::vector<Numbers> tumbling_of(const std::vector<Record>& records) {
  std::set<Numbers> windows;
  for (const Record& one : records) {
    Numbers window{one.key, one.at / 20 * 20 * second, (one.at / 20 + 1) * 20 * second, 0, 0};
    for (const Record& other : records) {
      if (other.key != one.key || other.at / 20 != one.at / 20) continue;
      window[3] += 1;
      window[4] += other.id;
    }
    windows.insert(window);
  }
  return {windows.begin(), windows.end()};
}

/// Whatever is less than the gap apart belongs together, however long the chain. (Exactly a gap apart would depend on
/// which of two splits is read first.)
std::vector<Numbers> sessions_of(const std::vector<Record>& records) {
  std::set<Numbers> sessions;
  for (const Record& one : records) {
    std::set<std::int64_t> members{one.id};
    for (bool grown = true; grown;) {
      grown = false;
      for (const Record& other : records) {
        if (other.key != one.key || members.contains(other.id)) continue;
        grown = std::any_of(records.begin(), records.end(), [&](const Record& member) {
          return members.contains(member.id) && std::abs(member.at - other.at) <= 7;
        });
        if (!grown) continue;
        members.insert(other.id);
        break;
      }
    }
    Numbers session{one.key, INT64_MAX, 0, 0, 0};
    for (const Record& member : records) {
      if (!members.contains(member.id)) continue;
      session[1] = std::min(session[1], member.at * second);
      session[2] = std::max(session[2], member.at * second + 7'500'000);
      session[3] += 1;
      session[4] += member.id;
    }
    sessions.insert(session);
  }
  return {sessions.begin(), sessions.end()};
}

std::vector<Numbers> pairs_of(const std::vector<Record>& records) {
  std::vector<Numbers> pairs;
  for (const Record& left : records) {
    for (const Record& right : records) {
      const bool meet =
          left.key != no_key && left.key == right.key && right.at >= left.at - 3 && right.at <= left.at + 5;
      if (meet) pairs.push_back({left.id, right.id});
    }
  }
  std::sort(pairs.begin(), pairs.end());
  return pairs;
}

}  // namespace

TEST_CASE("who is late has been silent, and nothing is lost, whichever splits fall silent") {
  std::size_t late_in_all = 0;
  std::size_t on_time_in_all = 0;
  for (const std::uint64_t seed : seeds(400)) {
    CAPTURE(seed);
    std::mt19937_64 random{seed};
    LoadedTopology loaded = parse_topology(job_text, "job.toml", "/");
    REQUIRE_MESSAGE(loaded.topology, (loaded.diagnostics.empty() ? "" : render(loaded.diagnostics.front())));
    StreamGraph graph = std::move(loaded.topology->graph);
    const std::int64_t idle_after = random() % 3 == 0 ? 1000 : static_cast<std::int64_t>(5 + random() % 30);
    StreamNode& source = graph.nodes[graph.find("in")->id];
    const Case made = make_case(random, source.outputs[0].schema, idle_after);
    // Read one after the other, splits would be late by themselves: as many subtasks as splits, or side by side.
    const bool side_by_side = random() % 2 == 0;
    const auto splits = static_cast<std::uint32_t>(made.splits.size());
    source.source->factory = std::make_shared<ScriptedSource>(made.splits, true, side_by_side);
    source.source->event_time->idle_after = Duration{idle_after * second};
    source.parallelism = side_by_side ? 1 + static_cast<std::uint32_t>(random() % splits) : splits;
    std::map<std::string, std::shared_ptr<Collected>> out;
    for (StreamNode& node : graph.nodes) {
      if (node.is_sink()) node.factory = make_collect_sink(out[node.name] = std::make_shared<Collected>());
    }
    auto executor =
        LocalExecutor::create(std::move(graph), {.parallelism = 1 + static_cast<std::uint32_t>(random() % 3)});
    REQUIRE(executor);
    REQUIRE((*executor)->run());

    const bool silent = std::any_of(made.records.begin(), made.records.end(),
                                    [](const Record& record) { return record.after_silence; });
    for (const std::string name : {"tumbling", "sessions"}) {
      CAPTURE(name);
      const std::set<std::int64_t> late = ids_of(*out[name + "_late"]);
      for (const std::int64_t id : late) CHECK(made.records[static_cast<std::size_t>(id)].after_silence);
      const std::vector<Record> on_time = without(made.records, late);
      late_in_all += late.size();
      on_time_in_all += on_time.size();
      const auto counted = numbers_of(*out[name + "_out"], {"key", "window_start", "window_end", "n", "ids"});
      if (name == "tumbling") {
        CHECK(counted == tumbling_of(on_time));
      } else if (!silent) {
        CHECK(counted == sessions_of(on_time));
      } else {
        // Who has been silent may come when the session that it would have made longer has been given.
        Numbers expected{0, 0};
        for (const Record& record : on_time) expected = {expected[0] + 1, expected[1] + record.id};
        Numbers came{0, 0};
        for (const Numbers& session : counted) came = {came[0] + session[3], came[1] + session[4]};
        CHECK(came == expected);
      }
    }
    // What was late for the join is counted, no more; where nobody was silent every pair is there.
    const auto pairs = numbers_of(*out["pairs_out"], {"a", "b"});
    const auto expected = pairs_of(made.records);
    CHECK(std::includes(expected.begin(), expected.end(), pairs.begin(), pairs.end()));
    if (!silent) CHECK(pairs == expected);
  }
  if (std::getenv("DATAFLOW_SEED") != nullptr) return;
  CHECK(late_in_all > 0);
  CHECK(on_time_in_all > 5 * late_in_all);
}
