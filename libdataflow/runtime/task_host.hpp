#pragma once
// What a task asks of the shell around it. The shell carries messages and time; it decides nothing.

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "libdataflow/state/snapshot.hpp"
#include "serialization/envelope.hpp"

namespace dataflow {

/// Bytes that may be under way or waiting in a channel before its sender pauses. The receiver grants credit again
/// in halves of this as it consumes. At least one batch is always let through. Four large batches, so that neither end
/// of a network connection waits for the other's credit (`tools/bench exchange`: 512 KiB costs a sixth at 16 KiB a
/// batch and more at 256).
inline constexpr std::size_t channel_window_bytes = 1024 * 1024;

/// What a task gives to a checkpoint: the captured state of each operator of its chain, by uid, to be written off the
/// task's thread.
struct TaskSnapshot {
  Barrier barrier;
  std::vector<std::pair<std::string, CapturedStatePtr>> states;
  Duration alignment{0};       ///< from the first barrier to the last one
  Duration synchronous{0};     ///< what capturing took; nothing on virtual time
  std::uint64_t messages = 0;  ///< the newest message from outside that the task had taken
};

class StateBackend;

class TaskHost {
 public:
  virtual ~TaskHost() = default;
  /// Carry to the receiver of the task's output channel `channel`, in order.
  virtual void send(std::size_t channel, EncodedEnvelopePtr envelope) = 0;
  /// Tell the sender of input channel `channel` that `bytes` more may be sent.
  virtual void grant(std::size_t channel, std::size_t bytes) = 0;
  /// Ask the source's enumerator for the next split; answered by Task::assign_split or Task::no_more_splits.
  virtual void request_split() = 0;
  /// The time now, by the clock whose times Task::run is given. Nothing: no time passes while a task runs (on virtual
  /// time).
  [[nodiscard]] virtual std::optional<Timestamp> clock_now() const { return std::nullopt; }
  /// What may be under way in each of its channels; the same for both ends.
  [[nodiscard]] virtual std::size_t channel_window() const { return channel_window_bytes; }
  /// The most rows that its source may give at once. Smaller in simulation, so that faults fall between them.
  [[nodiscard]] virtual std::uint32_t batch_rows() { return max_batch_rows; }
  /// Where its operators keep state that is too large for memory. Null: it is all in memory.
  [[nodiscard]] virtual std::shared_ptr<StateBackend> state_backend() const { return nullptr; }
  /// The task has passed a barrier: write its state and acknowledge. Only of jobs with checkpoints.
  virtual void snapshot(TaskSnapshot) {}  // NOLINT(performance-unnecessary-value-param): who overrides it moves it
  /// The task has passed a barrier, but has no snapshot to give.
  virtual void decline(std::uint64_t /*checkpoint_id*/, const Error&) {}
};

}  // namespace dataflow
