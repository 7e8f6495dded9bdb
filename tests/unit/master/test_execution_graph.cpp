#include <doctest/doctest.h>

#include <algorithm>

#include "libdataflow/master/execution_graph.hpp"
#include "tests/support/graphs.hpp"
#include "tests/support/scripted_source.hpp"

using namespace dataflow;
using namespace dataflow::testing_support;
using namespace std::chrono_literals;

namespace {

const Error crash{ErrorCode::user_code, "boom"};

/// A source and a sink with two subtasks each, in one vertex: subtasks {0,0} and {0,1}.
ExecutionGraph two_subtasks(RestartSettings restart = {}, bool bounded = true, ExecutionDeadlines deadlines = {}) {
  GraphBuilder b;
  b.graph.settings.restart = restart;
  b.source("in", make_schema({{"k", TypeKind::int64}}),
           std::make_shared<ScriptedSource>(std::vector<Script>{}, bounded));
  b.collect("out", {"in"});
  auto job = build_job_graph(std::make_shared<const StreamGraph>(b.graph), 2).value();
  return ExecutionGraph{std::make_shared<const JobGraph>(std::move(job)), deadlines};
}

template <class E>
bool has(const Effects& effects) {
  return std::any_of(effects.begin(), effects.end(), [](const Effect& e) { return std::holds_alternative<E>(e); });
}

template <class E>
const E& only(const Effects& effects) {
  const E* found = nullptr;
  for (const Effect& effect : effects) {
    if (const E* e = std::get_if<E>(&effect)) {
      REQUIRE(found == nullptr);
      found = e;
    }
  }
  REQUIRE(found != nullptr);
  return *found;
}

using Event = Effects (ExecutionGraph::*)(std::uint32_t, SubtaskId, Timestamp);

/// The event for every subtask of a region; what came of the last one.
Effects for_all(ExecutionGraph& graph, Event event, std::uint32_t region = 0) {
  Effects last;
  for (const SubtaskId id : graph.subtasks(region)) {
    CHECK(last.empty());
    last = (graph.*event)(graph.current(region).attempt, id, {});
  }
  return last;
}

void place(ExecutionGraph& graph, std::uint32_t region = 0) {
  const Effects effects =
      graph.on_slots(graph.current(region), {NodeInstance{"left", 1}, NodeInstance{"right", 1}}, {});
  CHECK(only<DeployTasks>(effects).of == graph.current(region));
}

void bring_up(ExecutionGraph& graph, std::uint32_t region = 0) {
  place(graph, region);
  CHECK(has<OpenTasks>(for_all(graph, &ExecutionGraph::on_deployed, region)));
  CHECK(has<StartTasks>(for_all(graph, &ExecutionGraph::on_opened, region)));
}

/// Every subtask of the region that exists goes; what came of the last one.
Effects all_gone(ExecutionGraph& graph, std::uint32_t region = 0) {
  Effects last;
  for (const SubtaskId id : graph.subtasks(region)) {
    if (!graph.execution(id).exists) continue;
    CHECK(last.empty());
    last = graph.on_gone(graph.current(region).attempt, id, {});
  }
  return last;
}

/// Two pipelines that nothing joins: regions 0 and 1, each of one vertex with two subtasks.
ExecutionGraph two_regions(RestartSettings restart = {}, ExecutionDeadlines deadlines = {}) {
  GraphBuilder b;
  b.graph.settings.restart = restart;
  for (const std::string name : {"a", "b"}) {
    b.source(name, make_schema({{"k", TypeKind::int64}}), std::make_shared<ScriptedSource>(std::vector<Script>{}));
    b.collect(name + "_out", {name});
  }
  auto job = build_job_graph(std::make_shared<const StreamGraph>(b.graph), 2).value();
  return ExecutionGraph{std::make_shared<const JobGraph>(std::move(job)), deadlines};
}

void start_both(ExecutionGraph& graph) {
  graph.start({});
  bring_up(graph, 0);
  bring_up(graph, 1);
}

}  // namespace

TEST_CASE("a job commits only when every subtask has pre-committed, and finishes when all have committed") {
  auto graph = two_subtasks();
  CHECK(has<AcquireSlots>(graph.start({})));
  bring_up(graph);
  CHECK(has<CommitTasks>(for_all(graph, &ExecutionGraph::on_prepared)));
  const auto last = for_all(graph, &ExecutionGraph::on_finished);
  REQUIRE(has<EndJob>(last));
  CHECK(graph.state() == JobState::finished);
}

