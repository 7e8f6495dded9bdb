// Tasks under the single-threaded executor: what flows, in which order, and what stops it.
#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "libdataflow/runtime/local_executor.hpp"
#include "tests/support/batches.hpp"
#include "tests/support/graphs.hpp"
#include "tests/support/scripted_source.hpp"

using namespace dataflow;
using namespace dataflow::testing_support;
using namespace std::chrono_literals;

namespace {

const SchemaPtr schema = make_schema({{"k", TypeKind::int64}, {"at", TypeKind::timestamp}});

BatchPtr at_seconds(std::initializer_list<std::int64_t> seconds) {
  BatchBuilder builder{schema};
  for (const std::int64_t s : seconds) {
    builder.column(0).append_int64(s);
    builder.column(1).append_int64(s * 1'000'000);
    builder.end_row();
  }
  return builder.finish();
}

std::vector<std::int64_t> keys(const Collected& collected) {
  std::vector<std::int64_t> all;
  for (const BatchPtr& batch : collected.batches) {
    for (const std::int64_t k : batch->column(0).as<std::int64_t>()) all.push_back(k);
  }
  return all;
}

SourceFactoryPtr scripted(std::vector<Script> scripts) {
  return std::make_shared<ScriptedSource>(std::move(scripts));
}

/// Notes the watermarks it sees, in seconds, and passes records on.
class WatermarkLog final : public Operator {
 public:
  explicit WatermarkLog(std::shared_ptr<std::vector<std::int64_t>> log) : log_{std::move(log)} {}
  Result<Step> process(std::size_t, const BatchPtr& batch, OperatorOutput& out) override {
    out.emit(batch);
    return Step::done;
  }
  Result<Step> on_watermark(Timestamp watermark, OperatorOutput&) override {
    log_->push_back(watermark == Timestamp::max() ? -1 : watermark.micros / 1'000'000);
    return Step::done;
  }

 private:
  std::shared_ptr<std::vector<std::int64_t>> log_;
};

OperatorFactoryPtr watermark_log(const std::shared_ptr<std::vector<std::int64_t>>& log) {
  return std::make_shared<LambdaFactory>([log] { return std::make_unique<WatermarkLog>(log); });
}

/// Emits its input once for each of `copies`, pausing whenever the output is full.
class Repeater final : public Operator {
 public:
  explicit Repeater(int copies) : copies_{copies} {}
  Result<Step> process(std::size_t, const BatchPtr& batch, OperatorOutput& out) override {
    batch_ = batch;
    left_ = copies_;
    return resume(out);
  }
  Result<Step> resume(OperatorOutput& out) override {
    while (left_ > 0) {
      if (out.full()) return Step::yield;
      out.emit(batch_);
      --left_;
    }
    return Step::done;
  }

 private:
  int copies_;
  int left_ = 0;
  BatchPtr batch_;
};

}  // namespace

TEST_CASE("records pass a chain in order and the job ends by itself") {
  GraphBuilder b;
  b.source("in", schema, scripted({{at_seconds({1, 2}), at_seconds({3})}, {at_seconds({4})}}));
  b.transform("pass", {"in"}, pass_through());
  const auto out = b.collect("out", {"pass"});
  auto executor = LocalExecutor::create(b.graph).value();
  REQUIRE(executor->run());
  CHECK(keys(*out) == std::vector<std::int64_t>{1, 2, 3, 4});
  CHECK(executor->metrics().at("pass").records_in == 4);
}

TEST_CASE("unchained nodes give the same records through channels") {
  GraphBuilder b;
  b.source("in", schema, scripted({{at_seconds({1, 2}), at_seconds({3})}}));
  b.transform("pass", {"in"}, pass_through());
  const auto out = b.collect("out", {"pass"});
  auto executor = LocalExecutor::create(b.graph, {.chaining = Chaining::never}).value();
  REQUIRE(executor->run());
  CHECK(keys(*out) == std::vector<std::int64_t>{1, 2, 3});
}

