#include <doctest/doctest.h>

#include "libdataflow/runtime/task.hpp"
#include "tests/support/graphs.hpp"
#include "tests/support/scripted_source.hpp"

using namespace dataflow;
using namespace dataflow::testing_support;
using namespace std::chrono_literals;

namespace {

const SchemaPtr schema = make_schema({{"k", TypeKind::int64}});

BatchPtr batch_of(std::int64_t rows) {
  BatchBuilder builder{schema};
  for (std::int64_t i = 0; i < rows; ++i) {
    builder.column(0).append_int64(i);
    builder.end_row();
  }
  return builder.finish();
}

/// Each run lasts 100 ms by this host's clock; it grants no credit.
struct SlowHost final : TaskHost {
  Timestamp run_began;
  void send(std::size_t, EncodedEnvelopePtr) override {}
  void grant(std::size_t, std::size_t) override {}
  void request_split() override {}
  [[nodiscard]] std::optional<Timestamp> clock_now() const override { return run_began + Duration{100ms}; }
};

struct SourceTask {
  explicit SourceTask(Script script) {
    GraphBuilder b;
    b.source("in", schema, std::make_shared<ScriptedSource>(std::vector<Script>{std::move(script)}));
    b.collect("out", {"in"});
    auto job = build_job_graph(std::make_shared<const StreamGraph>(b.graph), 1, Chaining::never).value();
    task = std::make_unique<Task>(std::make_shared<const JobGraph>(std::move(job)), Task::Identity{"j", 0, 0, 0}, host);
    REQUIRE(task->open({}));
  }
  Task::Progress::Kind run(Timestamp at) {
    host.run_began = at;
    const auto progress = task->run(at);
    REQUIRE(progress);
    return progress->kind;
  }
  SlowHost host;
  std::unique_ptr<Task> task;
};

void check(const TimeTotals& totals, Duration busy, Duration back_pressured, Duration idle) {
  CHECK(totals.busy == busy);
  CHECK(totals.back_pressured == back_pressured);
  CHECK(totals.idle == idle);
}

}  // namespace

TEST_CASE("a task that waits for a split is idle, also while it is being asked") {
  SourceTask source{{batch_of(1)}};
  check(source.task->time_use(Timestamp{1h}), 0s, 0s, 0s);
  CHECK(source.run(Timestamp{1h}) == Task::Progress::Kind::blocked);
  check(source.task->time_use(Timestamp{1h + 5100ms}), 100ms, 0s, 5s);
  source.task->assign_split({"split-0", "0"});
  source.run(Timestamp{1h + 5100ms});
  check(source.task->time_use(Timestamp{1h + 5200ms}), 200ms, 0s, 5s);
}

TEST_CASE("a task whose output has no credit is back-pressured; one that has more to do is busy all the time") {
  SourceTask source{Script(200, batch_of(4096))};
  source.run(Timestamp{1h});
  source.task->assign_split({"split-0", "0"});
  Timestamp now{1h + 100ms};
  Duration busy = 100ms;
  while (source.run(now) == Task::Progress::Kind::more) {
    now = now + 1s;
    busy += 1s;
  }
  busy += 100ms;
  check(source.task->time_use(now + 10100ms), busy, 10s, 0s);
}

TEST_CASE("a clock that goes back takes nothing away") {
  TimeUse use;
  use.change(TimeUse::Doing::work, Timestamp{1h});
  use.change(TimeUse::Doing::nothing, Timestamp{30min});
  check(use.totals(Timestamp{31min}), 0s, 0s, 1min);
}
