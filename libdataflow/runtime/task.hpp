#pragma once
// A Task: one subtask's operator chain as a plain state machine. Envelopes, credit, splits and time go in; envelopes,
// grants and split requests come out through the TaskHost. No thread, no clock of its own, no actor; the same class
// runs under actors, in tests on virtual time, and in simulation.
//
// Life: open -> run ... -> `prepared` (all data is through, sinks have pre-committed) -> commit -> `finished`; or, at
// any moment, an error or abort.
//
// Checkpoints: a source's task is told to begin one (`trigger`), every other one takes a barrier from each of its
// channels (aligned: what follows a barrier waits until the last one has come). When nothing is unfinished in the
// chain, sinks pre-commit, the state is captured, the barrier goes on, and the host is given the snapshot. A task whose
// data is through still passes barriers on, so that checkpoints go on while others work, and the last one contains
// everything (Flink's FLIP-147): in a job with checkpoints, `prepared` means only that, and sinks pre-commit at the
// last barrier.

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "libdataflow/graph/job_graph.hpp"
#include "libdataflow/runtime/output_edge.hpp"
#include "libdataflow/runtime/stage.hpp"
#include "libdataflow/runtime/task_host.hpp"
#include "libdataflow/runtime/time_use.hpp"
#include "libdataflow/runtime/watermark_merger.hpp"

namespace dataflow {

class RestoredCheckpoint;

/// The epoch in which a job that ends by itself commits, where there are no checkpoints to number it.
inline constexpr std::uint64_t final_epoch = 1;

/// A failure with the node it came from.
struct TaskFailure {
  std::string node;      ///< name
  std::string position;  ///< "readings.csv, line 17" or "after 4096 records"; empty before the first
  Error error;
};

class Task {
 public:
  struct Identity {
    std::string job_id;
    std::uint32_t vertex = 0;
    std::uint32_t subtask = 0;
    std::uint32_t attempt = 0;
  };

  /// Where a bounded run has come to.
  struct Progress {
    enum class Kind : std::uint8_t {
      more,      ///< run again soon
      blocked,   ///< run again when something arrives, or at `wake_at`
      prepared,  ///< all data is through and pre-committed; waits for commit
    };
    Kind kind = Kind::blocked;
    std::optional<Timestamp> wake_at;
  };

  /// `host` outlives the task.
  Task(JobGraphPtr graph, Identity identity, TaskHost& host);
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  ~Task();

  /// `restored`: what to go on from; read during the call.
  tl::expected<void, TaskFailure> open(Timestamp now, const RestoredCheckpoint* restored = nullptr);

  // Events. Cheap; the work is done by run.
  void receive(std::size_t input_channel, EncodedEnvelopePtr envelope);
  void credit(std::size_t output_channel, std::size_t bytes);
  void assign_split(Split split);
  void no_more_splits();
  /// Sources end now; records in flight finish. `drain`: open windows fire as if the input had ended.
  void stop(EndOfData how);
  /// Begins a checkpoint, at a task with a source. Splits that are assigned afterwards are not part of it.
  void trigger(const Barrier& barrier);
  /// The checkpoint has been given up: what waits for its barriers goes on.
  void abort_checkpoint(std::uint64_t checkpoint_id);
  /// The checkpoint is complete: sinks make visible what they pre-committed for it.
  tl::expected<void, TaskFailure> complete_checkpoint(std::uint64_t checkpoint_id);

  /// At most about a batch through the whole chain, then returns.
  tl::expected<Progress, TaskFailure> run(Timestamp now);
  /// After `prepared`: sinks make `epoch` visible, then everything is closed.
  tl::expected<void, TaskFailure> commit(std::uint64_t epoch);
  /// The attempt is over: undo what is not committed.
  void abort();

  /// A message to the operator `node` of this chain; see Operator::receive and Operator::query. `number`: of a message
  /// that a MessageLog keeps, in ascending order; one that the task has taken, or started from, does nothing.
  Result<std::string> send(NodeId node, std::string_view message, std::string_view json, std::uint64_t number = 0);
  Result<std::string> ask(NodeId node, std::string_view state, std::string_view key_json);

