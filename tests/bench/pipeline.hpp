#pragma once
// A pipeline to be measured: a source that replays batches made beforehand, operators in a row, and a sink that counts.
// Nothing is computed but what the operators compute, so that a benchmark measures them and the Task around them.

#include <cassert>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "actors/local_run.hpp"
#include "libdataflow/graph/stream_graph.hpp"
#include "libdataflow/runtime/local_executor.hpp"

namespace dataflow::bench {

/// Ends the program with the error; a benchmark that goes wrong has no number.
inline void require(const Status& status) {
  if (status) return;
  std::fprintf(stderr, "%s\n", status.error().message().c_str());
  std::abort();
}

/// Emits `batches` in order, `passes` times over.
class ReplaySource final : public SourceFactory {
 public:
  ReplaySource(std::shared_ptr<const std::vector<BatchPtr>> batches, std::size_t passes)
      : batches_{std::move(batches)}, passes_{passes} {}

  [[nodiscard]] std::unique_ptr<SplitEnumerator> create_enumerator() const override {
    return std::make_unique<OneSplit>();
  }
  [[nodiscard]] std::unique_ptr<SourceReader> create_reader() const override {
    return std::make_unique<Reader>(batches_, passes_);
  }
  [[nodiscard]] bool bounded() const override { return true; }
  [[nodiscard]] std::optional<std::uint32_t> max_readers() const override { return 1; }
  /// As a file's decoder does, leaves out what nobody reads.
  [[nodiscard]] std::shared_ptr<const SourceFactory> reading(const std::vector<bool>& fields) const override {
    auto pruned = std::make_shared<std::vector<BatchPtr>>();
    for (const BatchPtr& batch : *batches_) {
      std::vector<ColumnPtr> columns = batch->columns();
      for (std::size_t i = 0; i < columns.size(); ++i) {
        if (!fields[i]) columns[i] = unread_column(columns[i]->type, batch->rows());
      }
      pruned->push_back(batch->with_columns(batch->schema(), std::move(columns)));
    }
    return std::make_shared<ReplaySource>(std::move(pruned), passes_);
  }

 private:
  class OneSplit final : public SplitEnumerator {
   public:
    Status open(std::uint32_t /*parallelism*/) override { return {}; }
    Result<Next> next(std::uint32_t /*subtask*/, Timestamp /*now*/) override {
      if (std::exchange(given_, true)) return Next{};
      return Next{.kind = Next::Kind::split, .split = {.id = "replay", .description = {}}};
    }

   private:
    bool given_ = false;
  };

  class Reader final : public SourceReader {
   public:
    Reader(std::shared_ptr<const std::vector<BatchPtr>> batches, std::size_t passes)
        : batches_{std::move(batches)}, left_{passes * batches_->size()} {}
    Status start_split(const Split& /*split*/) override { return {}; }
    Result<SourceStep> poll(SourceOutput& out) override {
      if (left_ == 0) return SourceStep{.kind = SourceStep::Kind::split_end};
      out.emit((*batches_)[at_], "replay");
      at_ = at_ + 1 == batches_->size() ? 0 : at_ + 1;
      --left_;
      return SourceStep{};
    }
    [[nodiscard]] std::string position() const override { return "batch " + std::to_string(at_); }

   private:
    std::shared_ptr<const std::vector<BatchPtr>> batches_;
    std::size_t at_ = 0;
    std::size_t left_;
  };

  std::shared_ptr<const std::vector<BatchPtr>> batches_;
  std::size_t passes_;
};

/// What a counting sink has seen.
struct Count {
  std::uint64_t rows = 0;
};

class CountSink final : public OperatorFactory {
 public:
  explicit CountSink(std::shared_ptr<Count> count) : count_{std::move(count)} {}
  [[nodiscard]] std::unique_ptr<Operator> create() const override { return std::make_unique<Sink>(count_); }

 private:
  class Sink final : public Operator {
   public:
    explicit Sink(std::shared_ptr<Count> count) : count_{std::move(count)} {}
    Result<Step> process(std::size_t /*input*/, const BatchPtr& batch, OperatorOutput& /*out*/) override {
      count_->rows += batch->rows();
      return Step::done;
    }

