// The CheckpointCoordinator: when checkpoints begin, complete, fail and go.

#include <doctest/doctest.h>

#include "libdataflow/checkpoint/coordinator.hpp"
#include "libdataflow/checkpoint/memory_storage.hpp"
#include "tests/support/batches.hpp"
#include "tests/support/graphs.hpp"
#include "tests/support/scripted_source.hpp"

namespace dataflow {

namespace {

using namespace testing_support;
using namespace std::chrono_literals;

/// A source with two subtasks and a coordinator of it, on a clock that the test moves.
class Coordination {
 public:
  explicit Coordination(const CheckpointSettings& settings = {
                            .interval = 10s, .storage = {}, .tolerable_failures = {}}) {
    const SchemaPtr schema = make_schema({{"n", TypeKind::int64}});
    GraphBuilder builder;
    builder.source("in", schema, std::make_shared<ScriptedSource>(std::vector<Script>(1))).parallelism = 2;
    builder.sink("out", {"in"}, make_collect_sink(std::make_shared<Collected>()));
    builder.graph.name = "job";
    builder.graph.settings.checkpoint = settings;
    auto graph = build_job_graph(std::make_shared<const StreamGraph>(std::move(builder.graph)), 2);
    REQUIRE(graph);
    coordinator.emplace(std::make_shared<const JobGraph>(std::move(*graph)), "job-1",
                        Leadership{"job/run-000001", 3, "job-1", {}});
    CHECK(coordinator->on_running(now).empty());
  }

  /// Time passes; the number of the checkpoint that begins, or 0.
  std::uint64_t pass(Duration time) {
    now = now + time;
    effects = coordinator->on_time(now);
    const auto* begun = find<BeginCheckpoint>();
    if (begun == nullptr) return 0;
    const std::uint64_t id = begun->barrier.checkpoint_id;
    CHECK(coordinator->on_enumerators(id, std::map<std::string, std::string>{{"in", "1"}}, now).empty());
    return id;
  }
  void acknowledge(std::uint64_t id, std::uint32_t subtask) {
    TaskState state;
    state.operators = {{"in", {}}, {"out", {}}};
    effects = coordinator->on_acknowledged(id, 0, subtask, std::move(state), {Duration{5}, {}, {}}, now);
  }
  /// All the way, with an advance that comes to `advanced`.
  void complete(std::uint64_t id, const Result<Advance>& advanced = Advance::done) {
    acknowledge(id, 0);
    acknowledge(id, 1);
    REQUIRE(find<WriteMetadata>() != nullptr);
    effects = coordinator->on_metadata_written(id, {}, now);
    REQUIRE(find<AdvanceLatest>() != nullptr);
    const CompletedCheckpoint checkpoint = find<AdvanceLatest>()->checkpoint;
    CHECK(coordinator->in_doubt());
    effects = coordinator->on_advanced(checkpoint, advanced, now);
  }
  template <class Effect>
  const Effect* find() const {
    for (const CheckpointEffect& effect : effects) {
      if (const auto* found = std::get_if<Effect>(&effect)) return found;
    }
    return nullptr;
  }

