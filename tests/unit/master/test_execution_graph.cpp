#include <doctest/doctest.h>

#include "libdataflow/master/execution_graph.hpp"
#include "tests/support/graphs.hpp"
#include "tests/support/scripted_source.hpp"

using namespace dataflow;
using namespace dataflow::testing_support;
using namespace std::chrono_literals;

namespace {

const Error crash{ErrorCode::user_code, "boom"};

/// A source and a sink with two subtasks each, in one vertex: subtasks {0,0} and {0,1}.
ExecutionGraph two_subtasks(RestartSettings restart = {}, bool bounded = true) {
  GraphBuilder b;
  b.graph.settings.restart = restart;
  b.source("in", make_schema({{"k", TypeKind::int64}}),
           std::make_shared<ScriptedSource>(std::vector<Script>{}, bounded));
  b.collect("out", {"in"});
  auto job = build_job_graph(std::make_shared<const StreamGraph>(b.graph), 2).value();
  return ExecutionGraph{std::make_shared<const JobGraph>(std::move(job))};
}

template <class E>
bool has(const std::vector<Effect>& effects) {
  for (const Effect& e : effects) {
    if (std::holds_alternative<E>(e)) return true;
  }
  return false;
}

std::vector<Effect> for_both(ExecutionGraph& graph,
                             std::vector<Effect> (ExecutionGraph::*event)(std::uint32_t, SubtaskId)) {
  CHECK((graph.*event)(graph.attempt(), {0, 0}).empty());
  return (graph.*event)(graph.attempt(), {0, 1});
}

void bring_up(ExecutionGraph& graph) {
  CHECK(has<OpenTasks>(for_both(graph, &ExecutionGraph::on_deployed)));
  CHECK(has<StartTasks>(for_both(graph, &ExecutionGraph::on_opened)));
}

}  // namespace

TEST_CASE("a job commits only when every subtask has pre-committed, and finishes when all have committed") {
  auto graph = two_subtasks();
  CHECK(has<DeployTasks>(graph.start({})));
  bring_up(graph);
  CHECK(has<CommitTasks>(for_both(graph, &ExecutionGraph::on_prepared)));
  const auto last = for_both(graph, &ExecutionGraph::on_finished);
  REQUIRE(has<EndJob>(last));
  CHECK(graph.state() == JobState::finished);
}

TEST_CASE("after a failure the next attempt is deployed only when no subtask of the last one is left") {
  auto graph = two_subtasks();
  graph.start({});
  bring_up(graph);
  CHECK(has<CancelTasks>(graph.on_failed(0, SubtaskId{0, 0}, crash, {})));
  CHECK(graph.state() == JobState::restarting);
  CHECK(graph.on_gone(0, {0, 0}).empty());
  CHECK(has<ScheduleRestart>(graph.on_gone(0, {0, 1})));
  CHECK(has<DeployTasks>(graph.on_restart_due()));
  CHECK(graph.attempt() == 1);
}

TEST_CASE("words of an earlier attempt are ignored") {
  auto graph = two_subtasks();
  graph.start({});
  bring_up(graph);
  graph.on_failed(0, SubtaskId{0, 0}, crash, {});
  graph.on_gone(0, {0, 0});
  graph.on_gone(0, {0, 1});
  graph.on_restart_due();
  CHECK(graph.on_failed(0, SubtaskId{0, 1}, crash, {}).empty());
  CHECK(graph.on_prepared(0, {0, 0}).empty());
  CHECK(graph.state() == JobState::running);
  CHECK(graph.state({0, 0}) == ExecutionState::deploying);
}

TEST_CASE("the failures that follow from the first one are not counted") {
  auto graph = two_subtasks();
  graph.start({});
  bring_up(graph);
  graph.on_failed(0, SubtaskId{0, 0}, crash, {});
  CHECK(graph.on_failed(0, SubtaskId{0, 1}, Error{ErrorCode::io, "peer lost"}, {}).empty());
  REQUIRE(graph.failures().size() == 1);
  CHECK(graph.failures()[0].message == "boom");
}

TEST_CASE("a failure that a restart cannot mend fails the job at once") {
  for (const ErrorCode code : {ErrorCode::malformed_data, ErrorCode::arithmetic, ErrorCode::invalid_argument}) {
    auto graph = two_subtasks();
    graph.start({});
    bring_up(graph);
    graph.on_failed(0, SubtaskId{0, 0}, Error{code, "bad record"}, {});
    CHECK(graph.state() == JobState::failing);
    graph.on_gone(0, {0, 0});
    CHECK(has<EndJob>(graph.on_gone(0, {0, 1})));
    CHECK(graph.state() == JobState::failed);
    CHECK(graph.error()->message() == "bad record");
  }
}