TEST_CASE("after a failure the next attempt is deployed only when no subtask of the last one is left") {
  auto graph = two_subtasks();
  graph.start({});
  bring_up(graph);
  CHECK(has<CancelTasks>(graph.on_failed(0, {0, 0}, crash, {})));
  CHECK(graph.state() == JobState::restarting);
  CHECK(graph.on_gone(0, {0, 0}, {}).empty());
  CHECK(has<ScheduleRestart>(graph.on_gone(0, {0, 1}, {})));
  CHECK(has<AcquireSlots>(graph.on_restart_due({0, 0}, {})));
  CHECK(graph.current(0).attempt == 1);
}

TEST_CASE("words of an earlier attempt are ignored") {
  auto graph = two_subtasks();
  graph.start({});
  bring_up(graph);
  graph.on_failed(0, {0, 0}, crash, {});
  graph.on_gone(0, {0, 0}, {});
  graph.on_gone(0, {0, 1}, {});
  graph.on_restart_due(graph.current(0), {});
  CHECK(graph.on_failed(0, {0, 1}, crash, {}).empty());
  CHECK(graph.on_prepared(0, {0, 0}, {}).empty());
  CHECK(graph.state() == JobState::running);
  CHECK(graph.state({0, 0}) == ExecutionState::scheduled);
}

TEST_CASE("the failures that follow from the first one are not counted") {
  auto graph = two_subtasks();
  graph.start({});
  bring_up(graph);
  graph.on_failed(0, {0, 0}, crash, {});
  CHECK(graph.on_failed(0, {0, 1}, Error{ErrorCode::io, "peer lost"}, {}).empty());
  REQUIRE(graph.failures().size() == 1);
  CHECK(graph.failures()[0].message == "boom");
}

TEST_CASE("a failure that a restart cannot mend fails the job at once") {
  for (const ErrorCode code : {ErrorCode::malformed_data, ErrorCode::arithmetic, ErrorCode::invalid_argument}) {
    auto graph = two_subtasks();
    graph.start({});
    bring_up(graph);
    graph.on_failed(0, {0, 0}, Error{code, "bad record"}, {});
    CHECK(graph.state() == JobState::failing);
    graph.on_gone(0, {0, 0}, {});
    CHECK(has<EndJob>(graph.on_gone(0, {0, 1}, {})));
    CHECK(graph.state() == JobState::failed);
    CHECK(graph.error()->message() == "bad record");
  }
}

TEST_CASE("a job that has never run fails instead of restarting") {
  auto graph = two_subtasks();
  graph.start({});
  graph.on_region_failed({0, 0}, Error{ErrorCode::not_found, "no such file"}, {});
  CHECK(graph.state() == JobState::failed);
}

TEST_CASE("a job that has waited for slots in vain fails without a restart, also when it has run") {
  auto graph = two_subtasks();
  graph.start({});
  bring_up(graph);
  graph.on_failed(0, {0, 0}, Error{ErrorCode::unavailable, "a node is lost"}, {});
  graph.on_gone(0, {0, 0}, {});
  graph.on_gone(0, {0, 1}, {});
  graph.on_restart_due(graph.current(0), {});
  REQUIRE(graph.state() == JobState::running);
  const auto effects = graph.on_slots_refused(graph.current(0), Error{ErrorCode::unavailable, "needs 2 slots"}, {});
  CHECK(has<EndJob>(effects));
  CHECK(graph.state() == JobState::failed);
  CHECK(graph.error()->message() == "needs 2 slots");
  CHECK(graph.failures().back().message == "needs 2 slots");
  CHECK(graph.on_slots_refused({0, 0}, Error{ErrorCode::unavailable, "too late"}, {}).empty());
}

TEST_CASE("user code that fails in the same way four times in a row fails the job") {
  auto graph = two_subtasks();
  graph.start({});
  for (std::uint32_t attempt = 0; attempt < 4; ++attempt) {
    CAPTURE(attempt);
    REQUIRE(graph.state() == JobState::running);
    bring_up(graph);
    graph.on_failed(attempt, {0, 0}, crash, {});
    graph.on_gone(attempt, {0, 0}, {});
    graph.on_gone(attempt, {0, 1}, {});
    graph.on_restart_due(graph.current(0), {});
  }
  CHECK(graph.state() == JobState::failed);
  CHECK(graph.error()->message() == "boom (failed 4 times in a row in the same way)");
}

