// Jobs over the node types that exist, on simulated clusters under faults of every kind. Seeds are chosen anew each
// time and shown; DATAFLOW_SEED=n repeats one.

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <map>
#include <random>

#include "tests/support/seeds.hpp"
#include "tests/support/simulated_jobs.hpp"

namespace dataflow {

namespace {

using simulation::Defect;
using simulation::Options;
using simulation::SeedResult;
using simulation::Simulation;
using testing_support::graph_of;

/// Where the seeds of this run begin.
std::uint64_t first_seed() {
  if (const char* one = std::getenv("DATAFLOW_SEED"); one != nullptr && *one != 0) return 0;
  return std::uint64_t{1'000'000} * (1 + std::random_device{}() % 1'000'000);
}

Simulation prepared(StreamGraph graph, Options options = {}) {
  auto simulation = Simulation::prepare(std::move(graph), std::move(options));
  REQUIRE_MESSAGE(simulation.has_value(), (simulation ? std::string{} : simulation.error().message()));
  const auto& chance = simulation->not_deterministic();
  REQUIRE_MESSAGE(!chance, (chance ? chance->op : std::string{}));
  return std::move(*simulation);
}

/// What faults have met, over all runs of this program.
std::map<std::string, std::uint64_t> met;

void run_all(const std::string& name, StreamGraph graph, std::uint64_t count) {
  const Simulation simulation = prepared(std::move(graph));
  const std::uint64_t first = first_seed();
  simulation::Counts counts;
  for (const std::uint64_t seed : testing_support::seeds(count)) {
    const SeedResult result = simulation.run(first + seed);
    REQUIRE_MESSAGE(!result.failure, name << ": " << describe(*result.failure));
    counts.add(result.counts);
    for (const auto& [what, times] : result.met) met[what] += times;
  }
  MESSAGE(name << ": seeds from " << first + 1 << ", " << counts.restarts << " restarts, "
               << counts.checkpoints_completed << " checkpoints");
}

}  // namespace

TEST_CASE("whatever goes wrong, each job commits what it commits when nothing does") {
  for (const testing_support::SimulatedJob& job : testing_support::simulated_jobs()) {
    run_all(job.name, graph_of(job), 40);
  }
  run_all("nexmark", graph_of(testing_support::nexmark_job), 30);
  run_all("rows", graph_of(testing_support::rows_job), 30);
  run_all("late", graph_of(testing_support::late_job), 30);
  if (std::getenv("DATAFLOW_SEED") != nullptr || testing_support::is_set("DATAFLOW_SHORT_TESTS")) return;
  // The steps of the protocol that have to have been met by something, or these runs prove nothing about them.
  for (const std::string step : {"starting", "acquiring slots", "opening", "running", "collecting snapshots",
                                 "writing metadata", "advancing latest", "restarting"}) {
    CAPTURE(step);
    const std::string suffix = " while " + step;
    CHECK(std::any_of(met.begin(), met.end(), [&](const auto& one) { return one.first.ends_with(suffix); }));
  }
  // And the files that have to have been hit by a fault of the disk, or by a kill between two steps on it.
  for (const std::string file : {"part", "_metadata", "latest", "epoch", "jobs", "writing"}) {
    CAPTURE(file);
    const std::string suffix = " " + file;
    CHECK(std::any_of(met.begin(), met.end(), [&](const auto& one) { return one.first.ends_with(suffix); }));
  }
}

TEST_CASE("two runs of a seed are the same, event for event") {
  const Simulation simulation = prepared(graph_of(testing_support::simulated_jobs()[1]));
  const std::uint64_t first = first_seed();
  for (std::uint64_t seed = first + 1; seed <= first + 5; ++seed) {
    CAPTURE(seed);
    const SeedResult one = simulation.trace(seed);
    const SeedResult other = simulation.trace(seed);
    CHECK(one.trace.size() > 1000);
    CHECK(one.trace == other.trace);
  }
}

TEST_CASE("an operator whose output depends on the clock is named before any fault is blamed") {
  auto simulation = Simulation::prepare(graph_of(testing_support::clock_job), {});
  REQUIRE(simulation);
  REQUIRE(simulation->not_deterministic());
  CHECK(simulation->not_deterministic()->op == "stamped");
  CHECK_FALSE(simulation->not_deterministic()->one.empty());
}

TEST_CASE("a job without end is refused, with the source that has none") {
  const auto refused = Simulation::prepare(graph_of(testing_support::endless_job), {});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == ErrorCode::invalid_argument);
  CHECK(refused.error().message().find("\"numbers\"") != std::string::npos);
}

TEST_CASE("each planted bug is found within so many seeds") {
  struct Planted {
    Defect defect;
    std::string name;
    std::uint64_t seeds;
    /// Of the job in which it shows.
    std::function<StreamGraph()> graph = [] { return graph_of(testing_support::simulated_jobs()[1]); };
  };
  const Planted all[] = {
      {Defect::commit_before_completion, "sinks commit at the barrier", 50},
      {Defect::forgotten_state, "a snapshot lacks an operator's state", 100},
      {Defect::late_split, "a split is handed out between the trigger and the snapshot", 200},
      {Defect::unsynced_part, "a part is listed that is not synced", 2000},
      {Defect::older_checkpoint, "an attempt goes on from the checkpoint before the latest", 400},
      {Defect::lost_credit, "a receiver does not grant again", 200},
      {Defect::commit_twice, "a part that was committed stays listed", 500},
      {Defect::lying_storage, "a checkpoint is announced that was not written", 100},
      {Defect::lost_watermark, "a snapshot forgets the watermark", 500,
       [] { return graph_of(testing_support::late_job); }},
      {Defect::missing_fence, "a coordinator does not see that another leads since", 5000},
  };
  for (const Planted& planted : all) {
    CAPTURE(planted.name);
    Options options;
    options.defect = planted.defect;
    const Simulation simulation = prepared(planted.graph(), options);
    const std::uint64_t first = first_seed();
    std::uint64_t needed = 0;
    for (std::uint64_t seed = 1; seed <= planted.seeds && needed == 0; ++seed) {
      if (simulation.run(first + seed).failure) needed = seed;
    }
    MESSAGE(planted.name << ": found in " << needed << " seeds, from " << first + 1);
    CHECK(needed != 0);
  }
}

}  // namespace dataflow
