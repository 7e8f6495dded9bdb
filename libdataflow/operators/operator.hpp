#pragma once
// What every built-in and user operator is written with: whole batches in, whole batches out, event time as
// watermarks, and no sight of threads, actors, channels or barriers.
//
// Everything can pause. An operator checks OperatorOutput::full() after each batch it emits; when it is full and there
// is more to give, it keeps a cursor and returns Step::yield; the task calls `resume` once there is room.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libdataflow/state/snapshot.hpp"
#include "serialization/batch.hpp"
#include "serialization/result.hpp"

namespace dataflow {

class StateBackend;

/// Where an operator's results go (a user sees the typed Output<T> on top of it). Output 0 is the main one, the others
/// are its side outputs in declared order.
class OperatorOutput {
 public:
  virtual ~OperatorOutput() = default;
  /// Takes a batch of that output's schema. Empty batches are dropped. Never blocks, never fails; at most a few
  /// batches beyond `full` are accepted, so check it after each.
  virtual void emit(BatchPtr batch, std::size_t output = 0) = 0;
  [[nodiscard]] virtual bool full() const = 0;

  /// For an operator that makes_watermarks, and ignored where nobody is behind it: event time has reached `watermark`
  /// (behind what was emitted); and whether the subtask is so silent that it holds no watermark back.
  virtual void advance_watermark(Timestamp watermark);
  virtual void set_idle(bool idle);
};

enum class Step : std::uint8_t {
  done,   ///< ready for the next event
  yield,  ///< more to emit: call resume when the output has room
};

/// What to do with a record that cannot be decoded or computed.
enum class ErrorPolicy : std::uint8_t { fail, skip, side_output };

/// A number that an operator counts up; shown in summaries, `show` and metrics. Owned by the task; one writer.
class Counter {
 public:
  void add(std::uint64_t n) { value_ += n; }
  [[nodiscard]] std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_ = 0;
};

/// What an operator may know of where it runs. Lives as long as the operator.
class OperatorContext {
 public:
  virtual ~OperatorContext() = default;
  [[nodiscard]] virtual const std::string& operator_name() const = 0;
  [[nodiscard]] virtual std::uint32_t subtask() const = 0;
  [[nodiscard]] virtual std::uint32_t parallelism() const = 0;
  [[nodiscard]] virtual std::uint32_t max_parallelism() const = 0;
  /// Number of this deployment of the subtask, from 0; names of files and transactions contain it.
  [[nodiscard]] virtual std::uint32_t attempt() const = 0;
  [[nodiscard]] virtual const std::string& job_id() const = 0;
  /// Processing time; virtual in tests and simulation.
  [[nodiscard]] virtual Timestamp now() const = 0;
  /// Where large state goes. Null: it stays in memory.
  [[nodiscard]] virtual std::shared_ptr<StateBackend> state_backend() const { return nullptr; }
  /// Where state goes that merges, or is read once and in order: as sorted runs, without a store. It may have no stores
  /// to open: a batch has such a place also when its state stays in memory otherwise. Null: there is none.
  [[nodiscard]] virtual std::shared_ptr<StateBackend> spill_backend() const { return state_backend(); }
  /// The event-time watermark that the operator has been given last.
  [[nodiscard]] virtual Timestamp watermark() const = 0;
  /// The counter of that name, made on first use: "late", "errors", "filtered".
  virtual Counter& counter(std::string_view name) = 0;
};

/// One subtask's instance of an operator. Called by one thread at a time. An Error ends the attempt: the task adds
/// the operator, subtask and record position, and the job restarts or fails by its strategy. Exceptions are
/// caught by the task and treated alike.
class Operator {
 public:
  virtual ~Operator() = default;

  virtual Status open(OperatorContext& context);
  /// `input` is 0 except for operators with two inputs (joins, connected streams). The batch has at least one row.
  virtual Result<Step> process(std::size_t input, const BatchPtr& batch, OperatorOutput& out) = 0;
  /// Event time has reached `watermark` over all inputs: fire what is due. The task forwards the watermark after
  /// this (and its resumes) are done.
  virtual Result<Step> on_watermark(Timestamp watermark, OperatorOutput& out);
  /// The operator gives watermarks and idleness through its output. It is not told of those that arrive, nor are they
  /// forwarded, but for the watermark beyond all time.
  [[nodiscard]] virtual bool makes_watermarks() const { return false; }
  /// The operator gives on the watermarks that it is told of by itself, through its output, when what was before them
  /// is out.
  [[nodiscard]] virtual bool delays_watermarks() const { return false; }
  /// Gives what it keeps back only to make larger batches of it, with the watermarks that it delays for that: a barrier
  /// comes next, behind which nothing of it may stay, or word that the subtask is idle.
  virtual Result<Step> give_kept(OperatorOutput& out);
  /// What may come next.
  enum class Event : std::uint8_t { batch, watermark, end };
  /// For an operator that waits for something outside: whether it can be given such an event now. While not, the event
  /// waits in front of it, and then whatever would come behind. Asked before each event, also after
  /// on_processing_time.
  [[nodiscard]] virtual bool can_take(Event /*event*/) const { return true; }
  /// Processing time has reached `now`, which is at or after what next_processing_timer returned.
  virtual Result<Step> on_processing_time(Timestamp now, OperatorOutput& out);
  /// When on_processing_time wants to be called next, if ever.
  [[nodiscard]] virtual std::optional<Timestamp> next_processing_timer() const;
  /// The event time at which it gives, as far as is known, the next of what it keeps back: the end of an open window.
  /// Nothing: nothing waits for time. Only shown to people.
  [[nodiscard]] virtual std::optional<Timestamp> waits_for() const;
  /// No more input will come. A bounded stream has been drained by a watermark of Timestamp::max() before.
  virtual Result<Step> end_of_data(OperatorOutput& out);
  /// For operators with several inputs, before `end_of_data`: nothing more will come of this one, and it was given to
  /// its end. Not called for an input whose sources were stopped.
  virtual Result<Step> end_of_input(std::size_t input, OperatorOutput& out);
  /// Goes on after a yield.
  virtual Result<Step> resume(OperatorOutput& out);

