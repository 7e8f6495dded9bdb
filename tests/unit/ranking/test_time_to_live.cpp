// What `distinct` and `top` keep of a key is forgotten a while after its last row, by the clock, whatever keeps it, and
// through checkpoints.
#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <vector>

#include "libdataflow/formats/row_encoder.hpp"
#include "libdataflow/include/dataflow/testing.hpp"
#include "libdataflow/ranking/distinct.hpp"
#include "libdataflow/ranking/top.hpp"
#include "libdataflow/state/state_backend.hpp"
#include "libdataflow/topology/topology.hpp"
#include "tests/support/batches.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/unit/windows/windowing.hpp"

namespace dataflow {
namespace {

using namespace std::chrono_literals;
using testing_support::TemporaryFolder;

const SchemaPtr& schema() {
  static const SchemaPtr s = make_schema({{"key", TypeKind::string}, {"n", TypeKind::int64}});
  return s;
}

/// A subtask, its clock and what came out.
class Running {
 public:
  Running(OperatorFactoryPtr factory, StateBackendPtr backend) : factory_{std::move(factory)} {
    context_.backend = std::move(backend);
    operator_ = factory_->create();
    REQUIRE(operator_->open(context_).has_value());
  }
  /// What the row brings forth: "+I a 1; -U ...".
  std::string push(const std::string& key, std::int64_t n, Duration at) {
    context_.clock = Timestamp{at};
    while (operator_->next_processing_timer() && *operator_->next_processing_timer() <= context_.clock) {
      ++timers;
      REQUIRE(operator_->on_processing_time(context_.clock, out_).has_value());
    }
    REQUIRE(operator_->process(0, testing_support::make_batch(schema(), {{key, n}}), out_).has_value());
    std::string text;
    for (const BatchPtr& batch : out_.main) {
      for (std::uint32_t row = 0; row < batch->rows(); ++row) {
        const auto cells = testing_support::rows_of(*batch)[row];
        text += (text.empty() ? "" : "; ") + std::string{to_string(batch->kind(row))} + " " +
                window_tests::to_text(cells[0]) + " " + window_tests::to_text(cells[1]);
      }
    }
    out_.main.clear();
    return text;
  }
  /// As a checkpoint holds it.
  [[nodiscard]] std::string save() { return testing::save_state(*operator_); }
  void restore(const std::string& saved, StateBackendPtr backend) {
    context_.backend = std::move(backend);
    operator_ = factory_->create();
    REQUIRE(operator_->open(context_).has_value());
    testing::load_state(*operator_, saved);
  }
  void set_clock(Duration at) { context_.clock = Timestamp{at}; }
  int timers = 0;

