#pragma once
// The states of a job and of its subtasks, and what the master knows of one subtask's attempt.

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "libdataflow/master/node_instance.hpp"
#include "serialization/time.hpp"

namespace dataflow {

/// Flink's states of a subtask's attempt, and `prepared`.
enum class ExecutionState : std::uint8_t {
  created,       ///< of this attempt nothing exists yet
  scheduled,     ///< waits for its slot
  deploying,     ///< a slot has been asked to make it
  initializing,  ///< exists; channels are wired, operators opened
  running,
  prepared,  ///< all data is through and pre-committed
  finished,  ///< committed
  canceling,
  canceled,
  failed,
};
inline constexpr std::size_t execution_state_count = 10;
std::string_view to_string(ExecutionState state);

/// Flink's states of a job.
enum class JobState : std::uint8_t { created, running, restarting, cancelling, canceled, failing, failed, finished };
std::string_view to_string(JobState state);
/// finished, failed, canceled.
bool is_terminal(JobState state);

struct SubtaskId {
  std::uint32_t vertex = 0;
  std::uint32_t subtask = 0;
  friend auto operator<=>(const SubtaskId&, const SubtaskId&) = default;
};

/// An attempt of a failover region; every message of or to its subtasks carries it, and those of another are refused.
struct RegionAttempt {
  std::uint32_t region = 0;
  std::uint32_t attempt = 0;
  friend auto operator<=>(const RegionAttempt&, const RegionAttempt&) = default;
};

/// One subtask in the current attempt of its region.
struct Execution {
  ExecutionState state = ExecutionState::created;
  RegionAttempt of;
  NodeInstance node;    ///< where its slot is, once it has one
  bool exists = false;  ///< may be somewhere: a slot was asked to make it, and nobody has said that it is gone
  /// When it entered each state, where it has: by ExecutionState.
  std::array<std::optional<Timestamp>, execution_state_count> since;

  void enter(ExecutionState next, Timestamp now) {
    state = next;
    since[static_cast<std::size_t>(next)] = now;
  }
};

}  // namespace dataflow