  /// For operators with several inputs: whether it wants more of this one now. When not, that input's senders get no
  /// more credit; what is on its way already, at most a channel's window of bytes from each, is still given to
  /// `process`, which has to keep it as state, so that barriers need not wait; its watermarks and its end wait.
  /// Asked after each event.
  [[nodiscard]] virtual bool takes(std::size_t input) const;

  /// The synchronous part of a checkpoint: captures the state, cheaply. Called between two events, when nothing is
  /// unfinished, and after `pre_commit` with the checkpoint's number. Null: there is none.
  virtual Result<CapturedStatePtr> snapshot();
  /// Goes on from the state of a checkpoint: after `open`, before the first event. What `state` lists as pre-committed
  /// is committed here (again). Not called for a job that starts from nothing. Errors: invalid_argument when the state
  /// is another operator's or does not fit; those of StateReader::read.
  virtual Status restore(StateReader& state);

  /// Two-phase commit (sinks): everything taken so far belongs to `epoch` and is made durable but not visible.
  virtual Status pre_commit(std::uint64_t epoch);
  /// Everything pre-committed in epochs up to and including `epoch` becomes visible. Idempotent.
  virtual Status commit(std::uint64_t epoch);
  /// The attempt is over without its end having been reached: undo what is not committed, release resources. What a
  /// snapshot lists as pre-committed stays: a checkpoint that holds it may be complete. Called at most once, instead of
  /// `close`.
  virtual void abort();
  virtual Status close();

  /// A message from outside (`dfnode send`), between two batches: a JSON object in, a JSON value out.
  /// Errors: not_found when the operator knows no such message.
  virtual Result<std::string> receive(std::string_view message, std::string_view json);
  /// The declared state `state` of the key given as JSON (`dfnode ask`), as JSON; `null` when the key has none.
  virtual Result<std::string> query(std::string_view state, std::string_view key_json);
};

/// What an operator does with its input's fields, so that nobody decodes or copies those that no one reads.
struct FieldUse {
  std::vector<std::size_t> reads;            ///< indices of fields whose values it looks at
  std::vector<std::size_t> passing_outputs;  ///< outputs that carry the input's rows under the input's schema
};

/// A job that is about to run.
struct JobStart {
  std::string id;
  /// It takes checkpoints: after its process has died it may be started again under its id, and then wants back what
  /// its sinks had pre-committed.
  bool resumable = false;
  bool goes_on = false;  ///< from a checkpoint: what it finds in the outside world is its own
};

/// What a job holds of the outside world while it runs (the lock of an output folder). Kept by the job's master.
/// Destroyed without job_ended it lets go, as when the process dies, and leaves everything for the job to be resumed.
class JobGuard {
 public:
  virtual ~JobGuard() = default;
  /// The job is in its final state and no subtask of it runs: leave nothing behind.
  virtual void job_ended() = 0;
};

/// The immutable description of an operator, shared by all its subtasks.
class OperatorFactory {
 public:
  virtual ~OperatorFactory() = default;
  [[nodiscard]] virtual std::unique_ptr<Operator> create() const = 0;
  /// Nothing: it may read every field of every input.
  [[nodiscard]] virtual std::optional<FieldUse> field_use() const { return std::nullopt; }
  /// The same for an operator whose inputs differ.
  [[nodiscard]] virtual std::optional<FieldUse> field_use_of(std::size_t /*input*/) const { return field_use(); }

  /// Once on the master before the job's first attempt: look at what the outside world holds (an output folder
  /// with files in it) and refuse or prepare. What it returns, null if nothing, is held until the job's end.
  [[nodiscard]] virtual Result<std::unique_ptr<JobGuard>> before_job(const JobStart& job) const;
  /// On the master before each attempt, when no subtask of an earlier one runs: remove what those left behind, but for
  /// what `restored`, the union over all subtasks of the state that the attempt starts from, lists as pre-committed.
  /// `restored` is null when it starts from nothing.
  [[nodiscard]] virtual Status before_attempt(const std::string& job_id, std::uint32_t attempt,
                                              StateReader* restored) const;
};

using OperatorFactoryPtr = std::shared_ptr<const OperatorFactory>;

}  // namespace dataflow