TEST_CASE("crashes are the same failure whatever the address and the stack, which stays behind the reason") {
  auto graph = two_subtasks();
  graph.start({});
  for (std::uint32_t attempt = 0; attempt < 4; ++attempt) {
    CAPTURE(attempt);
    REQUIRE(graph.state() == JobState::running);
    bring_up(graph);
    const std::string place = attempt % 2 == 0 ? "0x7fa0" : "0x1c";
    const Error error{ErrorCode::user_code, "SIGSEGV at " + place + "\n  #0 work() (lib" + place + ".so)"};
    graph.on_failed(attempt, {0, 0}, error, {});
    graph.on_gone(attempt, {0, 0}, {});
    graph.on_gone(attempt, {0, 1}, {});
    graph.on_restart_due(graph.current(0), {});
  }
  REQUIRE(graph.state() == JobState::failed);
  CHECK(graph.error()->message() ==
        "SIGSEGV at 0x1c (failed 4 times in a row in the same way)\n  #0 work() (lib0x1c.so)");
}

TEST_CASE("a failure is the same one when only a subtask, a record or a part file's number differs") {
  auto graph = two_subtasks();
  graph.start({});
  for (std::uint32_t attempt = 0; attempt < 4; ++attempt) {
    CAPTURE(attempt);
    REQUIRE(graph.state() == JobState::running);
    bring_up(graph);
    const std::string n = std::to_string(attempt * 7);
    graph.on_failed(attempt, {0, attempt % 2}, Error{ErrorCode::io, "row " + n + ": .part." + n + ": full"}, {});
    graph.on_gone(attempt, {0, 0}, {});
    graph.on_gone(attempt, {0, 1}, {});
    graph.on_restart_due(graph.current(0), {});
  }
  CHECK(graph.state() == JobState::failed);
}

TEST_CASE("failures that differ in more than numbers are not the same one") {
  auto graph = two_subtasks();
  graph.start({});
  for (std::uint32_t attempt = 0; attempt < 6; ++attempt) {
    bring_up(graph);
    const std::string what = attempt % 2 == 0 ? "row 1: disk" : "row 12: disks";
    graph.on_failed(attempt, {0, 0}, Error{ErrorCode::io, what}, {});
    graph.on_gone(attempt, {0, 0}, {});
    graph.on_gone(attempt, {0, 1}, {});
    graph.on_restart_due(graph.current(0), {});
    REQUIRE(graph.state() == JobState::running);
  }
}

TEST_CASE("a stop between two attempts ends the job at once") {
  auto graph = two_subtasks();
  graph.start({});
  bring_up(graph);
  graph.on_failed(0, {0, 0}, crash, {});
  graph.on_gone(0, {0, 0}, {});
  CHECK(has<ScheduleRestart>(graph.on_gone(0, {0, 1}, {})));
  CHECK(has<EndJob>(graph.stop({}, {})));
  CHECK(graph.state() == JobState::canceled);
  CHECK(graph.on_restart_due(graph.current(0), {}).empty());
}

TEST_CASE("a job that fails while it is being stopped goes on, and says so") {
  auto graph = two_subtasks();
  graph.start({});
  bring_up(graph);
  CHECK(has<StopSources>(graph.stop({}, {})));
  graph.on_failed(0, {0, 0}, crash, {});
  graph.on_gone(0, {0, 0}, {});
  graph.on_gone(0, {0, 1}, {});
  graph.on_restart_due(graph.current(0), {});
  place(graph);
  for_all(graph, &ExecutionGraph::on_deployed);
  CHECK_FALSE(has<StopSources>(for_all(graph, &ExecutionGraph::on_opened)));
  CHECK(graph.failures().back().message.find(
            "while the job was being stopped; it goes on and has to be stopped again") != std::string::npos);
  CHECK(has<StopSources>(graph.stop({}, {})));
}