TEST_CASE("a keyed exchange brings every record to exactly one subtask, the same one for a key") {
  std::uint32_t parallelism = 0;
  SUBCASE("of two") {
    parallelism = 2;
  }
  SUBCASE("of three") {
    parallelism = 3;
  }
  std::vector<Script> scripts(4);
  for (std::int64_t s = 0; s < 4; ++s) {
    for (std::int64_t i = 0; i < 20; ++i) scripts[static_cast<std::size_t>(s)].push_back(at_seconds({i, i + 1, i + 2}));
  }
  GraphBuilder b;
  b.source("in", schema, scripted(scripts));
  auto owners = std::make_shared<std::map<std::int64_t, std::vector<const void*>>>();
  class Owner final : public Operator {
   public:
    explicit Owner(std::shared_ptr<std::map<std::int64_t, std::vector<const void*>>> seen) : seen_{std::move(seen)} {}
    Result<Step> process(std::size_t, const BatchPtr& batch, OperatorOutput& out) override {
      for (const std::int64_t k : batch->column(0).as<std::int64_t>()) (*seen_)[k].push_back(this);
      out.emit(batch);
      return Step::done;
    }

   private:
    std::shared_ptr<std::map<std::int64_t, std::vector<const void*>>> seen_;
  };
  auto& keyed = b.transform("keyed", {"in"},
                            std::make_shared<LambdaFactory>([owners] { return std::make_unique<Owner>(owners); }));
  keyed.inputs[0].partitioning = Partitioning::hash;
  keyed.inputs[0].key_fields = {0};
  const auto out = b.collect("out", {"keyed"});
  auto executor = LocalExecutor::create(b.graph, {.parallelism = parallelism}).value();
  REQUIRE(executor->run());
  CHECK(keys(*out).size() == 240);
  std::set<const void*> subtasks;
  for (const auto& [key, seen_by] : *owners) {
    subtasks.insert(seen_by.front());
    CHECK(std::all_of(seen_by.begin(), seen_by.end(), [&](const void* o) { return o == seen_by.front(); }));
  }
  CHECK(subtasks.size() == parallelism);
}

TEST_CASE("the watermark trails the newest record by the out-of-orderness and ends beyond all time") {
  GraphBuilder b;
  b.source("in", schema, scripted({{at_seconds({10}), at_seconds({5}), at_seconds({20})}}),
           EventTimeSpec{.field = 1, .out_of_orderness = 3s, .idle_after = {}});
  const auto log = std::make_shared<std::vector<std::int64_t>>();
  b.transform("log", {"in"}, watermark_log(log));
  b.collect("out", {"log"});
  REQUIRE(LocalExecutor::create(b.graph).value()->run());
  CHECK(*log == std::vector<std::int64_t>{6, 16, -1});  // a microsecond below 7 s and 17 s
}

TEST_CASE("a union's time is that of its slower input") {
  GraphBuilder b;
  const EventTimeSpec by_at{.field = 1, .out_of_orderness = 0s, .idle_after = {}};
  b.source("fast", schema, scripted({{at_seconds({100})}}), by_at);
  b.source("slow", schema, scripted({{at_seconds({10}), Pause{1min}, at_seconds({20}), Pause{1min}}}), by_at);
  const auto log = std::make_shared<std::vector<std::int64_t>>();
  b.transform("log", {"fast", "slow"}, watermark_log(log));
  b.collect("out", {"log"});
  REQUIRE(LocalExecutor::create(b.graph).value()->run());
  CHECK(*log == std::vector<std::int64_t>{9, 19, -1});
}

TEST_CASE("a silent source stops holding time back after idle_after") {
  GraphBuilder b;
  const EventTimeSpec by_at{.field = 1, .out_of_orderness = 0s, .idle_after = 30s};
  b.source("fast", schema, scripted({{at_seconds({100}), Pause{50s}, at_seconds({200}), Pause{1h}}}), by_at);
  b.source("silent", schema, scripted({{at_seconds({10}), Pause{10min}, at_seconds({20})}}), by_at);
  const auto log = std::make_shared<std::vector<std::int64_t>>();
  b.transform("log", {"fast", "silent"}, watermark_log(log));
  const auto out = b.collect("out", {"log"});
  REQUIRE(LocalExecutor::create(b.graph).value()->run());
  REQUIRE(log->size() >= 3);
  CHECK((*log)[0] == 9);
  CHECK(std::find(log->begin(), log->end(), 199) != log->end());
  CHECK(log->back() == -1);
  CHECK(keys(*out).size() == 4);
}