  Timestamp now = Timestamp{1h};
  std::optional<CheckpointCoordinator> coordinator;
  std::vector<CheckpointEffect> effects;
};

}  // namespace

TEST_CASE("a checkpoint completes when all have acknowledged, it is written, and latest has been advanced") {
  Coordination c;
  CHECK(c.pass(9s) == 0);
  CHECK(c.pass(1s) == 1);
  CHECK(c.find<BeginCheckpoint>()->folder == "job/run-000001/chk-0000000001.e000003");
  c.acknowledge(1, 0);
  c.acknowledge(1, 0);  // twice is once
  CHECK(c.effects.empty());
  c.acknowledge(1, 1);
  const auto* write = c.find<WriteMetadata>();
  REQUIRE(write != nullptr);
  const auto metadata = decode_metadata(write->bytes, write->key);
  REQUIRE(metadata);
  CHECK(metadata->id == 1);
  CHECK(metadata->find("in")->enumerator == "1");
  CHECK(metadata->find("in")->subtasks.size() == 2);
  CHECK(c.coordinator->latest() == nullptr);
  c.effects = c.coordinator->on_metadata_written(1, {}, c.now);
  const CompletedCheckpoint checkpoint = c.find<AdvanceLatest>()->checkpoint;
  CHECK(checkpoint.sequence == 1);
  c.effects = c.coordinator->on_advanced(checkpoint, Advance::done, c.now);
  REQUIRE(c.find<CompleteCheckpoint>() != nullptr);
  CHECK_FALSE(c.find<CompleteCheckpoint>()->last);
  CHECK(c.coordinator->latest()->id == 1);
  CHECK(c.coordinator->history().back().longest.alignment == Duration{5});
}

TEST_CASE("checkpoints begin at their interval, never two at a time, and after a pause") {
  Coordination c{{.interval = 10s, .storage = {}, .timeout = 1min, .min_pause = 4s, .tolerable_failures = {}}};
  REQUIRE(c.pass(10s) == 1);
  CHECK(c.pass(15s) == 0);
  c.complete(1);
  CHECK(c.pass(3s) == 0);
  REQUIRE(c.pass(1s) == 2);
  c.complete(2);
  CHECK(c.pass(9s) == 0);
  CHECK(c.pass(1s) == 3);
}

TEST_CASE("a checkpoint that takes too long is given up, and late acknowledgements are not taken for the next") {
  Coordination c{{.interval = 10s, .storage = {}, .timeout = 30s, .tolerable_failures = {}}};
  REQUIRE(c.pass(10s) == 1);
  c.acknowledge(1, 0);
  CHECK(c.pass(30s) == 0);
  REQUIRE(c.find<AbortCheckpoint>() != nullptr);
  CHECK(c.coordinator->history().back().failure == "timed out after 30s with 1 of 2 subtasks missing");
  REQUIRE(c.pass(10s) == 2);
  c.acknowledge(1, 1);
  c.acknowledge(2, 0);
  CHECK(c.effects.empty());
  CHECK(c.coordinator->failed_count() == 1);
}

TEST_CASE("failed checkpoints are tolerated as often as is said") {
  Coordination c{{.interval = 10s, .storage = {}, .tolerable_failures = 1}};
  const auto decline = [&](std::uint64_t id) {
    c.effects = c.coordinator->on_declined(id, Error{ErrorCode::io, "no space left"}, c.now);
  };
  REQUIRE(c.pass(10s) == 1);
  decline(1);
  CHECK(c.find<FailForCheckpoints>() == nullptr);
  REQUIRE(c.pass(10s) == 2);
  c.complete(2);
  REQUIRE(c.pass(10s) == 3);
  decline(3);
  CHECK(c.find<FailForCheckpoints>() == nullptr);
  REQUIRE(c.pass(10s) == 4);
  decline(4);
  REQUIRE(c.find<FailForCheckpoints>() != nullptr);
  CHECK(c.find<FailForCheckpoints>()->error.message().find("no space left") != std::string::npos);
}

TEST_CASE("what can never be in a checkpoint fails the job, which would wait for its last one for ever") {
  Coordination c;
  REQUIRE(c.pass(10s) == 1);
  c.effects = c.coordinator->on_declined(1, Error{ErrorCode::unsupported, "no way"}, c.now);
  CHECK(c.find<AbortCheckpoint>() != nullptr);
  REQUIRE(c.find<FailForCheckpoints>() != nullptr);
  CHECK(c.find<FailForCheckpoints>()->error.code() == ErrorCode::unsupported);
}

TEST_CASE("older checkpoints go when there are more than are kept") {
  Coordination c{{.interval = 10s, .storage = {}, .tolerable_failures = {}, .retain = 2}};
  for (std::uint64_t id = 1; id <= 4; ++id) {
    REQUIRE(c.pass(10s) == id);
    c.complete(id);
    const auto* removed = c.find<RemoveCheckpoint>();
    CHECK((removed != nullptr) == (id > 2));
    if (removed != nullptr) CHECK(removed->checkpoint.id == id - 2);
  }
}

TEST_CASE("an advance whose answer is lost gives the checkpoint up and removes nothing") {
  Coordination c;
  REQUIRE(c.pass(10s) == 1);
  c.complete(1, fail(ErrorCode::io, "the storage does not answer"));
  CHECK(c.find<CompleteCheckpoint>() == nullptr);
  CHECK(c.find<AbortCheckpoint>() != nullptr);
  CHECK(c.find<RemoveCheckpoint>() == nullptr);
  // It had been done: what an attempt starts from is asked of the storage.
  c.coordinator->reload({{1, 1, 3, "job/run-000001/chk-0000000001.e000003"}});
  CHECK(c.coordinator->latest()->id == 1);
  REQUIRE(c.pass(10s) == 2);
  c.complete(2);
  CHECK(c.coordinator->latest()->sequence == 2);
}

TEST_CASE("a checkpoint that lies in another storage than the run is not complete, and does not stay there") {
  Coordination c;
  REQUIRE(c.pass(10s) == 1);
  c.complete(1, fail(ErrorCode::unavailable, "has a disk vanished?"));
  CHECK(c.find<AbortCheckpoint>() != nullptr);
  REQUIRE(c.find<RemoveCheckpoint>() != nullptr);
  CHECK(c.find<RemoveCheckpoint>()->checkpoint.id == 1);
  CHECK(c.find<RemoveCheckpoint>()->checkpoint.sequence == 0);  // no name goes
}

TEST_CASE("the last checkpoint is tried again less and less often") {
  Coordination c;
  c.effects = c.coordinator->on_all_drained(c.now);
  REQUIRE(c.find<BeginCheckpoint>() != nullptr);
  std::uint64_t id = c.find<BeginCheckpoint>()->barrier.checkpoint_id;
  for (const Duration pause : {Duration{100ms}, Duration{200ms}, Duration{400ms}, Duration{800ms}, Duration{1600ms},
                               Duration{3200ms}, Duration{5s}, Duration{5s}}) {
    c.effects = c.coordinator->on_declined(id, Error{ErrorCode::io, "no space left"}, c.now);
    REQUIRE(c.coordinator->next_time() == c.now + pause);
    id = c.pass(pause);
    REQUIRE(id != 0);
  }
  c.complete(id);
  CHECK(c.find<CompleteCheckpoint>()->last);
}

TEST_CASE("a coordinator that was overtaken fails the job") {
  Coordination c;
  REQUIRE(c.pass(10s) == 1);
  c.complete(1, Advance::overtaken);
  CHECK(c.find<FailForCheckpoints>() != nullptr);
}

TEST_CASE("an attempt that ends takes its checkpoint with it, unless that may be complete already") {
  Coordination c;
  REQUIRE(c.pass(10s) == 1);
  c.effects = c.coordinator->on_attempt_over(c.now);
  CHECK(c.find<AbortCheckpoint>() != nullptr);
  CHECK_FALSE(c.coordinator->next_time());

  CHECK(c.coordinator->on_running(c.now).empty());
  REQUIRE(c.pass(10s) == 2);
  c.acknowledge(2, 0);
  c.acknowledge(2, 1);
  c.effects = c.coordinator->on_metadata_written(2, {}, c.now);
  const CompletedCheckpoint checkpoint = c.find<AdvanceLatest>()->checkpoint;
  CHECK(c.coordinator->on_attempt_over(c.now).empty());
  CHECK(c.coordinator->in_doubt());
  c.effects = c.coordinator->on_advanced(checkpoint, Advance::done, c.now);
  CHECK(c.find<CompleteCheckpoint>() == nullptr);  // nobody is there to be told
  CHECK(c.coordinator->latest()->id == 2);
}

TEST_CASE("the last checkpoint begins when all data is through, after one that is under way") {
  Coordination c;
  REQUIRE(c.pass(10s) == 1);
  CHECK(c.coordinator->on_all_drained(c.now).empty());
  c.complete(1);
  CHECK_FALSE(c.find<CompleteCheckpoint>()->last);
  REQUIRE(c.pass(0s) == 2);
  c.complete(2);
  CHECK(c.find<CompleteCheckpoint>()->last);
  CHECK_FALSE(c.coordinator->next_time());
}

TEST_CASE("a savepoint is a checkpoint that is exported once it is complete, and kept until then") {
  Coordination c{{.interval = 10s, .storage = {}, .tolerable_failures = {}, .retain = 1}};
  auto [request, effects] = c.coordinator->on_savepoint_wanted("there", SavepointTime::now, c.now);
  c.effects = std::move(effects);
  REQUIRE(c.find<BeginCheckpoint>() != nullptr);
  CHECK(c.find<BeginCheckpoint>()->barrier.savepoint);
  CHECK(c.coordinator->on_enumerators(1, std::map<std::string, std::string>{{"in", "1"}}, c.now).empty());
  c.complete(1);
  CHECK(c.find<CompleteCheckpoint>() != nullptr);
  REQUIRE(c.find<ExportSavepoint>() != nullptr);
  CHECK(c.find<ExportSavepoint>()->target == "there");
  CHECK(c.coordinator->exporting());

  REQUIRE(c.pass(10s) == 2);
  CHECK_FALSE(c.find<BeginCheckpoint>()->barrier.savepoint);
  c.complete(2);
  CHECK(c.find<RemoveCheckpoint>() == nullptr);  // the first is still being copied
  c.effects = c.coordinator->on_exported(request, std::string{"there/savepoint-job-1"});
  REQUIRE(c.find<RemoveCheckpoint>() != nullptr);
  CHECK(c.find<RemoveCheckpoint>()->checkpoint.id == 1);
  const SavepointRecord& record = c.coordinator->savepoints().back();
  CHECK(record.state == SavepointRecord::State::completed);
  CHECK(record.location == "there/savepoint-job-1");
}

TEST_CASE("a savepoint that is wanted during a checkpoint begins when that has ended, whatever came of it") {
  for (const bool completes : {true, false}) {
    Coordination c;
    REQUIRE(c.pass(10s) == 1);
    CHECK(c.coordinator->on_savepoint_wanted("there", SavepointTime::now, c.now).second.empty());
    if (completes) {
      c.complete(1);
    } else {
      c.effects = c.coordinator->on_declined(1, Error{ErrorCode::io, "no space left"}, c.now);
    }
    CHECK(c.find<ExportSavepoint>() == nullptr);
    REQUIRE(c.pass(0s) == 2);
    CHECK(c.find<BeginCheckpoint>()->barrier.savepoint);
  }
}

TEST_CASE("a savepoint that fails is told and fails no job") {
  Coordination c{{.interval = 10s, .storage = {}, .tolerable_failures = 0}};
  const auto [request, effects] = c.coordinator->on_savepoint_wanted("there", SavepointTime::now, c.now);
  c.effects = c.coordinator->on_declined(1, Error{ErrorCode::io, "no space left"}, c.now);
  CHECK(c.find<FailForCheckpoints>() == nullptr);
  CHECK(c.coordinator->savepoints().back().failure == "no space left");
}

TEST_CASE("a job that fails takes the savepoints along that wait, but not the one that is to end it") {
  Coordination c;
  const auto now = c.coordinator->on_savepoint_wanted("now", SavepointTime::now, c.now).first;
  const auto end = c.coordinator->on_savepoint_wanted("end", SavepointTime::at_end, c.now).first;
  c.effects = c.coordinator->on_attempt_over(c.now);
  const auto& records = c.coordinator->savepoints();
  CHECK(records[0].request == now);
  CHECK(records[0].state == SavepointRecord::State::failed);
  CHECK(records[1].request == end);
  CHECK(records[1].state == SavepointRecord::State::waiting);

  const auto refused = c.coordinator->on_savepoint_wanted("between", SavepointTime::now, c.now);
  CHECK(refused.second.empty());
  CHECK(c.coordinator->savepoints().back().state == SavepointRecord::State::failed);

  CHECK(c.coordinator->on_running(c.now).empty());
  REQUIRE(c.pass(0s) == 2);  // at once: the job owes the output of what it reads again
  CHECK_FALSE(c.find<BeginCheckpoint>()->barrier.savepoint);
  CHECK(c.coordinator->on_all_drained(c.now).empty());
  c.complete(2);
  CHECK(c.find<ExportSavepoint>() == nullptr);
  REQUIRE(c.pass(0s) == 3);
  c.complete(3);
  CHECK(c.find<CompleteCheckpoint>()->last);
  REQUIRE(c.find<ExportSavepoint>() != nullptr);
  CHECK(c.find<ExportSavepoint>()->request == end);
}

TEST_CASE("a run that begins from a savepoint numbers its checkpoints above it") {
  Coordination c;
  c.coordinator->number_above(41);
  CHECK(c.pass(10s) == 42);
}

}  // namespace dataflow
