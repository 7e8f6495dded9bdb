// A task whose operator does not take one of its inputs until the other has ended: what waits, and what does not.
#include <doctest/doctest.h>

#include "libdataflow/runtime/task.hpp"
#include "tests/support/batches.hpp"
#include "tests/support/graphs.hpp"
#include "tests/support/scripted_source.hpp"

using namespace dataflow;
using namespace dataflow::testing_support;

namespace {

const SchemaPtr schema = make_schema({{"n", TypeKind::int64}, {"text", TypeKind::string}});
constexpr std::size_t stream = 0;
constexpr std::size_t table = 1;

/// What the operator has been told, a letter each: s a row of the stream, t of the table, w a watermark, T the end of
/// the table, S of the stream, E of all.
std::string told;

/// Takes the stream when the table has ended.
class Patient final : public Operator {
 public:
  Result<Step> process(std::size_t input, const BatchPtr&, OperatorOutput&) override {
    told += input == stream ? 's' : 't';
    return Step::done;
  }
  Result<Step> on_watermark(Timestamp, OperatorOutput&) override {
    told += 'w';
    return Step::done;
  }
  Result<Step> end_of_input(std::size_t input, OperatorOutput&) override {
    told += input == stream ? 'S' : 'T';
    complete_ = complete_ || input == table;
    return Step::done;
  }
  Result<Step> end_of_data(OperatorOutput&) override {
    told += 'E';
    return Step::done;
  }
  [[nodiscard]] bool takes(std::size_t input) const override { return input == table || complete_; }

 private:
  bool complete_ = false;
};

class TwoInputs final : public TaskHost {
 public:
  TwoInputs() {
    told.clear();
    GraphBuilder builder;
    builder.source("stream", schema, std::make_shared<ScriptedSource>(std::vector<Script>(1))).parallelism = 1;
    builder.source("table", schema, std::make_shared<ScriptedSource>(std::vector<Script>(1))).parallelism = 1;
    StreamNode& node = builder.sink("patient", {"stream", "table"},
                                    std::make_shared<LambdaFactory>([] { return std::make_unique<Patient>(); }));
    node.inputs[1].input = table;
    node.parallelism = 1;
    builder.graph.settings.checkpoint = CheckpointSettings{.storage = {}, .tolerable_failures = {}};
    auto graph = build_job_graph(std::make_shared<const StreamGraph>(std::move(builder.graph)), 1);
    REQUIRE(graph);
    task_.emplace(std::make_shared<const JobGraph>(std::move(*graph)), Task::Identity{"job", 2, 0, 0}, *this);
    REQUIRE(task_->open({}));
    REQUIRE(task_->input_channel_count() == 2);
  }

  void give(std::size_t input, Envelope envelope) {
    task_->receive(input, encode(std::move(envelope)));
    run();
  }
  /// More than half of what a channel may have under way.
  void large_row(std::size_t input) {
    give(input, make_batch(schema, {{1, std::string(channel_window_bytes * 3 / 4, 'x')}}));
  }
  void row(std::size_t input) { give(input, make_batch(schema, {{1, "x"}})); }

  std::size_t granted[2] = {0, 0};
  std::size_t snapshots = 0;

 private:
  void send(std::size_t, EncodedEnvelopePtr) override {}
  void grant(std::size_t channel, std::size_t bytes) override { granted[channel] += bytes; }
  void request_split() override {}
  void snapshot(TaskSnapshot) override { ++snapshots; }
  void run() {
    Task::Progress::Kind kind = Task::Progress::Kind::more;
    while (kind == Task::Progress::Kind::more) {
      auto progress = task_->run({});
      REQUIRE(progress);
      kind = progress->kind;
    }
  }

  std::optional<Task> task_;
};

}  // namespace

TEST_CASE("an input that is not taken gets no credit, but what was under way is given to the operator") {
  TwoInputs t;
  t.large_row(stream);
  CHECK(told == "s");
  CHECK(t.granted[stream] == 0);
  t.large_row(table);
  CHECK(t.granted[table] > 0);
  t.give(table, EndOfData{true});
  CHECK(told == "stT");
  CHECK(t.granted[stream] > channel_window_bytes / 2);
}

TEST_CASE("watermarks and the end of an input that is not taken wait behind its rows") {
  TwoInputs t;
  t.give(table, Watermark{Timestamp{50}});
  t.row(stream);
  t.give(stream, Watermark{Timestamp{10}});
  t.give(stream, Watermark{Timestamp{20}});
  t.give(stream, EndOfData{true});
  CHECK(told == "s");
  t.give(table, EndOfData{true});
  CHECK(told == "sTwSE");
}

TEST_CASE("a barrier passes an input that is not taken, and credit brings it when it is behind rows") {
  TwoInputs t;
  t.large_row(stream);
  CHECK(t.granted[stream] == 0);
  t.give(table, Barrier{1, {}, false});
  CHECK(t.granted[stream] > 0);
  t.row(table);  // behind the barrier
  CHECK(told == "s");
  t.give(stream, Barrier{1, {}, false});
  CHECK(t.snapshots == 1);
  CHECK(told == "st");
}

TEST_CASE("when all sources were stopped nothing waits any more, and no input counts as read to its end") {
  TwoInputs t;
  t.row(stream);
  t.give(stream, Watermark{Timestamp{10}});
  t.give(stream, EndOfData{false});
  CHECK(told == "s");
  t.give(table, EndOfData{false});
  CHECK(told == "sE");
}
