// Barriers in one task with two input channels: what waits, what goes on, and when.
#include <doctest/doctest.h>

#include <utility>

#include "libdataflow/runtime/task.hpp"
#include "tests/support/batches.hpp"
#include "tests/support/graphs.hpp"
#include "tests/support/scripted_source.hpp"

using namespace dataflow;
using namespace dataflow::testing_support;

namespace {

const SchemaPtr schema = make_schema({{"n", TypeKind::int64}});

/// The sink task of two subtasks of a source, and what it does.
class TwoChannels final : public TaskHost {
 public:
  /// `before_sink`: an operator in front of it.
  explicit TwoChannels(const OperatorFactoryPtr& before_sink = nullptr) {
    GraphBuilder builder;
    builder.source("in", schema, std::make_shared<ScriptedSource>(std::vector<Script>(2))).parallelism = 2;
    collected_ = std::make_shared<Collected>();
    if (before_sink) builder.transform("before", {"in"}, before_sink).parallelism = 1;
    builder.sink("out", {before_sink ? "before" : "in"}, make_collect_sink(collected_)).parallelism = 1;
    builder.graph.settings.checkpoint = CheckpointSettings{.storage = {}, .tolerable_failures = {}};
    auto graph = build_job_graph(std::make_shared<const StreamGraph>(std::move(builder.graph)), 1);
    REQUIRE(graph);
    task_.emplace(std::make_shared<const JobGraph>(std::move(*graph)), Task::Identity{"job", 1, 0, 0}, *this);
    REQUIRE(task_->open({}));
    REQUIRE(task_->input_channel_count() == 2);
  }

  void give(std::size_t channel, Envelope envelope) {
    task_->receive(channel, encode(std::move(envelope)));
    run();
  }
  void record(std::size_t channel, std::int64_t n) { give(channel, make_batch(schema, {{n}})); }
  void barrier(std::size_t channel, std::uint64_t id) { give(channel, Barrier{id, {}, false}); }
  void abort(std::uint64_t id) {
    task_->abort_checkpoint(id);
    run();
  }
  [[nodiscard]] std::vector<std::int64_t> seen() const {
    std::vector<std::int64_t> all;
    for (const BatchPtr& batch : collected_->batches) {
      for (const std::int64_t n : batch->column(0).as<std::int64_t>()) all.push_back(n);
    }
    return all;
  }
  /// Of the task's last operator.
  [[nodiscard]] Timestamp watermark() const { return task_->metrics().back().watermark; }
  /// The number of records that each snapshot contains.
  std::map<std::uint64_t, std::size_t> snapshots;

 private:
  void send(std::size_t, EncodedEnvelopePtr) override {}
  void grant(std::size_t, std::size_t) override {}
  void request_split() override {}
  void snapshot(TaskSnapshot snapshot) override { snapshots[snapshot.barrier.checkpoint_id] = seen().size(); }
  void run() {
    Task::Progress::Kind kind = Task::Progress::Kind::more;
    while (kind == Task::Progress::Kind::more) {
      auto progress = task_->run({});
      REQUIRE(progress);
      kind = progress->kind;
    }
  }

  std::shared_ptr<Collected> collected_;
  std::optional<Task> task_;
};

using Numbers = std::vector<std::int64_t>;

/// Keeps all that it is given.
class Keeper final : public Operator {
 public:
  Result<Step> process(std::size_t, const BatchPtr& batch, OperatorOutput&) override {
    kept_.push_back(batch);
    return Step::done;
  }
  [[nodiscard]] bool delays_watermarks() const override { return true; }
  Result<Step> on_watermark(Timestamp watermark, OperatorOutput&) override {
    watermark_ = watermark;
    return Step::done;
  }
  Result<Step> give_kept(OperatorOutput& out) override {
    for (const BatchPtr& batch : std::exchange(kept_, {})) out.emit(batch);
    out.advance_watermark(watermark_);
    return Step::done;
  }

 private:
  std::vector<BatchPtr> kept_;
  Timestamp watermark_ = Timestamp::min();
};

OperatorFactoryPtr keeper() {
  return std::make_shared<LambdaFactory>([] { return std::make_unique<Keeper>(); });
}

}  // namespace