TEST_CASE("a job that fails while it is being stopped with a savepoint stops again") {
  auto graph = two_subtasks();
  graph.start({});
  bring_up(graph);
  CHECK(has<StopSources>(graph.stop({}, {}, StopMeets::failure_by_stopping_again)));
  graph.on_failed(0, {0, 0}, crash, {});
  graph.on_gone(0, {0, 0}, {});
  graph.on_gone(0, {0, 1}, {});
  graph.on_restart_due(graph.current(0), {});
  place(graph);
  for_all(graph, &ExecutionGraph::on_deployed);
  CHECK(has<StopSources>(for_all(graph, &ExecutionGraph::on_opened)));
}

TEST_CASE("a stop while a failed attempt is being cleared away ends the job when that is done") {
  auto graph = two_subtasks();
  graph.start({});
  bring_up(graph);
  graph.on_failed(0, {0, 0}, crash, {});
  graph.on_gone(0, {0, 0}, {});
  CHECK_FALSE(has<EndJob>(graph.stop({}, {})));
  CHECK(has<EndJob>(graph.on_gone(0, {0, 1}, {})));
  CHECK(graph.state() == JobState::canceled);
}

TEST_CASE("a failure while committing fails the job: beginning again could write twice") {
  auto graph = two_subtasks();
  graph.start({});
  bring_up(graph);
  for_all(graph, &ExecutionGraph::on_prepared);
  graph.on_finished(0, {0, 0}, {});
  graph.on_gone(0, {0, 0}, {});
  graph.on_failed(0, {0, 1}, Error{ErrorCode::io, "disk full"}, {});
  CHECK(graph.state() == JobState::failing);
  CHECK(has<EndJob>(graph.on_gone(0, {0, 1}, {})));
}

TEST_CASE("cancel waits for every subtask to be gone, also for one that is still being deployed") {
  auto graph = two_subtasks();
  graph.start({});
  place(graph);
  graph.on_deployed(0, {0, 0}, {});
  CHECK(has<CancelTasks>(graph.cancel({})));
  CHECK(graph.on_gone(0, {0, 0}, {}).empty());
  CHECK(has<CancelTasks>(graph.on_deployed(0, {0, 1}, {})));
  CHECK(has<EndJob>(graph.on_gone(0, {0, 1}, {})));
  CHECK(graph.state() == JobState::canceled);
}

TEST_CASE("stop before the start reaches the sources when they start") {
  auto graph = two_subtasks();
  graph.start({});
  CHECK(graph.stop(EndOfData{.drain = false}, {}).empty());
  place(graph);
  for_all(graph, &ExecutionGraph::on_deployed);
  CHECK(has<StopSources>(for_all(graph, &ExecutionGraph::on_opened)));
}

TEST_CASE("a failure restarts its region, and the other goes on running") {
  auto graph = two_regions();
  REQUIRE(graph.region_count() == 2);
  start_both(graph);
  const Effects effects = graph.on_failed(0, {1, 0}, crash, {});
  CHECK(only<CancelTasks>(effects).of == RegionAttempt{1, 0});
  CHECK(graph.state() == JobState::restarting);
  CHECK(graph.state({0, 0}) == ExecutionState::running);
  CHECK(only<ScheduleRestart>(all_gone(graph, 1)).of == RegionAttempt{1, 0});
  CHECK(only<AcquireSlots>(graph.on_restart_due({1, 0}, {})).of == RegionAttempt{1, 1});
  CHECK(graph.state() == JobState::running);
  CHECK(graph.current(0).attempt == 0);
  bring_up(graph, 1);
  CHECK(graph.restarts() == 1);
}

TEST_CASE("vertices joined by an exchange are one region") {
  GraphBuilder b;
  const SchemaPtr schema = make_schema({{"k", TypeKind::int64}});
  for (const std::string name : {"a", "b", "c"}) {
    b.source(name, schema, std::make_shared<ScriptedSource>(std::vector<Script>{}));
  }
  b.collect("c_out", {"c"});
  b.collect("ab_out", {"a", "b"});
  auto job = build_job_graph(std::make_shared<const StreamGraph>(b.graph), 2).value();
  const ExecutionGraph graph{std::make_shared<const JobGraph>(std::move(job))};
  CHECK(graph.region_count() == 2);
  const JobGraph& built = *graph.graph();
  const auto region = [&](const char* name) {
    return graph.region_of(built.vertex_of_node[built.stream->find(name)->id]);
  };
  CHECK(region("a") == region("b"));
  CHECK(region("a") == region("ab_out"));
  CHECK(region("c") == region("c_out"));
  CHECK(region("c") != region("a"));
}

