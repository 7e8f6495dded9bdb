#pragma once
// One node of a task's chain: its operator (or source), what waits for it, and where its results go.

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "libdataflow/graph/job_graph.hpp"
#include "libdataflow/operators/operator.hpp"
#include "libdataflow/runtime/crash_site.hpp"
#include "libdataflow/runtime/output_edge.hpp"
#include "libdataflow/sources/source_driver.hpp"
#include "serialization/envelope.hpp"

namespace dataflow {

/// A task's identity and clock, seen by all its stages.
struct TaskScope {
  JobGraphPtr graph;
  std::string job_id;
  std::uint32_t vertex = 0;
  std::uint32_t subtask = 0;
  std::uint32_t attempt = 0;
  Timestamp now{};
  TaskHost* host = nullptr;
};

/// What flows from stage to stage; the order is kept.
struct StageInput {
  std::variant<BatchPtr, Watermark, StreamStatus, EndOfData> event;
  std::size_t input = 0;
  /// Of an EndOfData: only `input` has ended, not all of them.
  bool of_one_input = false;
};

/// Numbers of one node in one subtask.
struct NodeMetrics {
  NodeId node = 0;
  std::uint64_t records_in = 0;
  std::uint64_t records_out = 0;  ///< over all outputs
  Timestamp watermark = Timestamp::min();
  std::map<std::string, std::uint64_t> counters;  ///< "late", "errors", "filtered", ...
  /// Of an operator: see Operator::waits_for; max: nothing waits.
  Timestamp waits_for = Timestamp::max();
  // Of a source with event time:
  Timestamp newest = Timestamp::min();  ///< event time that it has read; min: none
  std::string split;                    ///< that it reads; empty: none at present
  bool idle = false;                    ///< it is so silent that it holds no watermark back

  /// Adds another subtask's numbers; the watermark is the lesser one. Of the last four nothing is kept.
  void add(const NodeMetrics& other);
};

class Stage final : public OperatorOutput, public OperatorContext {
 public:
  Stage(const StreamNode& node, const TaskScope& scope);

  // Wiring, before open.
  void connect(std::size_t output, Stage& next) { links_[output].stages.push_back(&next); }
  void connect(std::size_t output, OutputEdge& edge) { links_[output].edges.push_back(&edge); }

  Status open();
  /// Takes one event behind those that wait.
  void push(StageInput input) { inbox_.push_back(std::move(input)); }

  /// There is something to do and room for what comes of it.
  [[nodiscard]] bool runnable() const { return (yielded_ || can_take_next()) && !full(); }
  /// Nothing waits and nothing is unfinished.
  [[nodiscard]] bool settled() const { return !yielded_ && inbox_.empty(); }
  [[nodiscard]] bool ended() const { return ended_; }
  /// So much waits that the feeder should pause.
  [[nodiscard]] bool crowded() const { return inbox_.size() >= 2 || yielded_; }
  /// One event, or one continuation of an event. Call only when runnable.
  Status step();
  /// Processing-time timers that are due; call only when settled or when the operator has not yielded.
  Status fire_processing_timers();
  [[nodiscard]] std::optional<Timestamp> next_processing_timer() const;

  /// Sends a control event to everything behind this stage.
  void forward(const std::variant<BatchPtr, Watermark, StreamStatus, EndOfData>& event);
  /// For a source stage: notes what its driver reports, and hands it on.
  void end(EndOfData how);

  // The operator's part of a commit; nothing for a source.
  Status pre_commit(std::uint64_t epoch);
  Status commit(std::uint64_t epoch);
  Status close();

  /// Has the operator give what it keeps back, when the chain has settled.
  Status give_kept();
  /// The synchronous part of a checkpoint, when the chain has settled. `of_source`: what a source stage's driver gives.
  Result<CapturedStatePtr> snapshot(CapturedStatePtr of_source = nullptr);
  /// After open. A source's driver restores itself.
  Status restore(StateReader& state);
  /// After a restore: tells the channels behind this stage how far time was.
  void resend_watermark();

  [[nodiscard]] const StreamNode& node() const { return node_; }
  [[nodiscard]] const std::string& uid() const { return node_.state_id(); }
  [[nodiscard]] Operator* op() { return operator_.get(); }
  [[nodiscard]] NodeMetrics metrics() const;
  /// For the report of a crash in this node's code.
  [[nodiscard]] CrashSite crash_site_here() const;

  // Output, for this stage's operator.
  void emit(BatchPtr batch, std::size_t output) override;
  [[nodiscard]] bool full() const override;
  void advance_watermark(Timestamp watermark) override;
  void set_idle(bool idle) override { forward(StreamStatus{idle}); }

  // OperatorContext.
  [[nodiscard]] const std::string& operator_name() const override { return node_.name; }
  [[nodiscard]] std::uint32_t subtask() const override { return scope_.subtask; }
  [[nodiscard]] std::uint32_t parallelism() const override;
  [[nodiscard]] std::uint32_t max_parallelism() const override { return scope_.graph->max_parallelism; }
  [[nodiscard]] std::uint32_t attempt() const override { return scope_.attempt; }
  [[nodiscard]] const std::string& job_id() const override { return scope_.job_id; }
  [[nodiscard]] Timestamp now() const override { return scope_.now; }
  [[nodiscard]] std::shared_ptr<StateBackend> state_backend() const override;
  [[nodiscard]] std::shared_ptr<StateBackend> spill_backend() const override;
  [[nodiscard]] Timestamp watermark() const override { return watermark_; }
  Counter& counter(std::string_view name) override;

 private:
  struct Links {
    std::vector<Stage*> stages;
    std::vector<OutputEdge*> edges;
  };

  [[nodiscard]] bool can_take_next() const;
  Result<Step> begin(StageInput& input);
  void complete();

  const StreamNode& node_;
  const TaskScope& scope_;
  std::unique_ptr<Operator> operator_;  ///< null for a source
  std::vector<Links> links_;            ///< by output
  std::deque<StageInput> inbox_;
  bool yielded_ = false;
  bool ended_ = false;
  /// The control event that goes on once the operator is done with it.
  std::optional<std::variant<BatchPtr, Watermark, StreamStatus, EndOfData>> to_forward_;
  Timestamp watermark_ = Timestamp::min();
  std::uint64_t records_in_ = 0;
  std::uint64_t records_out_ = 0;
  std::map<std::string, Counter, std::less<>> counters_;  ///< a map: operators hold references
};

}  // namespace dataflow
