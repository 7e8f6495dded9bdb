// Jobs over the node types that exist (jobs/*.toml), on simulated clusters under faults of every kind. Seeds are chosen
// anew each time and shown; `dfnode simulate tests/property/simulation/jobs/X.toml --seed N` repeats one, and
// DATAFLOW_SEED=n runs that one of all jobs. With DATAFLOW_LONG_TESTS=1 it goes on for an hour.

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <random>

#include "libdataflow/simulation/chances.hpp"
#include "libdataflow/simulation/simulation.hpp"
#include "libdataflow/topology/topology.hpp"
#include "tests/support/seeds.hpp"
#include "tests/support/temporary_folder.hpp"

namespace dataflow {

namespace {

using simulation::Defect;
using simulation::Options;
using simulation::SeedResult;
using simulation::Simulation;

const std::filesystem::path jobs_folder = std::filesystem::path{DATAFLOW_SOURCE_DIR} / "tests/property/simulation/jobs";
constexpr std::uint64_t seeds_of_job = 30;
constexpr auto long_run = std::chrono::hours{1};

/// Where the seeds of this run begin.
std::uint64_t first_seed() {
  if (const char* one = std::getenv("DATAFLOW_SEED"); one != nullptr && *one != 0) return 0;
  return std::uint64_t{1'000'000} * (1 + std::random_device{}() % 1'000'000);
}

StreamGraph graph_of(LoadedTopology loaded) {
  std::string why;
  for (const Diagnostic& diagnostic : loaded.diagnostics) why += render(diagnostic);
  REQUIRE_MESSAGE(loaded.topology, why);
  return std::move(loaded.topology->graph);
}

StreamGraph job(const std::string& name) {
  return graph_of(load_topology(jobs_folder / (name + ".toml")));
}

std::vector<std::string> all_jobs() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator{jobs_folder}) {
    if (entry.path().extension() == ".toml") names.push_back(entry.path().stem().native());
  }
  std::sort(names.begin(), names.end());
  return names;
}

Simulation prepared(StreamGraph graph, Options options = {}) {
  auto simulation = Simulation::prepare(std::move(graph), std::move(options));
  REQUIRE_MESSAGE(simulation.has_value(), (simulation ? std::string{} : simulation.error().message()));
  const auto& chance = simulation->not_deterministic();
  REQUIRE_MESSAGE(!chance, (chance ? describe(*chance) : std::string{}));
  return std::move(*simulation);
}

/// A place for sorted runs, with a little memory for what waits.
StateBackendPtr little_room(const testing_support::TemporaryFolder& folder, std::uint64_t bytes) {
  static int number = 0;
  return *make_spill_backend(folder / std::to_string(++number), bytes);
}

/// What has happened in all runs of this program.
struct Happened {
  simulation::Counts counts;
  std::map<std::string, std::uint64_t> met;  ///< "kill while opening", "tears _metadata"

  void add(const SeedResult& result) {
    counts.add(result.counts);
    for (const auto& [what, times] : result.met) met[what] += times;
  }
  [[nodiscard]] bool ends_with(const std::string& suffix) const {
    return std::any_of(met.begin(), met.end(), [&](const auto& one) { return one.first.ends_with(suffix); });
  }
};

Happened run_seeds(const std::string& name, const Simulation& simulation) {
  const std::uint64_t first = first_seed();
  Happened happened;
  for (const std::uint64_t seed : testing_support::seeds(seeds_of_job)) {
    const SeedResult result = simulation.run(first + seed);
    REQUIRE_MESSAGE(!result.failure, name << ": " << describe(*result.failure));
    happened.add(result);
  }
  MESSAGE(name << ": seeds from " << first + 1 << ", " << happened.counts.restarts << " restarts, "
               << happened.counts.checkpoints_completed << " checkpoints, " << happened.counts.savepoints
               << " savepoints");
  return happened;
}

}  // namespace

TEST_CASE("whatever goes wrong, each job commits what it commits when nothing does") {
  const auto began = std::chrono::steady_clock::now();
  std::map<std::string, Simulation> simulations;
  for (const std::string& name : all_jobs()) {
    CAPTURE(name);
    simulations.emplace(name, prepared(job(name)));
  }
  Happened happened;
  do {
    for (const auto& [name, simulation] : simulations) {
      const Happened now = run_seeds(name, simulation);
      happened.counts.add(now.counts);
      for (const auto& [what, times] : now.met) happened.met[what] += times;
    }
  } while (testing_support::is_set("DATAFLOW_LONG_TESTS") && std::chrono::steady_clock::now() - began < long_run);
  if (std::getenv("DATAFLOW_SEED") != nullptr || testing_support::is_set("DATAFLOW_SHORT_TESTS")) return;
  // The steps of the protocol that have to have been met by something, or these runs prove nothing about them.
  for (const std::string step : {"starting", "acquiring slots", "opening", "running", "collecting snapshots",
                                 "writing metadata", "advancing latest", "restarting"}) {
    CAPTURE(step);
    CHECK(happened.ends_with(" while " + step));
  }
  // And the files that have to have been hit by a fault of the disk, or by a kill between two steps on it.
  for (const std::string file : {"part", "_metadata", "latest", "epoch", "jobs", "writing"}) {
    CAPTURE(file);
    CHECK(happened.ends_with(" " + file));
  }
  for (std::size_t place = 0; place < buggify_count; ++place) {
    const std::string name{simulation::Chances::name_of(static_cast<Buggify>(place))};
    CAPTURE(name);
    CHECK(happened.met["buggified " + name] > 0);
  }
  CHECK(happened.counts.savepoints > 0);
  CHECK(happened.counts.rescales > 0);
}