TEST_CASE("a region that is through waits for one that restarts, and both commit together") {
  auto graph = two_regions();
  start_both(graph);
  CHECK(for_all(graph, &ExecutionGraph::on_prepared, 0).empty());
  graph.on_failed(0, {1, 0}, crash, {});
  all_gone(graph, 1);
  graph.on_restart_due({1, 0}, {});
  CHECK(graph.state({0, 0}) == ExecutionState::prepared);
  bring_up(graph, 1);
  CHECK(has<CommitTasks>(for_all(graph, &ExecutionGraph::on_prepared, 1)));
  for_all(graph, &ExecutionGraph::on_finished, 0);
  CHECK(only<EndJob>(for_all(graph, &ExecutionGraph::on_finished, 1)).state == JobState::finished);
}

TEST_CASE("a region that has prepared and then lost its node begins again: what it prepared is gone") {
  auto graph = two_regions();
  start_both(graph);
  for_all(graph, &ExecutionGraph::on_prepared, 0);
  const Effects effects = graph.on_slot_lost({0, 0}, 1, Error{ErrorCode::unavailable, "killed"}, {});
  CHECK(only<CancelTasks>(effects).of == RegionAttempt{0, 0});
  CHECK(graph.state({1, 0}) == ExecutionState::running);
  CHECK(has<ScheduleRestart>(graph.on_gone(0, {0, 0}, {})));
}

TEST_CASE("a lost node takes its subtasks of all regions along: they are gone at once, and it counts as one failure") {
  auto graph = two_regions({.strategy = RestartSettings::Strategy::fixed, .attempts = 1});
  start_both(graph);
  const Effects effects = graph.on_node_lost({"right", 1}, Error{ErrorCode::unavailable, "node right is lost"}, {});
  CHECK(std::count_if(effects.begin(), effects.end(),
                      [](const Effect& e) { return std::holds_alternative<CancelTasks>(e); }) == 2);
  CHECK(graph.state({0, 1}) == ExecutionState::failed);
  CHECK(graph.state({0, 0}) == ExecutionState::canceling);
  CHECK(graph.failures().size() == 1);
  CHECK(graph.failures()[0].node == NodeInstance{"right", 1});
  CHECK(has<ScheduleRestart>(graph.on_gone(0, {0, 0}, {})));
  CHECK(has<ScheduleRestart>(graph.on_gone(0, {1, 0}, {})));
}

TEST_CASE("the loss of an earlier life of a node takes nothing along that runs on its present one") {
  auto graph = two_subtasks();
  graph.start({});
  bring_up(graph);
  CHECK(graph.on_node_lost({"right", 0}, Error{ErrorCode::unavailable, "late news"}, {}).empty());
  CHECK(graph.state() == JobState::running);
}

TEST_CASE("a node that is lost before the job ever ran is no reason to give up, and neither are many in a row") {
  auto graph = two_subtasks();
  graph.start({});
  place(graph);
  for (std::uint32_t attempt = 0; attempt < 10; ++attempt) {
    graph.on_node_lost({"right", 1}, Error{ErrorCode::unavailable, "node right is lost"}, {});
    REQUIRE(graph.state() == JobState::restarting);
    all_gone(graph);
    graph.on_restart_due({0, attempt}, {});
    place(graph);
  }
  CHECK(graph.current(0).attempt == 10);
}

