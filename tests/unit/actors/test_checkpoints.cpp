// Checkpoints under actors: a job that fails in the middle goes on from its newest one.

#include <doctest/doctest.h>

#include <atomic>
#include <filesystem>
#include <map>
#include <thread>

#include "actors/local_run.hpp"
#include "tests/support/batches.hpp"
#include "tests/support/folder_walk.hpp"
#include "tests/support/graphs.hpp"
#include "tests/support/scripted_source.hpp"
#include "tests/support/transactional_sink.hpp"

namespace dataflow {

namespace {

using namespace testing_support;

const SchemaPtr& schema() {
  static const SchemaPtr s = make_schema({{"n", TypeKind::int64}});
  return s;
}

/// A folder that goes with the test.
struct Folder {
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "dataflow-checkpoints-XXXXXX").native();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~Folder() { std::filesystem::remove_all(path); }
  [[nodiscard]] std::size_t count(std::string_view prefix) const { return count_files(path, prefix); }
  std::string path;
};

/// How often an operator has begun, and gone on from a checkpoint.
struct Lives {
  std::atomic<int> opened = 0;
  std::atomic<int> restored = 0;
};

/// Counts records and gives each its number: wrong when state is lost or records come twice.
class Numbering final : public Operator {
 public:
  Numbering(const Folder& folder, std::shared_ptr<std::atomic<int>> failures,
            std::shared_ptr<Lives> lives = std::make_shared<Lives>())
      : folder_{folder}, failures_{std::move(failures)}, lives_{std::move(lives)} {}
  Status open(OperatorContext&) override {
    ++lives_->opened;
    return {};
  }
  Result<Step> process(std::size_t, const BatchPtr& batch, OperatorOutput& out) override {
    BatchBuilder rows{schema()};
    for (std::uint32_t row = 0; row < batch->rows(); ++row) {
      rows.column(0).append_int64(++count_);
      rows.end_row();
    }
    out.emit(rows.finish());
    // Fails once in each attempt that has seen a checkpoint of its own.
    if (failures_->load() > 0 && folder_.count("latest-") > 0 && count_ > 20) {
      failures_->fetch_sub(1);
      return fail(ErrorCode::io, "the network is down");
    }
    return Step::done;
  }
  Result<CapturedStatePtr> snapshot() override {
    auto state = std::make_unique<CopiedState>();
    state->begin({"count", StateKind::list, 1, schema()});
    state->add(make_batch(schema(), {{count_}}));
    return state;
  }
  Status restore(StateReader& state) override {
    ++lives_->restored;
    return state.read("count", schema(), [this](std::uint32_t, const BatchPtr& rows) -> Status {
      count_ = rows->column(0).as<std::int64_t>()[0];
      return {};
    });
  }

 private:
  const Folder& folder_;
  std::shared_ptr<std::atomic<int>> failures_;
  std::shared_ptr<Lives> lives_;
  std::int64_t count_ = 0;
};

}  // namespace

TEST_CASE("a job that fails goes on from its newest checkpoint") {
  const Folder folder;
  auto world = std::make_shared<OutsideWorld>();
  auto failures = std::make_shared<std::atomic<int>>(2);
  constexpr std::int64_t records = 200;
  Script script;
  for (std::int64_t n = 1; n <= records; ++n) {
    script.push_back(make_batch(schema(), {{n}}));
    script.push_back(Pause{std::chrono::milliseconds{2}});
  }
  GraphBuilder builder;
  builder.source("numbers", schema(), std::make_shared<ScriptedSource>(std::vector<Script>{script}));
  builder.transform("numbering", {"numbers"},
                    std::make_shared<LambdaFactory>([&] { return std::make_unique<Numbering>(folder, failures); }));
  builder.sink("out", {"numbering"}, std::make_shared<TransactionalSinkFactory>(world, "out"));
  builder.graph.name = "numbers";
  builder.graph.settings.parallelism = 1;
  builder.graph.settings.restart.initial_delay = std::chrono::milliseconds{1};
  builder.graph.settings.checkpoint =
      CheckpointSettings{.interval = std::chrono::milliseconds{20}, .storage = folder.path, .tolerable_failures = {}};
  auto job = LocalJob::start(std::move(builder.graph), {.slots = 1});
  REQUIRE(job);
  const auto status = (*job)->wait(std::chrono::seconds{60});
  REQUIRE(status);
  INFO((status->error ? status->error->message() : std::string{}));
  CHECK(status->state == JobState::finished);
  CHECK(status->restarts == 2);
  CHECK(status->checkpoints.completed > 0);
  std::multiset<std::string> expected;
  for (std::int64_t n = 1; n <= records; ++n) expected.insert("out/{\"n\":" + std::to_string(n) + "}");
  CHECK(world->visible == expected);
  CHECK(folder.count("latest-") <= 3);
}