TEST_CASE("as batch, a job commits what it commits when it streams, whatever room its keys have in memory") {
  const testing_support::TemporaryFolder folder;
  for (const std::string& name : all_jobs()) {
    if (name.starts_with("late")) continue;  // nothing is late in a batch
    CAPTURE(name);
    const StreamGraph streaming = job(name);
    StreamGraph batch = graph_of(load_topology(jobs_folder / (name + ".toml"), {.overrides = {"mode=batch"}}));
    CHECK(batch.settings.mode == ExecutionMode::batch);
    simulation::RunSettings settings;
    const auto expected = simulation::Cluster{streaming, settings}.run();
    REQUIRE_FALSE(expected.problem);
    // With all memory that it wants, with room for some keys, and for none.
    for (const StateBackendPtr& state : {StateBackendPtr{}, little_room(folder, 4000), little_room(folder, 0)}) {
      settings.state = state;
      const auto actual = simulation::Cluster{batch, settings}.run();
      REQUIRE_FALSE(actual.problem);
      CHECK(actual.rows == expected.rows);
    }
  }
  // Faults meet it like any other job, and so they do when nearly everything lies on disk.
  for (const std::string name : {"updates", "join-window", "cumulate-distinct"}) {
    const StreamGraph batch = graph_of(load_topology(jobs_folder / (name + ".toml"), {.overrides = {"mode=batch"}}));
    if (name != "join-window") run_seeds(name + " as batch", prepared(batch));
    run_seeds(name + " as batch on disk", prepared(batch, {.state = little_room(folder, 4000)}));
  }
}

TEST_CASE("two runs of a seed are the same, event for event") {
  const Simulation simulation = prepared(job("tumbling"));
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
  constexpr std::string_view text = R"toml(
name = "clock"
[sources.events]
type = "generate"
count = 100
fields = { id = "seq()" }
[operators.stamped]
type = "select"
input = "events"
add = { seen = "now()" }
[operators.few]
type = "filter"
input = "stamped"
where = "id % 3 = 0"
[sinks.out]
type = "file"
input = "few"
path = "out"
)toml";
  const auto simulation = Simulation::prepare(graph_of(parse_topology(text, "job.toml", "/")), {});
  REQUIRE(simulation);
  REQUIRE(simulation->not_deterministic());
  CHECK(simulation->not_deterministic()->op == "stamped");
  CHECK_FALSE(simulation->not_deterministic()->one.empty());
  CHECK_FALSE(simulation->not_deterministic()->by_parallelism);
}

TEST_CASE("an operator whose output depends on the parallelism is named before any fault is blamed") {
  // Which record is late depends on what its reader has read before; a single one reads them in their order.
  std::ifstream file{jobs_folder / "late.toml"};
  std::string text{std::istreambuf_iterator<char>{file}, {}};
  const std::string fixed = "parallelism = 1\n";
  REQUIRE(text.find(fixed) != std::string::npos);
  text.erase(text.find(fixed), fixed.size());
  Options options;
  options.parallelism = 1;
  const auto simulation = Simulation::prepare(graph_of(parse_topology(text, "job.toml", "/")), options);
  REQUIRE(simulation);
  REQUIRE(simulation->not_deterministic());
  CHECK(simulation->not_deterministic()->by_parallelism);
  CHECK(simulation->not_deterministic()->op == "minutes");
}

TEST_CASE("a job without end is refused, with the source that has none") {
  constexpr std::string_view text = R"toml(
name = "endless"
[sources.numbers]
type = "generate"
fields = { id = "seq()" }
[sinks.out]
type = "file"
input = "numbers"
path = "out"
)toml";
  const auto refused = Simulation::prepare(graph_of(parse_topology(text, "job.toml", "/")), {});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == ErrorCode::invalid_argument);
  CHECK(refused.error().message().find("\"numbers\"") != std::string::npos);
}

TEST_CASE("each planted bug is found within so many seeds") {
  struct Planted {
    Defect defect;
    std::string name;
    std::uint64_t seeds;
    std::string shows_in = "tumbling";
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
      {Defect::lost_watermark, "a snapshot forgets the watermark", 500, "late"},
      {Defect::missing_fence, "a coordinator does not see that another leads since", 5000},
  };
  for (const Planted& planted : all) {
    CAPTURE(planted.name);
    Options options;
    options.defect = planted.defect;
    const Simulation simulation = prepared(job(planted.shows_in), options);
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
