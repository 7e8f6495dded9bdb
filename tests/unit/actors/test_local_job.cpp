// Jobs under the real actors, in this process.
#include <doctest/doctest.h>

#include <atomic>
#include <mutex>
#include <numeric>

#include "actors/local_run.hpp"
#include "tests/support/batches.hpp"
#include "tests/support/graphs.hpp"
#include "tests/support/scripted_source.hpp"

using namespace dataflow;
using namespace dataflow::testing_support;
using namespace std::chrono_literals;

namespace {

const SchemaPtr schema = make_schema({{"k", TypeKind::int64}});
constexpr Duration deadline = 30s;

BatchPtr numbers(std::int64_t from, std::int64_t to) {
  BatchBuilder builder{schema};
  for (std::int64_t i = from; i < to; ++i) {
    builder.column(0).append_int64(i);
    builder.end_row();
  }
  return builder.finish();
}

/// Adds up what all subtasks receive.
OperatorFactoryPtr summing_sink(const std::shared_ptr<std::atomic<std::int64_t>>& sum) {
  return lambda_operator([sum](const BatchPtr& batch, OperatorOutput&) -> Result<Step> {
    const auto values = batch->column(0).as<std::int64_t>();
    *sum += std::accumulate(values.begin(), values.end(), std::int64_t{0});
    return Step::done;
  });
}

std::vector<Script> many_splits(int splits, int batches) {
  std::vector<Script> scripts;
  for (int s = 0; s < splits; ++s) {
    Script script;
    for (int i = 0; i < batches; ++i) script.push_back(numbers(0, 100));
    scripts.push_back(std::move(script));
  }
  return scripts;
}

}  // namespace

