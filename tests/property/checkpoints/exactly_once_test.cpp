// Random jobs, killed at random: what their sinks have made visible in the end is what the same job writes that nobody
// disturbs. DATAFLOW_SEED=n repeats one.

#include <doctest/doctest.h>

#include <algorithm>
#include <iterator>

#include "tests/property/checkpoints/fragile_cluster.hpp"
#include "tests/property/checkpoints/random_job.hpp"
#include "tests/support/seeds.hpp"
#include "tests/support/temporary_folder.hpp"

namespace dataflow {

namespace {

using testing_support::FragileCluster;
using testing_support::OutsideWorld;
using testing_support::RandomJob;
using testing_support::seeds;

template <class Effect, class... Effects>
constexpr std::size_t position_in(const std::variant<Effects...>*) {
  std::size_t position = 0;
  bool found = false;
  ((found = found || std::is_same_v<Effect, Effects>, position += found ? 0 : 1), ...);
  return position;
}
template <class Effect>
constexpr std::size_t index_of = position_in<Effect>(static_cast<const CheckpointEffect*>(nullptr));

struct Totals {
  int processes = 0;
  int restores = 0;
  std::uint64_t checkpoints = 0;
};

/// What the job of that seed makes visible, under the given amount of misfortune.
std::multiset<std::string> output_of(std::uint64_t seed, FragileCluster::Options options, bool rescale,
                                     Totals* totals = nullptr,
                                     const std::function<StateBackendPtr(int)>& state = nullptr) {
  auto world = std::make_shared<OutsideWorld>();
  const RandomJob job{seed, world};
  std::mt19937_64 random{seed * 7919 + 1};
  std::mt19937_64 layout{seed};
  const JobGraphPtr first = job.graph(layout);
  const auto graph = [&](int process) { return process == 0 || !rescale ? first : job.graph(layout); };
  FragileCluster cluster{graph, std::make_shared<MemoryStorage>(), random, options};
  if (state) cluster.keep_state(state);
  const Status done = cluster.run();
  INFO((done ? std::string{} : done.error().message()));
  REQUIRE(done.has_value());
  CHECK(world->prepared.empty());
  if (totals != nullptr) {
    totals->processes += cluster.processes();
    totals->restores += cluster.restores();
    totals->checkpoints += cluster.checkpoints();
  }
  return world->visible;
}

std::string difference(const std::multiset<std::string>& actual, const std::multiset<std::string>& expected) {
  std::string text;
  std::vector<std::string> rows;
  std::set_difference(actual.begin(), actual.end(), expected.begin(), expected.end(), std::back_inserter(rows));
  for (const std::string& row : rows) text += "too many: " + row + "\n";
  rows.clear();
  std::set_difference(expected.begin(), expected.end(), actual.begin(), actual.end(), std::back_inserter(rows));
  for (const std::string& row : rows) text += "missing:  " + row + "\n";
  return text;
}

constexpr FragileCluster::Options undisturbed{.subtask_kills = 0, .process_kills = 0, .kill_chance = 0};

}  // namespace

TEST_CASE("a job that is killed at any moment writes each row once") {
  Totals totals;
  for (const std::uint64_t seed : seeds(2000)) {
    CAPTURE(seed);
    const auto expected = output_of(seed, undisturbed, false);
    const auto actual = output_of(
        seed, {.subtask_kills = 4, .process_kills = 3, .kill_chance = seed % 2 == 0 ? 0.01 : 0.04}, false, &totals);
    REQUIRE(difference(actual, expected) == "");
  }
  // It has happened at all.
  MESSAGE(totals.processes << " processes killed, " << totals.restores << " restores, " << totals.checkpoints
                           << " checkpoints");
  CHECK(totals.restores > 100);
}

TEST_CASE("a job that goes on with another parallelism writes each row once") {
  for (const std::uint64_t seed : seeds(1500)) {
    CAPTURE(seed);
    const auto expected = output_of(seed, undisturbed, false);
    const auto actual = output_of(seed, {.subtask_kills = 1, .process_kills = 4, .kill_chance = 0.03}, true);
    REQUIRE(difference(actual, expected) == "");
  }
}

TEST_CASE("a job whose state lies in a store, and now and then in another, writes each row once") {
  testing_support::TemporaryFolder folder;
  int folders = 0;
  const auto place = [&] { return folder / std::to_string(++folders); };
  const auto in_memory_store = [&](int) { return *make_memory_backend(place(), 0); };
  const auto in_any = [&](int process) -> StateBackendPtr {
    if (process % 3 == 0) return *make_rocksdb_backend(place(), 8U << 20);
    return process % 3 == 1 ? nullptr : *make_memory_backend(place(), 1000);
  };
  for (const std::uint64_t seed : seeds(400)) {
    CAPTURE(seed);
    const auto expected = output_of(seed, undisturbed, false);
    const bool any = seed % 20 == 0;  // RocksDB takes its time to open
    const auto actual = output_of(seed, {.subtask_kills = 2, .process_kills = 4, .kill_chance = 0.03}, seed % 2 == 0,
                                  nullptr, any ? std::function<StateBackendPtr(int)>{in_any} : in_memory_store);
    REQUIRE(difference(actual, expected) == "");
  }
}

TEST_CASE("a storage that fails and lies about it loses nothing and doubles nothing") {
  for (const std::uint64_t seed : seeds(1500)) {
    CAPTURE(seed);
    const auto expected = output_of(seed, undisturbed, false);
    const auto actual = output_of(
        seed, {.subtask_kills = 3, .process_kills = 2, .kill_chance = 0.02, .storage_failure_chance = 0.1}, false);
    REQUIRE(difference(actual, expected) == "");
  }
}

TEST_CASE("a process that dies at a certain point of completing a checkpoint loses nothing and doubles nothing") {
  using Moment = FragileCluster::Moment;
  struct Point {
    const char* name;
    std::optional<std::size_t> effect;
    bool after = false;
    std::optional<Moment> moment{};
    double decline_chance = 0;
  };
  constexpr Point points[] = {
      {"before the sources are triggered", index_of<BeginCheckpoint>, false},
      {"after the sources are triggered", index_of<BeginCheckpoint>, true},
      {"before the metadata is written", index_of<WriteMetadata>, false},
      {"between metadata and latest", index_of<WriteMetadata>, true},
      {"before latest is advanced", index_of<AdvanceLatest>, false},
      {"after latest is advanced and before anyone knows", index_of<AdvanceLatest>, true},
      {"before the sinks are told to commit", index_of<CompleteCheckpoint>, false},
      {"after the sinks have committed", index_of<CompleteCheckpoint>, true},
      {"before an old checkpoint is removed", index_of<RemoveCheckpoint>, false},
      {"after an old checkpoint is removed", index_of<RemoveCheckpoint>, true},
      {"before a checkpoint that failed is given up", index_of<AbortCheckpoint>, false, {}, 0.1},
      {"after a checkpoint that failed is given up", index_of<AbortCheckpoint>, true, {}, 0.1},
      {"when it has begun to lead", {}, false, Moment::epoch_taken},
      {"between what subtasks go on from and commit again", {}, false, Moment::some_opened},
      {"when one subtask's state is written", {}, false, Moment::one_acknowledged},
      {"when the last subtask's state is written", {}, false, Moment::all_acknowledged},
      {"between the commits of two subtasks", {}, false, Moment::some_told},
      {"between the name of an old checkpoint and its files", {}, false, Moment::name_removed}};
  for (const Point& point : points) {
    CAPTURE(point.name);
    int processes = 0;
    for (const std::uint64_t seed : seeds(60)) {
      CAPTURE(seed);
      Totals totals;
      const auto expected = output_of(seed, undisturbed, false);
      const auto actual = output_of(seed,
                                    {.subtask_kills = point.moment == Moment::some_opened ? 3 : 0,  // for a restore
                                     .process_kills = 0,
                                     .kill_chance = point.moment == Moment::some_opened ? 0.02 : 0,
                                     .die_at = point.effect,
                                     .die_after = point.after,
                                     .die_in = point.moment,
                                     .decline_chance = point.decline_chance,
                                     .deaths = 3},
                                    false, &totals);
      REQUIRE(difference(actual, expected) == "");
      processes += totals.processes;
    }
    if (!testing_support::is_set("DATAFLOW_SHORT_TESTS")) CHECK(processes > 0);
  }
}

}  // namespace dataflow