TEST_CASE("a job that has never run fails instead of restarting") {
  auto graph = two_subtasks();
  graph.start({});
  graph.on_failed(0, std::nullopt, Error{ErrorCode::not_found, "no such file"}, {});
  CHECK(graph.state() == JobState::failing);
}

TEST_CASE("user code that fails in the same way four times in a row fails the job") {
  auto graph = two_subtasks();
  graph.start({});
  for (std::uint32_t attempt = 0; attempt < 4; ++attempt) {
    CAPTURE(attempt);
    REQUIRE(graph.state() == JobState::running);
    bring_up(graph);
    graph.on_failed(attempt, SubtaskId{0, 0}, crash, {});
    graph.on_gone(attempt, {0, 0});
    graph.on_gone(attempt, {0, 1});
    graph.on_restart_due();
  }
  CHECK(graph.state() == JobState::failed);
  CHECK(graph.error()->message() == "boom (failed 4 times in a row in the same way)");
}

TEST_CASE("a failure is the same one when only a subtask, a record or a part file's number differs") {
  auto graph = two_subtasks();
  graph.start({});
  for (std::uint32_t attempt = 0; attempt < 4; ++attempt) {
    CAPTURE(attempt);
    REQUIRE(graph.state() == JobState::running);
    bring_up(graph);
    const std::string n = std::to_string(attempt * 7);
    graph.on_failed(attempt, SubtaskId{0, attempt % 2}, Error{ErrorCode::io, "row " + n + ": .part." + n + ": full"},
                    {});
    graph.on_gone(attempt, {0, 0});
    graph.on_gone(attempt, {0, 1});
    graph.on_restart_due();
  }
  CHECK(graph.state() == JobState::failed);
}

TEST_CASE("failures that differ in more than numbers are not the same one") {
  auto graph = two_subtasks();
  graph.start({});
  for (std::uint32_t attempt = 0; attempt < 6; ++attempt) {
    bring_up(graph);
    const std::string what = attempt % 2 == 0 ? "row 1: disk" : "row 12: disks";
    graph.on_failed(attempt, SubtaskId{0, 0}, Error{ErrorCode::io, what}, {});
    graph.on_gone(attempt, {0, 0});
    graph.on_gone(attempt, {0, 1});
    graph.on_restart_due();
    REQUIRE(graph.state() == JobState::running);
  }
}

TEST_CASE("a stop between two attempts ends the job at once") {
  auto graph = two_subtasks();
  graph.start({});
  bring_up(graph);
  graph.on_failed(0, SubtaskId{0, 0}, crash, {});
  graph.on_gone(0, {0, 0});
  CHECK(has<ScheduleRestart>(graph.on_gone(0, {0, 1})));
  CHECK(has<EndJob>(graph.stop({})));
  CHECK(graph.state() == JobState::canceled);
  CHECK(graph.on_restart_due().empty());
}

TEST_CASE("a stop while a failed attempt is being cleared away ends the job when that is done") {
  auto graph = two_subtasks();
  graph.start({});
  bring_up(graph);
  graph.on_failed(0, SubtaskId{0, 0}, crash, {});
  graph.on_gone(0, {0, 0});
  CHECK_FALSE(has<EndJob>(graph.stop({})));
  CHECK(has<EndJob>(graph.on_gone(0, {0, 1})));
  CHECK(graph.state() == JobState::canceled);
}

TEST_CASE("a failure while committing fails the job: beginning again could write twice") {
  auto graph = two_subtasks();
  graph.start({});
  bring_up(graph);
  for_both(graph, &ExecutionGraph::on_prepared);
  graph.on_finished(0, {0, 0});
  graph.on_gone(0, {0, 0});
  graph.on_failed(0, SubtaskId{0, 1}, Error{ErrorCode::io, "disk full"}, {});
  CHECK(graph.state() == JobState::failing);
  CHECK(has<EndJob>(graph.on_gone(0, {0, 1})));
}

TEST_CASE("cancel waits for every subtask to be gone, also for one that is still being deployed") {
  auto graph = two_subtasks();
  graph.start({});
  graph.on_deployed(0, {0, 0});
  CHECK(has<CancelTasks>(graph.cancel()));
  CHECK(graph.on_gone(0, {0, 0}).empty());
  CHECK(has<CancelTasks>(graph.on_deployed(0, {0, 1})));
  CHECK(has<EndJob>(graph.on_gone(0, {0, 1})));
  CHECK(graph.state() == JobState::canceled);
}

TEST_CASE("stop before the start reaches the sources when they start") {
  auto graph = two_subtasks();
  graph.start({});
  CHECK(graph.stop(EndOfData{.drain = false}).empty());
  for_both(graph, &ExecutionGraph::on_deployed);
  CHECK(has<StopSources>(for_both(graph, &ExecutionGraph::on_opened)));
}