 private:
  OperatorFactoryPtr factory_;
  window_tests::Context context_;
  window_tests::Collected out_;
  std::unique_ptr<Operator> operator_;
};

struct BackendKind {
  const char* name;
  std::function<StateBackendPtr(const std::filesystem::path&)> make;
};
const std::vector<BackendKind>& backend_kinds() {
  static const std::vector<BackendKind> kinds{
      {"heap", [](const auto&) { return StateBackendPtr{}; }},
      {"memory store, no cache", [](const auto& folder) { return *make_memory_backend(folder, 0); }},
      {"rocksdb, no cache", [](const auto& folder) { return *make_rocksdb_backend(folder, 0); }},
      {"rocksdb", [](const auto& folder) { return *make_rocksdb_backend(folder, 16U << 20); }},
  };
  return kinds;
}

void in_every_backend(const OperatorFactoryPtr& factory,
                      const std::function<void(Running&, const std::function<StateBackendPtr()>&)>& test) {
  TemporaryFolder folder;
  int number = 0;
  for (const BackendKind& kind : backend_kinds()) {
    const std::string backend = kind.name;
    CAPTURE(backend);
    const auto make = [&] { return kind.make(folder / std::to_string(++number)); };
    Running running{factory, make()};
    test(running, make);
  }
}

DistinctSpec distinct_of(DistinctSpec::Keep keep) {
  DistinctSpec spec;
  spec.key_fields = {0};
  spec.keep = keep;
  spec.ttl = 10s;
  return spec;
}

TopSpec top_of() {
  TopSpec spec;
  spec.key_fields = {0};
  spec.order = {{1, false}};
  spec.limit = 1;
  spec.ttl = 10s;
  return spec;
}

}  // namespace

TEST_CASE("a distinct forgets a key of which no row came for its time to live, not one of which rows came") {
  in_every_backend(make_distinct(distinct_of(DistinctSpec::Keep::first), schema()), [](Running& running, const auto&) {
    CHECK(running.push("a", 1, 0s) == "+I a 1");
    CHECK(running.push("b", 1, 0s) == "+I b 1");
    CHECK(running.push("a", 2, 9s).empty());
    CHECK(running.push("a", 3, 18s).empty());
    CHECK(running.push("b", 2, 18s) == "+I b 2");
    CHECK(running.push("a", 4, 28s) == "+I a 4");
  });
}

TEST_CASE("a distinct of last rows takes nothing back of a key that it has forgotten") {
  in_every_backend(make_distinct(distinct_of(DistinctSpec::Keep::last), schema()), [](Running& running, const auto&) {
    CHECK(running.push("a", 1, 0s) == "+I a 1");
    CHECK(running.push("a", 2, 9s) == "-U a 1; +U a 2");
    CHECK(running.push("a", 3, 19s) == "+I a 3");
  });
}

TEST_CASE("the time to live of a distinct's keys goes on through a checkpoint, and what is over is not in it") {
  in_every_backend(
      make_distinct(distinct_of(DistinctSpec::Keep::last), schema()), [](Running& running, const auto& make) {
        running.push("a", 1, 0s);
        running.push("b", 2, 5s);
        running.set_clock(9s);
        const std::string both = running.save();
        running.set_clock(12s);
        const std::string one = running.save();
        CHECK(one.find("distinct.event_time") != std::string::npos);
        running.restore(both, make());
        CHECK(running.push("a", 3, 9s) == "-U a 1; +U a 3");
        running.restore(both, make());
        CHECK(running.push("a", 3, 10s) == "+I a 3");
        CHECK(running.push("b", 4, 14s) == "-U b 2; +U b 4");
        running.restore(one, make());
        CHECK(running.push("b", 4, 14s) == "-U b 2; +U b 4");
        running.restore(one, make());
        CHECK(running.push("a", 4, 9s) == "+I a 4");  // by a clock that was set back: it is not there any more
      });
}

TEST_CASE("a distinct looks for keys that are over without their rows, and rests when it has none") {
  Running running{make_distinct(distinct_of(DistinctSpec::Keep::first), schema()), nullptr};
  for (int key = 0; key < 1000; ++key) running.push(std::to_string(key), 1, 0s);
  CHECK(running.timers == 0);
  running.push("x", 1, 30s);
  CHECK(running.timers == 1);  // all keys were over by then, and no next look was needed
}

TEST_CASE("a top forgets a key of which no row came for its time to live, also through a checkpoint") {
  const auto factory = make_top(top_of(), schema());
  Running running{factory, nullptr};
  CHECK(running.push("a", 5, 0s) == "+I a 5");
  CHECK(running.push("b", 5, 0s) == "+I b 5");
  CHECK(running.push("a", 7, 9s).empty());
  CHECK(running.push("a", 4, 18s) == "-D a 5; +I a 4");
  running.set_clock(18s);
  const std::string saved = running.save();
  CHECK(running.push("a", 9, 28s) == "+I a 9");
  running.restore(saved, nullptr);
  CHECK(running.push("a", 9, 27s).empty());
  CHECK(running.push("b", 9, 27s) == "+I b 9");
  running.restore(saved, nullptr);
  CHECK(running.push("a", 9, 28s) == "+I a 9");
}

TEST_CASE("a top lets all keys go that are over, whatever others there are") {
  Running running{make_top(top_of(), schema()), nullptr};
  for (int key = 0; key < 3000; ++key) running.push("old" + std::to_string(key), 1, 0s);
  for (int key = 0; key < 500; ++key) running.push("new" + std::to_string(key), 1, 9s);
  for (int step = 0; step < 400; ++step) running.push("new0", 2, 10s + step * 10ms);
  const std::string saved = running.save();
  CHECK(running.timers > 2);
  CHECK(saved.size() < 100'000);
  for (int key = 0; key < 500; ++key) CHECK(running.push("new" + std::to_string(key), 2, 15s).empty());
}

TEST_CASE("a distinct's state is not read under another key") {
  Running running{make_distinct(distinct_of(DistinctSpec::Keep::last), schema()), nullptr};
  running.push("a", 1, 0s);
  const std::string saved = running.save();
  DistinctSpec other = distinct_of(DistinctSpec::Keep::last);
  other.key_fields = {1};
  Running changed{make_distinct(other, schema()), nullptr};
  CHECK_THROWS_WITH(changed.restore(saved, nullptr), doctest::Contains("give it another uid"));
}

TEST_CASE("the time to live of a job's state is that of the nodes that say none") {
  const auto spec_of = [](const std::string& node) {
    return parse_topology(
        "[state]\nttl = \"7d\"\n[sources.in]\ntype = \"collection\"\nschema = { at = \"timestamp\", k = "
        "\"int64\" }\nrows = []\n[operators.x]\ninput = \"in\"\n" +
            node + "[sinks.out]\ntype = \"discard\"\ninput = \"x\"\n",
        "job.toml", "/");
  };
  for (const std::string node :
       {"type = \"distinct\"\nkey_by = [\"k\"]\n", "type = \"top\"\norder_by = \"k\"\nlimit = 1\n"}) {
    const auto inherited = spec_of(node);
    REQUIRE(inherited.topology);
    CHECK(inherited.diagnostics.empty());
    CHECK(inherited.topology->graph.find("x")->details.find("forgotten after 7d") != std::string::npos);
    const auto own = spec_of(node + "ttl = \"1h\"\n");
    REQUIRE(own.topology);
    CHECK(own.topology->graph.find("x")->details.find("forgotten after 1h") != std::string::npos);
  }
}

}  // namespace dataflow
