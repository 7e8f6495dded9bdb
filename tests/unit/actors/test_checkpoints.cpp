// Checkpoints under actors: a job that fails in the middle goes on from its newest one.

#include <doctest/doctest.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "actors/local_run.hpp"
#include "tests/support/batches.hpp"
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
  [[nodiscard]] std::size_t count(const std::string& prefix) const {
    std::size_t n = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator{path}) {
      n += entry.path().filename().native().starts_with(prefix) ? 1 : 0;
    }
    return n;
  }
  std::string path;
};

/// Counts records and gives each its number: wrong when state is lost or records come twice.
class Numbering final : public Operator {
 public:
  Numbering(const Folder& folder, std::shared_ptr<std::atomic<int>> failures)
      : folder_{folder}, failures_{std::move(failures)} {}
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
    return state.read("count", schema(), [this](std::uint32_t, const BatchPtr& rows) -> Status {
      count_ = rows->column(0).as<std::int64_t>()[0];
      return {};
    });
  }

 private:
  const Folder& folder_;
  std::shared_ptr<std::atomic<int>> failures_;
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

}  // namespace dataflow