TEST_CASE("what comes behind a channel's barrier waits for the barriers of the others") {
  TwoChannels t;
  t.record(0, 1);
  t.barrier(0, 1);
  t.record(0, 2);
  t.record(1, 3);
  CHECK(t.seen() == Numbers{1, 3});
  CHECK(t.snapshots.empty());
  t.barrier(1, 1);
  CHECK(t.snapshots.at(1) == 2);
  CHECK(t.seen() == Numbers{1, 3, 2});
}

TEST_CASE("a checkpoint that is given up lets go on what waited for it") {
  TwoChannels t;
  t.barrier(0, 1);
  t.record(0, 1);
  CHECK(t.seen().empty());
  t.abort(1);
  CHECK(t.seen() == Numbers{1});
  t.barrier(1, 1);  // was still under way
  t.record(1, 2);
  CHECK(t.seen() == Numbers{1, 2});
  CHECK(t.snapshots.empty());
  t.barrier(0, 2);
  t.barrier(1, 2);
  CHECK(t.snapshots.at(2) == 2);
}

TEST_CASE("a newer barrier ends an alignment that will never be complete") {
  TwoChannels t;
  t.barrier(0, 1);
  t.record(0, 1);
  t.barrier(1, 2);
  CHECK(t.seen() == Numbers{1});
  t.record(1, 2);
  CHECK(t.seen() == Numbers{1});
  t.barrier(0, 2);
  CHECK(t.snapshots == std::map<std::uint64_t, std::size_t>{{2, 1}});
  CHECK(t.seen() == Numbers{1, 2});
}

TEST_CASE("a channel whose data has ended still carries barriers") {
  TwoChannels t;
  t.record(0, 1);
  t.give(0, EndOfData{true});
  t.barrier(0, 1);
  t.record(1, 2);
  CHECK(t.snapshots.empty());
  t.barrier(1, 1);
  CHECK(t.snapshots.at(1) == 2);
  t.give(1, EndOfData{true});
  t.barrier(0, 2);
  t.barrier(1, 2);
  CHECK(t.snapshots.at(2) == 2);
}

TEST_CASE("a channel that was stopped holds event time back, since its source will go on from there") {
  TwoChannels t;
  t.give(0, Watermark{Timestamp{90}});
  t.give(1, Watermark{Timestamp{80}});
  t.give(0, EndOfData{false});
  t.give(1, Watermark{Timestamp{120}});
  CHECK(t.watermark() == Timestamp{90});
  t.give(1, EndOfData{false});
  CHECK(t.watermark() == Timestamp{90});
}

TEST_CASE("a channel whose input is over holds nothing back") {
  TwoChannels t;
  t.give(0, Watermark{Timestamp{90}});
  t.give(0, EndOfData{true});
  t.give(1, Watermark{Timestamp{120}});
  CHECK(t.watermark() == Timestamp{120});
}

TEST_CASE("what an operator keeps back comes before the barrier, and its watermark with it") {
  TwoChannels t{keeper()};
  t.record(0, 1);
  t.record(1, 2);
  t.give(0, Watermark{Timestamp{90}});
  t.give(1, Watermark{Timestamp{80}});
  CHECK(t.seen().empty());
  CHECK(t.watermark() == Timestamp::min());
  t.barrier(0, 1);
  t.record(0, 3);
  CHECK(t.seen().empty());
  t.barrier(1, 1);
  CHECK(t.snapshots.at(1) == 2);
  CHECK(t.watermark() == Timestamp{80});
  t.barrier(0, 2);
  t.barrier(1, 2);
  CHECK(t.snapshots.at(2) == 3);
}

TEST_CASE("an operator that keeps something back gives it before its subtask is idle") {
  TwoChannels t{keeper()};
  t.record(0, 1);
  t.give(0, StreamStatus{true});
  CHECK(t.seen().empty());
  t.give(1, StreamStatus{true});
  CHECK(t.seen() == Numbers{1});
}