TEST_CASE("a rate limit spreads records over time") {
  GraphBuilder b;
  Script script;
  for (int i = 0; i < 100; ++i) script.push_back(at_seconds({i}));
  b.source("in", schema, scripted({script})).source->rate_limit_per_second = 10;
  b.collect("out", {"in"});
  auto executor = LocalExecutor::create(b.graph).value();
  REQUIRE(executor->run());
  CHECK(executor->now() >= Timestamp{9s});
  CHECK(executor->now() <= Timestamp{11s});
}

TEST_CASE("a record without event time is an error that names the field") {
  GraphBuilder b;
  const BatchPtr batch = make_batch(schema, {{1, nullptr}, {2, Timestamp{5s}}});
  auto& source = b.source("in", schema, scripted({{batch}}), EventTimeSpec{.field = 1});
  SUBCASE("fail") {
    b.collect("out", {"in"});
    const auto status = LocalExecutor::create(b.graph).value()->run();
    REQUIRE_FALSE(status);
    CHECK(status.error().code() == ErrorCode::malformed_data);
    CHECK(
        status.error().message() ==
        "\"in\": split-0, step 1: the event time field \"at\" is NULL; on_error = \"skip\" or \"side_output\" goes on "
        "after such records");
  }
  SUBCASE("skip") {
    source.source->on_error = ErrorPolicy::skip;
    const auto out = b.collect("out", {"in"});
    auto executor = LocalExecutor::create(b.graph).value();
    REQUIRE(executor->run());
    CHECK(keys(*out) == std::vector<std::int64_t>{2});
    CHECK(executor->metrics().at("in").counters.at("errors") == 1);
  }
  SUBCASE("side output") {
    source.source->on_error = ErrorPolicy::side_output;
    source.outputs.push_back({.name = "errors", .schema = source_error_schema()});
    const auto errors = b.collect("errors", {"in"});
    b.graph.nodes.back().inputs[0].output = 1;
    REQUIRE(LocalExecutor::create(b.graph).value()->run());
    REQUIRE(errors->batches.size() == 1);
    CHECK(rows_of(*errors->batches[0]) ==
          rows({{"{\"k\":1,\"at\":null}", "the event time field \"at\" is NULL", "split-0, step 1"}}));
  }
}

TEST_CASE("an operator that pauses when the output is full loses nothing") {
  GraphBuilder b;
  std::vector<std::int64_t> many(4000, 7);
  BatchBuilder big{schema};
  for (int i = 0; i < 4000; ++i) {
    big.column(0).append_int64(7);
    big.column(1).append_int64(0);
    big.end_row();
  }
  b.source("in", schema, scripted({{big.finish()}}));
  b.transform("repeat", {"in"}, std::make_shared<LambdaFactory>([] { return std::make_unique<Repeater>(100); }));
  const auto out = b.collect("out", {"repeat"});
  auto executor = LocalExecutor::create(b.graph, {.chaining = Chaining::never}).value();
  REQUIRE(executor->run());
  CHECK(keys(*out).size() == 400'000);
}

TEST_CASE("an exception in user code names the operator and what was thrown") {
  GraphBuilder b;
  b.source("in", schema, scripted({{at_seconds({1})}}));
  b.transform("mine", {"in"}, lambda_operator([](const BatchPtr&, OperatorOutput&) -> Result<Step> {
                throw std::runtime_error("boom");
              }));
  b.collect("out", {"mine"});
  const auto status = LocalExecutor::create(b.graph).value()->run();
  REQUIRE_FALSE(status);
  CHECK(status.error().code() == ErrorCode::user_code);
  CHECK(status.error().message() == "\"mine\", before split-0, step 1: an exception was thrown: boom");
}

TEST_CASE("an endless job is stopped and drained when virtual time is over") {
  GraphBuilder b;
  b.source("in", schema, std::make_shared<ScriptedSource>(std::vector<Script>{{at_seconds({1}), Pause{1s}}}, false),
           EventTimeSpec{.field = 1});
  const auto log = std::make_shared<std::vector<std::int64_t>>();
  b.transform("log", {"in"}, watermark_log(log));
  const auto out = b.collect("out", {"log"});
  auto executor = LocalExecutor::create(b.graph).value();
  const auto status = executor->run(Timestamp{10s});
  CAPTURE(status ? std::string{} : status.error().message());
  REQUIRE(status);
  CHECK(keys(*out).size() == 10);
  CHECK(log->back() == -1);
}
