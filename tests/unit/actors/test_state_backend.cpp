// Where a process keeps the state of its subtasks; and a job whose state lies in RocksDB, under actors: it fails, and
// goes on from the files of its checkpoint.

#include <doctest/doctest.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>

#include "actors/local_run.hpp"
#include "actors/state_home.hpp"
#include "dataflow/dataflow.hpp"
#include "tests/support/batches.hpp"
#include "tests/support/folder_walk.hpp"
#include "tests/support/graphs.hpp"
#include "tests/support/scripted_source.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/transactional_sink.hpp"

namespace dataflow {

namespace {

using namespace testing_support;

struct Number {
  std::int64_t key;
  std::int64_t n;
};
DATAFLOW_RECORD(Number, key, n)

std::atomic<int> failures{0};
std::filesystem::path checkpoints;

bool has_latest() {
  return count_files(checkpoints, "latest-") > 0;
}

/// Gives each record its number among those of its key: wrong when state is lost or records come twice.
class Numbering final : public KeyedProcess<std::int64_t, Number, Number> {
 public:
  void process(const Number& in, Context&, Output<Number>& out) override {
    count_.add(1);
    out.emit({in.key, *count_});
    if (failures > 0 && in.n > 20 && has_latest()) {
      --failures;
      throw std::runtime_error("the network is down");
    }
  }

 private:
  ReducingState<std::int64_t> count_{this, "count"};
};

OperatorFactoryPtr numbering() {
  auto plan = std::make_shared<ProcessPlan>();
  plan->key_fields = {0};
  plan->key_types = {DataType{TypeKind::int64}};
  plan->positions = {0, 1};
  plan->output = schema_of<Number>();
  plan->sides = std::make_shared<std::vector<SideOutput>>();
  return std::make_shared<ProcessFactory<Numbering>>(plan, std::tuple<>{});
}

}  // namespace

TEST_CASE("a batch with state on the heap has a place for sorted runs, a stream and a batch without state have none") {
  const TemporaryFolder folder;
  REQUIRE(::setenv(state_folder_variable, (folder / "state").c_str(), 1) == 0);
  StreamGraph job;
  job.nodes.emplace_back();
  job.settings.state.memory_bytes = 64U << 20;
  const auto opened = [&] {
    auto backend = open_state_backend(job);
    REQUIRE(backend.has_value());
    return *backend;
  };
  job.settings.mode = ExecutionMode::batch;
  CHECK(opened() == nullptr);
  job.nodes[0].stateful = true;
  {
    const StateBackendPtr backend = opened();
    REQUIRE(backend != nullptr);
    CHECK_FALSE(backend->has_stores());
    CHECK(backend->cache_bytes() == 32U << 20);
    CHECK_FALSE(backend->open(backend->new_folder()).has_value());
  }
  job.settings.mode = ExecutionMode::streaming;
  CHECK(opened() == nullptr);
  CHECK(std::filesystem::is_empty(folder / "state"));
}

TEST_CASE("a job whose state lies in RocksDB goes on from its newest checkpoint and leaves no files behind") {
  const TemporaryFolder folder;
  checkpoints = folder / "checkpoints";
  failures = 2;
  REQUIRE(::setenv(state_folder_variable, (folder / "state").c_str(), 1) == 0);
  auto world = std::make_shared<OutsideWorld>();
  constexpr std::int64_t records = 200;
  constexpr std::int64_t keys = 7;
  const SchemaPtr& schema = schema_of<Number>();
  Script script;
  for (std::int64_t n = 1; n <= records; ++n) {
    script.push_back(make_batch(schema, {{n % keys, n}}));
    script.push_back(Pause{std::chrono::milliseconds{2}});
  }
  GraphBuilder builder;
  builder.source("numbers", schema, std::make_shared<ScriptedSource>(std::vector<Script>{script}));
  StreamNode& node = builder.transform("numbering", {"numbers"}, numbering());
  node.outputs[0].schema = schema;
  node.stateful = true;
  for (StreamEdge& edge : node.inputs) {
    edge.partitioning = Partitioning::hash;
    edge.key_fields = {0};
  }
  builder.sink("out", {"numbering"}, std::make_shared<TransactionalSinkFactory>(world, "out"));
  builder.graph.name = "numbers";
  builder.graph.settings.parallelism = 1;
  builder.graph.settings.restart.initial_delay = std::chrono::milliseconds{1};
  builder.graph.settings.state.backend = StateBackendKind::rocksdb;
  builder.graph.settings.state.memory_bytes = 16U << 20;
  builder.graph.settings.checkpoint = CheckpointSettings{
      .interval = std::chrono::milliseconds{20}, .storage = checkpoints.native(), .tolerable_failures = {}};
  {
    auto job = LocalJob::start(std::move(builder.graph), {.slots = 1});
    REQUIRE_MESSAGE(job.has_value(), (job ? "" : job.error().message()));
    const auto status = (*job)->wait(std::chrono::seconds{60});
    REQUIRE(status);
    INFO((status->error ? status->error->message() : std::string{}));
    CHECK(status->state == JobState::finished);
    CHECK(status->restarts == 2);
    CHECK(status->checkpoints.completed > 0);
  }
  std::multiset<std::string> expected;
  std::map<std::int64_t, std::int64_t> counted;
  for (std::int64_t n = 1; n <= records; ++n) {
    const std::int64_t key = n % keys;
    expected.insert("out/{\"key\":" + std::to_string(key) + ",\"n\":" + std::to_string(++counted[key]) + "}");
  }
  CHECK(world->visible == expected);
  CHECK(std::filesystem::is_empty(folder / "state"));
}

}  // namespace dataflow