TEST_CASE("a job with a keyed exchange between parallel subtasks finishes with every record") {
  GraphBuilder b;
  b.source("in", schema, std::make_shared<ScriptedSource>(many_splits(8, 50)));
  auto& keyed = b.transform("keyed", {"in"}, pass_through());
  keyed.inputs[0].partitioning = Partitioning::hash;
  keyed.inputs[0].key_fields = {0};
  const auto sum = std::make_shared<std::atomic<std::int64_t>>(0);
  b.sink("out", {"keyed"}, summing_sink(sum));
  auto job = LocalJob::start(b.graph, {.slots = 3});
  REQUIRE(job);
  const auto end = (*job)->wait(deadline);
  REQUIRE(end);
  CHECK(end->state == JobState::finished);
  CHECK(*sum == 8 * 50 * 4950);
  CHECK(end->nodes.at("in").records_out == 40'000);
  CHECK(end->nodes.at("out").records_in == 40'000);
}

TEST_CASE("a subtask that throws restarts the job, which then finishes") {
  GraphBuilder b;
  b.source("in", schema, std::make_shared<ScriptedSource>(many_splits(2, 3)));
  const auto thrown = std::make_shared<std::atomic<int>>(0);
  b.transform("mine", {"in"}, lambda_operator([thrown](const BatchPtr& batch, OperatorOutput& out) -> Result<Step> {
                if (thrown->fetch_add(1) == 0) throw std::runtime_error("only once");
                out.emit(batch);
                return Step::done;
              }));
  const auto sum = std::make_shared<std::atomic<std::int64_t>>(0);
  b.sink("out", {"mine"}, summing_sink(sum));
  auto job = LocalJob::start(b.graph, {.slots = 2});
  REQUIRE(job);
  const auto end = (*job)->wait(deadline);
  REQUIRE(end);
  CHECK(end->state == JobState::finished);
  CHECK(end->restarts == 1);
  REQUIRE(end->failures.size() == 1);
  CHECK(end->failures[0].message.find("an exception was thrown: only once") != std::string::npos);
}

TEST_CASE("of two pipelines in one job only the one that fails begins again, and both commit") {
  GraphBuilder b;
  const auto thrown = std::make_shared<std::atomic<int>>(0);
  const auto made = std::make_shared<std::atomic<int>>(0);
  b.source("steady", schema, std::make_shared<ScriptedSource>(many_splits(2, 3)));
  b.transform("counted", {"steady"}, std::make_shared<LambdaFactory>([made] {
                ++*made;
                return std::make_unique<LambdaOperator>([](const BatchPtr& batch, OperatorOutput& out) -> Result<Step> {
                  out.emit(batch);
                  return Step::done;
                });
              }));
  const auto steady_sum = std::make_shared<std::atomic<std::int64_t>>(0);
  b.sink("steady_out", {"counted"}, summing_sink(steady_sum));
  b.source("shaky", schema, std::make_shared<ScriptedSource>(many_splits(2, 3)));
  b.transform("mine", {"shaky"}, lambda_operator([thrown](const BatchPtr& batch, OperatorOutput& out) -> Result<Step> {
                if (thrown->fetch_add(1) == 0) throw std::runtime_error("only once");
                out.emit(batch);
                return Step::done;
              }));
  b.collect("shaky_out", {"mine"});
  auto job = LocalJob::start(b.graph, {.slots = 2});
  REQUIRE(job);
  const auto end = (*job)->wait(deadline);
  REQUIRE(end);
  CHECK(end->state == JobState::finished);
  CHECK(end->restarts == 1);
  CHECK(*made == 2);  // one for each subtask: its first attempt was its only one
  CHECK(*steady_sum == 2 * 3 * 4950);
  CHECK(end->nodes.at("shaky_out").records_in == 600);
}

TEST_CASE("a job that fails says which operator, which subtask, where and why") {
  GraphBuilder b;
  b.graph.settings.restart.strategy = RestartSettings::Strategy::none;
  b.source("in", schema, std::make_shared<ScriptedSource>(many_splits(1, 3)));
  b.transform("mine", {"in"}, lambda_operator([](const BatchPtr&, OperatorOutput&) -> Result<Step> {
                throw std::runtime_error("boom");
              }));
  b.collect("out", {"mine"});
  auto job = LocalJob::start(b.graph, {.slots = 1});
  REQUIRE(job);
  const auto end = (*job)->wait(deadline);
  REQUIRE(end);
  CHECK(end->state == JobState::failed);
  REQUIRE(end->error);
  CHECK(end->error->message() == "\"mine\", before split-0, step 1: an exception was thrown: boom");
}

TEST_CASE("an endless job is stopped, and what was in flight arrives") {
  GraphBuilder b;
  b.source("in", schema, std::make_shared<ScriptedSource>(std::vector<Script>{{numbers(0, 100), Pause{1ms}}}, false));
  const auto sum = std::make_shared<std::atomic<std::int64_t>>(0);
  b.sink("out", {"in"}, summing_sink(sum));
  auto job = LocalJob::start(b.graph, {.slots = 2, .chaining = Chaining::never});
  REQUIRE(job);
  CHECK_FALSE((*job)->wait(50ms));
  (*job)->stop(EndOfData{.drain = false});
  const auto end = (*job)->wait(deadline);
  REQUIRE(end);
  CHECK(end->state == JobState::finished);
  CHECK(end->nodes.at("in").records_out == end->nodes.at("out").records_in);
  CHECK(*sum == static_cast<std::int64_t>(end->nodes.at("in").records_out) / 100 * 4950);
}

TEST_CASE("a cancelled job ends as canceled and aborts its operators") {
  class Aborting final : public Operator {
   public:
    Aborting(std::shared_ptr<std::atomic<int>> opened, std::shared_ptr<std::atomic<int>> aborted)
        : opened_{std::move(opened)}, aborted_{std::move(aborted)} {}
    Status open(OperatorContext&) override {
      ++*opened_;
      return {};
    }
    Result<Step> process(std::size_t, const BatchPtr&, OperatorOutput&) override { return Step::done; }
    void abort() override { ++*aborted_; }

   private:
    std::shared_ptr<std::atomic<int>> opened_;
    std::shared_ptr<std::atomic<int>> aborted_;
  };
  GraphBuilder b;
  b.source("in", schema, std::make_shared<ScriptedSource>(std::vector<Script>{{numbers(0, 100), Pause{1ms}}}, false));
  const auto opened = std::make_shared<std::atomic<int>>(0);
  const auto aborted = std::make_shared<std::atomic<int>>(0);
  b.sink("out", {"in"},
         std::make_shared<LambdaFactory>([opened, aborted] { return std::make_unique<Aborting>(opened, aborted); }));
  auto job = LocalJob::start(b.graph, {.slots = 2});
  REQUIRE(job);
  while (*opened < 2 && !(*job)->wait(1ms)) {
  }
  CHECK(*opened == 2);
  (*job)->cancel();
  const auto end = (*job)->wait(deadline);
  REQUIRE(end);
  CHECK(end->state == JobState::canceled);
  CHECK(*aborted == 2);
}

TEST_CASE("a job that needs more slots than there are is refused with the numbers") {
  GraphBuilder b;
  b.source("in", schema, std::make_shared<ScriptedSource>(many_splits(1, 1))).parallelism = 5;
  b.collect("out", {"in"});
  auto job = LocalJob::start(b.graph, {.slots = 2});
  REQUIRE(job);
  const auto end = (*job)->wait(deadline);
  REQUIRE(end);
  CHECK(end->state == JobState::failed);
  CHECK(end->error->message() == "the job needs 5 slots, 2 exist; give it 3 more, or a smaller parallelism");
}