   private:
    std::shared_ptr<Count> count_;
  };

  std::shared_ptr<Count> count_;
};

/// source -> operators -> counting sink, each node reading the one before.
class Pipeline {
 public:
  Pipeline(SchemaPtr schema, std::shared_ptr<const std::vector<BatchPtr>> batches, std::size_t passes,
           std::optional<EventTimeSpec> event_time = std::nullopt)
      : Pipeline{std::move(schema), std::make_shared<ReplaySource>(std::move(batches), passes), std::move(event_time)} {
  }
  Pipeline(SchemaPtr schema, SourceFactoryPtr factory, std::optional<EventTimeSpec> event_time = std::nullopt) {
    graph_.name = "bench";
    graph_.settings.parallelism = 1;
    graph_.settings.restart.strategy = RestartSettings::Strategy::none;
    StreamNode& source = add("source", "replay");
    source.source = SourceSpec{.factory = std::move(factory),
                               .event_time = event_time,
                               .on_error = ErrorPolicy::fail,
                               .rate_limit_per_second = std::nullopt};
    source.outputs = {{.name = {}, .schema = std::move(schema), .event_time = event_time.has_value()}};
  }

  SourceSpec& source() { return *graph_.nodes.front().source; }

  Pipeline& then(std::string name, OperatorFactoryPtr factory, SchemaPtr output, bool event_time = false) {
    StreamNode& node = add(std::move(name), "operator");
    node.factory = std::move(factory);
    node.outputs = {{.name = {}, .schema = std::move(output), .event_time = event_time}};
    return *this;
  }

  /// The first operator reads a channel instead of being called by the source: it has a second, empty input, and a
  /// union is never chained.
  Pipeline& apart_from_source() {
    StreamNode& empty = add("empty", "replay");
    empty.inputs.clear();
    empty.source = graph_.nodes[0].source;
    empty.source->factory = std::make_shared<ReplaySource>(std::make_shared<const std::vector<BatchPtr>>(), 0);
    empty.outputs = graph_.nodes[0].outputs;
    return *this;
  }

  /// The graph with its sink; the pipeline is empty afterwards.
  StreamGraph finish() { return finish(std::make_shared<CountSink>(count_)); }
  StreamGraph finish(OperatorFactoryPtr sink) {
    add("sink", "sink").factory = std::move(sink);
    return std::move(graph_);
  }
  /// Rows that reached the sink, to be read after the run.
  [[nodiscard]] const std::shared_ptr<Count>& count() const { return count_; }

 private:
  StreamNode& add(std::string name, std::string type) {
    const auto id = static_cast<NodeId>(graph_.nodes.size());
    StreamNode& node = graph_.nodes.emplace_back();
    node.id = id;
    node.name = name;
    node.uid = std::move(name);
    node.type = std::move(type);
    if (id > 0) node.inputs = {edge_from(id - 1)};
    if (id > 1 && graph_.nodes[id - 1].name == "empty") node.inputs.push_back(edge_from(0));
    return node;
  }

  static StreamEdge edge_from(NodeId from) {
    StreamEdge edge;
    edge.from = from;
    return edge;
  }

  StreamGraph graph_;
  std::shared_ptr<Count> count_ = std::make_shared<Count>();
};

/// Runs the whole pipeline, chained into one Task, in the calling thread.
inline void run_in_task(StreamGraph graph) {
  auto executor = LocalExecutor::create(std::move(graph));
  if (!executor) require(fail(executor.error()));
  require((*executor)->run());
}

/// Runs the pipeline as a job under the actors, in their threads.
inline void run_in_actors(StreamGraph graph, Chaining chaining = Chaining::where_possible) {
  auto job = LocalJob::start(std::move(graph), {.slots = 1, .chaining = chaining});
  if (!job) require(fail(job.error()));
  for (;;) {
    const auto status = (*job)->wait(std::chrono::seconds{60});
    if (!status) continue;
    if (status->error) require(fail(*status->error));
    return;
  }
}

}  // namespace dataflow::bench