TEST_CASE("of two pipelines only the one that fails goes on from a checkpoint, and the output of both is exact") {
  const Folder folder;
  constexpr std::int64_t records = 400;
  Script script;
  for (std::int64_t n = 1; n <= records; ++n) {
    script.push_back(make_batch(schema(), {{n}}));
    script.push_back(Pause{std::chrono::milliseconds{2}});
  }
  GraphBuilder builder;
  std::map<std::string, std::shared_ptr<Lives>> lives;
  std::map<std::string, std::shared_ptr<OutsideWorld>> worlds;
  for (const std::string name : {"steady", "failing"}) {
    lives[name] = std::make_shared<Lives>();
    worlds[name] = std::make_shared<OutsideWorld>();
    const auto failures = std::make_shared<std::atomic<int>>(name == "failing" ? 3 : 0);
    builder.source(name + "_numbers", schema(), std::make_shared<ScriptedSource>(std::vector<Script>{script}));
    builder.transform(name, {name + "_numbers"}, std::make_shared<LambdaFactory>([&folder, failures, l = lives[name]] {
                        return std::make_unique<Numbering>(folder, failures, l);
                      }));
    builder.sink(name + "_out", {name}, std::make_shared<TransactionalSinkFactory>(worlds[name], name + "_out"));
  }
  builder.graph.name = "two";
  builder.graph.settings.parallelism = 1;
  builder.graph.settings.restart.initial_delay = std::chrono::milliseconds{1};
  builder.graph.settings.checkpoint =
      CheckpointSettings{.interval = std::chrono::milliseconds{20}, .storage = folder.path, .tolerable_failures = {}};
  auto job = LocalJob::start(std::move(builder.graph), {.slots = 2});
  REQUIRE(job);
  const auto status = (*job)->wait(std::chrono::seconds{60});
  REQUIRE(status);
  INFO((status->error ? status->error->message() : std::string{}));
  CHECK(status->state == JobState::finished);
  CHECK(status->restarts == 3);
  CHECK(lives["failing"]->opened == 4);
  CHECK(lives["failing"]->restored == 3);
  CHECK(lives["steady"]->opened == 1);
  CHECK(lives["steady"]->restored == 0);
  for (const auto& [name, world] : worlds) {
    std::multiset<std::string> expected;
    for (std::int64_t n = 1; n <= records; ++n) {
      expected.insert(name + "_out/{\"n\":" + std::to_string(n) + "}");
    }
    CHECK(world->visible == expected);
  }
}

/// Fails after a checkpoint, and then takes its time to read its state.
class SlowToRestore final : public Operator {
 public:
  struct Shared {
    std::atomic<bool> restoring = false;
    std::atomic<bool> may_go_on = false;
    std::atomic<int> aborted = 0;
  };
  SlowToRestore(const Folder& folder, std::shared_ptr<Shared> shared) : folder_{folder}, shared_{std::move(shared)} {}
  Result<Step> process(std::size_t, const BatchPtr& batch, OperatorOutput& out) override {
    if (folder_.count("latest-") > 0) return fail(ErrorCode::io, "the network is down");
    out.emit(batch);
    return Step::done;
  }
  Result<CapturedStatePtr> snapshot() override { return std::make_unique<CopiedState>(); }
  Status restore(StateReader&) override {
    shared_->restoring = true;
    while (!shared_->may_go_on) std::this_thread::yield();
    return {};
  }
  void abort() override { ++shared_->aborted; }

 private:
  const Folder& folder_;
  std::shared_ptr<Shared> shared_;
};

TEST_CASE("a job is cancelled at once while its subtasks read the state that they go on from") {
  using namespace std::chrono_literals;
  const Folder folder;
  auto shared = std::make_shared<SlowToRestore::Shared>();
  Script script;
  for (std::int64_t n = 1; n <= 1000; ++n) {
    script.push_back(make_batch(schema(), {{n}}));
    script.push_back(Pause{2ms});
  }
  GraphBuilder builder;
  builder.source("numbers", schema(), std::make_shared<ScriptedSource>(std::vector<Script>{script, script}));
  builder.transform("slow", {"numbers"},
                    std::make_shared<LambdaFactory>([&] { return std::make_unique<SlowToRestore>(folder, shared); }));
  builder.sink("out", {"slow"}, std::make_shared<TransactionalSinkFactory>(std::make_shared<OutsideWorld>(), "out"));
  builder.graph.name = "slow";
  builder.graph.settings.parallelism = 2;
  builder.graph.settings.restart.initial_delay = 1ms;
  builder.graph.settings.checkpoint =
      CheckpointSettings{.interval = 20ms, .storage = folder.path, .tolerable_failures = {}};
  auto job = LocalJob::start(std::move(builder.graph), {.slots = 2});
  REQUIRE(job);
  const auto deadline = std::chrono::steady_clock::now() + 60s;
  while (!shared->restoring && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  REQUIRE(shared->restoring);
  const int before = shared->aborted;
  (*job)->cancel();
  const auto status = (*job)->wait(10s);
  CHECK(status);
  if (status) CHECK(status->state == JobState::canceled);
  shared->may_go_on = true;
  // What was being opened is given up by whoever opened it.
  while (shared->aborted < before + 1 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  CHECK(shared->aborted > before);
}

}  // namespace dataflow