TEST_CASE("what is not deployed, opened or committed in time is a failure that names it") {
  SUBCASE("deployed") {
    auto graph = two_subtasks();
    graph.start({});
    const auto deadline =
        only<ScheduleDeadline>(graph.on_slots({0, 0}, {NodeInstance{"left", 1}, NodeInstance{"right", 1}}, {}));
    CHECK(deadline.after == Duration{1min});
    graph.on_deployed(0, {0, 0}, {});
    CHECK(has<CancelTasks>(graph.on_deadline(deadline.deadline, {})));
    CHECK(graph.state() == JobState::restarting);
    CHECK(graph.failures()[0].message == "\"in -> out\" (subtask 2 of 2) on right could not be deployed within 1m");
  }
  SUBCASE("opened") {
    auto graph = two_subtasks({}, true, {.open = 7s});
    graph.start({});
    place(graph);
    const auto deadline = only<ScheduleDeadline>(for_all(graph, &ExecutionGraph::on_deployed));
    CHECK(has<CancelTasks>(graph.on_deadline(deadline.deadline, {})));
    CHECK(graph.failures()[0].message == "\"in -> out\" (subtask 1 of 2) on left and 1 more did not open within 7s");
  }
  SUBCASE("committed") {
    auto graph = two_subtasks();
    graph.start({});
    bring_up(graph);
    const auto deadline = only<ScheduleDeadline>(for_all(graph, &ExecutionGraph::on_prepared));
    graph.on_finished(0, {0, 0}, {});
    graph.on_gone(0, {0, 1}, {});
    CHECK(graph.state() == JobState::running);
    CHECK(only<EndJob>(graph.on_deadline(deadline.deadline, {})).state == JobState::failed);
    CHECK(graph.error()->message() ==
          "while committing the job's output, of which a part may be visible already: \"in -> out\" (subtask 2 of 2) "
          "on right did not commit within 5m");
  }
}

TEST_CASE("a deadline that was met does nothing when it is due") {
  auto graph = two_subtasks();
  graph.start({});
  bring_up(graph);
  for (const auto phase : {Deadline::Phase::deploy, Deadline::Phase::open, Deadline::Phase::cancel}) {
    CHECK(graph.on_deadline({{0, 0}, phase}, {}).empty());
  }
  CHECK(graph.state() == JobState::running);
}

TEST_CASE("what does not end in time when cancelled is left behind, and the job goes on without it") {
  auto graph = two_subtasks();
  graph.start({});
  bring_up(graph);
  const auto deadline = only<ScheduleDeadline>(graph.on_failed(0, {0, 0}, crash, {}));
  graph.on_gone(0, {0, 0}, {});
  const Effects effects = graph.on_deadline(deadline.deadline, {});
  CHECK(only<AbandonTasks>(effects).subtasks == std::vector{SubtaskId{0, 1}});
  CHECK(has<ScheduleRestart>(effects));
  CHECK(graph.failures()[1].message ==
        "\"in -> out\" (subtask 2 of 2) on right did not end within 30s of being cancelled, and was given up");
  graph.on_restart_due({0, 0}, {});
  CHECK(graph.on_prepared(0, {0, 1}, {}).empty());
  CHECK(graph.state({0, 1}) == ExecutionState::scheduled);
}

TEST_CASE("a subtask that is gone without having failed or been cancelled is a failure") {
  auto graph = two_subtasks();
  graph.start({});
  bring_up(graph);
  CHECK(has<CancelTasks>(graph.on_gone(0, {0, 1}, {})));
  CHECK(graph.failures()[0].message == "\"in -> out\" (subtask 2 of 2) on right ended without a reason");
}

TEST_CASE("a commit cannot be cancelled: the job finishes") {
  auto graph = two_subtasks();
  graph.start({});
  bring_up(graph);
  for_all(graph, &ExecutionGraph::on_prepared);
  CHECK(graph.cancel({}).empty());
  CHECK(has<EndJob>(for_all(graph, &ExecutionGraph::on_finished)));
  CHECK(graph.state() == JobState::finished);
}

TEST_CASE("slots that come when the attempt is over are not used") {
  auto graph = two_subtasks();
  graph.start({});
  CHECK(has<EndJob>(graph.cancel({})));
  CHECK(graph.on_slots({0, 0}, {NodeInstance{"left", 1}, NodeInstance{"right", 1}}, {}).empty());
}

TEST_CASE("each subtask knows since when it has been in which state") {
  auto graph = two_subtasks();
  graph.start(Timestamp{1s});
  graph.on_slots({0, 0}, {NodeInstance{"left", 1}, NodeInstance{"right", 1}}, Timestamp{2s});
  graph.on_deployed(0, {0, 0}, Timestamp{3s});
  const auto& since = graph.execution({0, 0}).since;
  const auto at = [&](ExecutionState state) { return since[static_cast<std::size_t>(state)]; };
  CHECK(at(ExecutionState::scheduled) == Timestamp{1s});
  CHECK(at(ExecutionState::deploying) == Timestamp{2s});
  CHECK(at(ExecutionState::initializing) == Timestamp{3s});
  CHECK_FALSE(at(ExecutionState::running));
}