  [[nodiscard]] std::vector<NodeMetrics> metrics() const;
  /// Since the first run.
  [[nodiscard]] TimeTotals time_use(Timestamp now) const { return time_use_.totals(now); }
  /// Envelopes have arrived that no run has taken yet.
  [[nodiscard]] bool has_received() const { return !received_.empty(); }
  [[nodiscard]] std::size_t input_channel_count() const { return channels_.size(); }
  [[nodiscard]] std::size_t output_channel_count() const { return output_channel_count_; }

 private:
  struct InputChannel {
    std::size_t input = 0;  ///< of the first node
    std::size_t to_grant = 0;
    bool ended = false;
    bool blocked = false;  ///< its barrier is here; what follows waits for those of the others
    // While the operator does not take this input: what came behind rows that it keeps. Of watermarks the newest.
    std::optional<Timestamp> waiting_watermark;
    std::optional<bool> waiting_idle;
    std::optional<EndOfData> waiting_end;
  };
  struct Received {
    std::size_t channel;
    EncodedEnvelopePtr envelope;
  };

  void build_stages();
  void build_inputs();
  tl::expected<Progress, TaskFailure> run_steps(Timestamp now);
  Stage* deepest_runnable();
  /// One step of something; false when nothing can be done.
  tl::expected<bool, TaskFailure> step();
  Status poll_source();
  void take_received();
  void take_barrier(std::size_t channel, const Barrier& barrier);
  [[nodiscard]] bool settled() const;
  tl::expected<void, TaskFailure> take_snapshot();
  void end_alignment();
  tl::expected<void, TaskFailure> restore(const RestoredCheckpoint& restored);
  void take_envelope(std::size_t channel, const Envelope& envelope);
  void take_control(std::size_t channel, const Envelope& envelope);
  [[nodiscard]] bool takes_input(const InputChannel& channel) const;
  void grant_what_is_due(std::size_t channel);
  void grant_for_alignment();
  void let_wait(InputChannel& channel, const Envelope& envelope);
  void release_waiting();
  void take_end(std::size_t channel, const EndOfData& end);
  void take_merged(const WatermarkMerger::Change& change);
  tl::expected<Progress, TaskFailure> rest();
  [[nodiscard]] std::optional<Timestamp> wake_time() const;
  [[nodiscard]] TaskFailure failure(const Stage& stage, Error error) const;
  Stage* find_stage(NodeId node);

  TaskScope scope_;
  std::vector<std::unique_ptr<OutputEdge>> edges_;
  std::vector<std::unique_ptr<Stage>> stages_;  ///< inputs before their users
  std::size_t output_channel_count_ = 0;

  std::unique_ptr<SourceDriver> source_;
  bool split_requested_ = false;
  std::optional<Timestamp> source_wake_;  ///< nothing: poll when there is room
  std::optional<EndOfData> stop_;

  std::vector<InputChannel> channels_;
  std::deque<Received> received_;  ///< bounded by the senders' credit
  WatermarkMerger merger_;
  std::size_t open_channels_ = 0;
  std::size_t inputs_ = 0;           ///< of the first node
  std::vector<bool> input_stopped_;  ///< by input: some of its sources were stopped before their end
  bool any_withheld_ = false;        ///< credit, watermarks or ends of an input that the operator does not take
  bool drained_ = true;              ///< every channel that ended was drained
  bool prepared_ = false;
  TimeUse time_use_;
  bool started_ = false;

  std::optional<Barrier> aligning_;  ///< barriers of this checkpoint are coming in
  std::size_t barriers_missing_ = 0;
  Timestamp alignment_began_;
  std::deque<Received> held_back_;     ///< behind barriers, in order; bounded by the senders' credit
  std::optional<Barrier> barrier_;     ///< all barriers are here: taken once the chain has settled
  std::size_t gave_kept_ = 0;          ///< so many stages, for it
  std::uint64_t last_checkpoint_ = 0;  ///< the newest that was taken, given up or started from
  std::uint64_t last_message_ = 0;     ///< the newest that was taken
  std::deque<Split> later_splits_;     ///< assigned after the checkpoint that is being taken began
  bool no_more_later_ = false;
};

}  // namespace dataflow
