// A slot is a CAF group: its subtasks, and no others, are reached by it, also from another process.
#include <doctest/doctest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <string>

#include <caf/all.hpp>
#include <caf/io/all.hpp>

#include "actors/cluster/cluster_system.hpp"
#include "actors/worker.hpp"
#include "libdataflow/topology/topology.hpp"

using namespace dataflow;

namespace {

constexpr auto deadline = std::chrono::seconds{30};
constexpr const char* port_variable = "DATAFLOW_TEST_SLOT_PORT";
constexpr RegionAttempt first_attempt{0, 0};

/// Two vertices of two subtasks each: two slots, with two subtasks in each.
JobGraphPtr two_by_two() {
  auto loaded = parse_topology(R"toml(
parallelism = 2
[sources.numbers]
type   = "generate"
fields = { id = "seq()", k = "seq() % 10" }
[operators.per_key]
type      = "window"
input     = "numbers"
key_by    = ["k"]
window    = { count = 10 }
aggregate = { n = "count()" }
[sinks.out]
type  = "discard"
input = "per_key"
)toml",
                               "job.toml", "/");
  REQUIRE(loaded.topology);
  auto graph = build_job_graph(std::make_shared<const StreamGraph>(std::move(loaded.topology->graph)), 2);
  REQUIRE(graph);
  return std::make_shared<const JobGraph>(std::move(*graph));
}

/// Gives its group to whoever asks.
caf::behavior door(caf::event_based_actor*, const msg::SlotDeployed& slot) {
  return {[slot](msg::RequestReports) { return slot; }};
}

pid_t start_other_process(std::uint16_t port) {
  const pid_t child = fork();
  if (child != 0) return child;
  setenv(port_variable, std::to_string(port).c_str(), 1);
  execl("/proc/self/exe", "unit_actors", "--no-skip", "--test-case=the other process of the test of slot groups",
        nullptr);
  _exit(127);
}

}  // namespace

TEST_CASE("the subtasks of a slot are reached by its group from another process") {
  ClusterConfig config{2};
  caf::actor_system system{config};
  caf::scoped_actor self{system};  // in the place of the JobSupervisor
  WorkerJob job;
  job.supervisor = caf::actor_cast<caf::actor>(self);
  job.graph = two_by_two();
  job.job_id = "job";
  const auto worker = system.spawn<Worker, caf::detached>(std::move(job));
  self->send(worker, msg::DeploySlots{first_attempt, "job", 0, {0, 1}});
  std::array<msg::SlotDeployed, 2> slots;
  for (int i = 0; i < 2; ++i) {
    self->receive([&](const msg::SlotDeployed& m) { slots.at(m.slot) = m; },
                  caf::after(deadline) >> [] { FAIL("no slot"); });
  }

  const auto gate = system.spawn(door, slots[1]);
  auto control = ControlPlane::open(system, ControlSettings{});
  REQUIRE(control);
  const auto published = (*control)->publish(gate, {"127.0.0.1", 0});
  REQUIRE(published);
  const pid_t other = start_other_process(published->port);
  for (int i = 0; i < 2; ++i) {
    self->receive([&](const msg::SubtaskGone& m) { CHECK(m.id.subtask == 1); },
                  caf::after(deadline) >> [] { FAIL("the other process has cancelled nothing"); });
  }
  int status = 0;
  CHECK(waitpid(other, &status, 0) == other);
  CHECK(status == 0);

  // The other slot has heard nothing of it.
  self->send(slots[0].group, msg::CallOperator{7, 0, {1, 0}, 1, "n", "1", true});
  self->receive(
      [](const msg::OperatorAnswered& m) {
        CHECK(m.id == SubtaskId{1, 0});
      },
      [](const msg::SubtaskGone&) { FAIL("a subtask of the other slot is gone"); },
      caf::after(deadline) >> [] { FAIL("no answer"); });
  self->send(slots[0].group, msg::CancelSubtask{});
  for (int i = 0; i < 2; ++i) {
    self->receive([&](const msg::SubtaskGone& m) { CHECK(m.id.subtask == 0); },
                  caf::after(deadline) >> [] { FAIL("nothing is cancelled"); });
  }
  caf::anon_send_exit(gate, caf::exit_reason::user_shutdown);
  caf::anon_send_exit(worker, caf::exit_reason::user_shutdown);
}

// Started by the test above.
TEST_CASE("the other process of the test of slot groups" * doctest::skip()) {
  const char* const port = std::getenv(port_variable);
  REQUIRE(port != nullptr);
  ClusterConfig config{1};
  caf::actor_system system{config};
  caf::scoped_actor self{system};
  auto control = ControlPlane::open(system, ControlSettings{});
  REQUIRE(control);
  const auto gate = (*control)->connect({"127.0.0.1", static_cast<std::uint16_t>(std::atoi(port))});
  REQUIRE(gate);
  caf::group slot;
  self->request(*gate, deadline, msg::RequestReports{})
      .receive([&](const msg::SlotDeployed& m) { slot = m.group; }, [](const caf::error&) { FAIL("no group"); });
  // A question to one of them is answered by that one, and only then the slot is cancelled.
  self->send(slot, msg::CallOperator{3, 0, {0, 1}, 0, "n", "1", true});
  self->receive(
      [](const msg::OperatorAnswered& m) {
        CHECK(m.call == 3);
        CHECK(m.id == SubtaskId{0, 1});
      },
      caf::after(deadline) >> [] { FAIL("no answer"); });
  self->send(slot, msg::CancelSubtask{});
  // Gone when the one behind the gate says so again: what was sent before has arrived by then.
  self->request(*gate, deadline, msg::RequestReports{})
      .receive([](const msg::SlotDeployed&) {}, [](const caf::error&) { FAIL("no answer"); });
}
