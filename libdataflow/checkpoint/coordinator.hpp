#pragma once
// The CheckpointCoordinator: decides when checkpoints begin, whether they complete, and what of older ones goes.
// A plain state machine; the JobSupervisor carries its events in and its effects out.
//
//   begin -> enumerators captured, sources triggered -> every subtask acknowledges -> metadata written -> latest
//   advanced (the moment at which it exists) -> sinks commit -> older ones are deleted
//
// One checkpoint at a time. A failure of anything before `latest` gives the checkpoint up and changes nothing else: the
// next one covers it. Once advancing has been asked for, its outcome is unknown until it is told (`in_doubt`), and
// nothing may start from a checkpoint before.
//
// A savepoint is a checkpoint that is exported once it is complete: an ordinary member of the run, of which somebody
// gets a copy that is theirs (savepoint.hpp). So what it takes to be exact is said once, for both.
// (Chandy and Lamport 1985; Carbone et al., "Lightweight asynchronous snapshots", arXiv 1506.08603.)

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "libdataflow/checkpoint/lineage.hpp"
#include "libdataflow/graph/job_graph.hpp"
#include "serialization/checkpoint_metadata.hpp"
#include "serialization/envelope.hpp"

namespace dataflow {

// What the shell is asked to do.
struct BeginCheckpoint {
  Barrier barrier;
  std::string folder;  ///< where subtasks write
};                     ///< capture the enumerators and trigger the sources, in one go; answered by on_enumerators
struct WriteMetadata {
  std::uint64_t id;
  std::string key;
  std::string bytes;
};  ///< answered by on_metadata_written
struct AdvanceLatest {
  CompletedCheckpoint checkpoint;
};  ///< answered by on_advanced
struct CompleteCheckpoint {
  std::uint64_t id;
  bool last;  ///< everything is in it: sinks commit and the job is finished
};            ///< tell every subtask
struct AbortCheckpoint {
  std::uint64_t id;
};  ///< tell every subtask; its files may be removed, the folder is not used again
struct RemoveCheckpoint {
  CompletedCheckpoint checkpoint;
};  ///< needs no answer
struct FailForCheckpoints {
  Error error;
};  ///< the attempt, or, when overtaken, the job
struct ExportSavepoint {
  std::uint64_t request;  ///< in savepoints()
  CompletedCheckpoint checkpoint;
  std::string target;
};  ///< copy it there; answered by on_exported
using CheckpointEffect = std::variant<BeginCheckpoint, WriteMetadata, AdvanceLatest, CompleteCheckpoint,
                                      AbortCheckpoint, RemoveCheckpoint, FailForCheckpoints, ExportSavepoint>;

/// How long a subtask took for its part of a checkpoint.
struct SnapshotTimes {
  Duration alignment{0};    ///< from the first barrier to the last one
  Duration synchronous{0};  ///< while the task stood still
  Duration upload{0};       ///< written meanwhile by another thread
};

/// What is known of one checkpoint, for those who look.
struct CheckpointRecord {
  std::uint64_t id = 0;
  bool savepoint = false;
  enum class State : std::uint8_t { in_progress, completed, failed } state = State::in_progress;
  Timestamp started;
  Duration duration{0};
  SnapshotTimes longest;      ///< of any subtask, each by itself
  std::uint64_t bytes = 0;    ///< of the state that it holds
  std::uint64_t written = 0;  ///< bytes of it that no checkpoint before had stored
  std::string failure;
  std::string slowest;        ///< the vertex and subtask that acknowledged last, or has not in time
  std::uint32_t missing = 0;  ///< subtasks that have not acknowledged
};

/// What has become of a savepoint that somebody asked for.
struct SavepointRecord {
  enum class State : std::uint8_t { waiting, in_progress, exporting, completed, failed } state = State::waiting;
  std::uint64_t request = 0;
  std::string target;
  bool at_end = false;   ///< the job's last checkpoint is to be it
  std::uint64_t id = 0;  ///< of the checkpoint; 0: none yet
  std::string location;  ///< once completed
  std::string failure;
};
std::string_view to_string(SavepointRecord::State state);
/// When a savepoint is taken: now, or when the job's sources have stopped and everything is through.
enum class SavepointTime : std::uint8_t { now, at_end };

std::string_view to_string(CheckpointRecord::State state);

class CheckpointCoordinator {
 public:
  /// `leadership` was just taken.
  CheckpointCoordinator(JobGraphPtr graph, std::string job_id, const Leadership& leadership);

  /// What is completed, as list_completed finds it: before an attempt is made, since an advance that failed may have
  /// been done. Not while in_doubt.
  void reload(std::vector<CompletedCheckpoint> completed);

  // Events.
  /// All subtasks of an attempt run.
  std::vector<CheckpointEffect> on_running(Timestamp now);
  /// The attempt is over, whatever the reason.
  std::vector<CheckpointEffect> on_attempt_over(Timestamp now);
  /// All data is through every task: the last checkpoint is due.
  std::vector<CheckpointEffect> on_all_drained(Timestamp now);
  std::vector<CheckpointEffect> on_time(Timestamp now);
  /// By uid; an error when a source cannot say where it is.
  std::vector<CheckpointEffect> on_enumerators(std::uint64_t id, Result<std::map<std::string, std::string>> snapshots,
                                               Timestamp now);
  std::vector<CheckpointEffect> on_acknowledged(std::uint64_t id, std::uint32_t vertex, std::uint32_t subtask,
                                                TaskState state, const SnapshotTimes& times, Timestamp now);
  std::vector<CheckpointEffect> on_declined(std::uint64_t id, const Error& error, Timestamp now);
  std::vector<CheckpointEffect> on_metadata_written(std::uint64_t id, const Status& written, Timestamp now);
  /// `checkpoint` as advance_latest left it.
  std::vector<CheckpointEffect> on_advanced(const CompletedCheckpoint& checkpoint, const Result<Advance>& advanced,
                                            Timestamp now);

  /// Somebody wants a savepoint below `target`. Its number in savepoints(); it has failed at once when no attempt runs.
  std::pair<std::uint64_t, std::vector<CheckpointEffect>> on_savepoint_wanted(std::string target, SavepointTime when,
                                                                              Timestamp now);
  /// Where it lies now.
  std::vector<CheckpointEffect> on_exported(std::uint64_t request, const Result<std::string>& location);
  /// The job is at its end: savepoints that have not been taken never will be.
  void on_job_over();

  /// The run goes on from a checkpoint of that number, which need not be its own: its own numbers are above it.
  void number_above(std::uint64_t id) { next_id_ = std::max(next_id_, id + 1); }

  /// When on_time has to be called next.
  [[nodiscard]] std::optional<Timestamp> next_time() const;
  /// Whether a checkpoint may be the latest without this being known yet: nothing may start from one until then.
  [[nodiscard]] bool in_doubt() const { return current_ && current_->phase == Phase::advancing; }
  /// What an attempt starts from now; null: from nothing.
  [[nodiscard]] const CompletedCheckpoint* latest() const { return completed_.empty() ? nullptr : &completed_.back(); }
  /// The newest ones, oldest first.
  [[nodiscard]] const std::deque<CheckpointRecord>& history() const { return history_; }
  /// Of the newest checkpoint that completed here, only how many messages each subtask had taken.
  [[nodiscard]] const CheckpointMetadata& messages_taken() const { return messages_taken_; }
  /// The newest ones, oldest first.
  [[nodiscard]] const std::deque<SavepointRecord>& savepoints() const { return savepoints_; }
  /// Whether a completed checkpoint is still being exported.
  [[nodiscard]] bool exporting() const { return !exporting_.empty(); }
  [[nodiscard]] std::uint64_t completed_count() const { return completed_count_; }
  [[nodiscard]] std::uint64_t failed_count() const { return failed_count_; }
  [[nodiscard]] std::uint64_t epoch() const { return epoch_; }

 private:
  enum class Phase : std::uint8_t { collecting, writing, advancing };
  struct Pending {
    std::uint64_t id = 0;
    Phase phase = Phase::collecting;
    std::string folder;
    bool last = false;
    bool abandoned = false;                 ///< the attempt ended while it was advancing
    std::vector<std::uint64_t> savepoints;  ///< requests that it is taken for
    std::optional<std::map<std::string, std::string>> enumerators;
    std::map<std::pair<std::uint32_t, std::uint32_t>, TaskState> tasks;
  };

  std::vector<CheckpointEffect> begin(Timestamp now);
  std::vector<CheckpointEffect> give_up(const std::string& why, Timestamp now);
  std::vector<CheckpointEffect> maybe_write(Timestamp now);
  std::vector<CheckpointEffect> after_completion(const CompletedCheckpoint& checkpoint, Timestamp now);
  [[nodiscard]] CheckpointMetadata metadata(Timestamp now) const;
  [[nodiscard]] bool is_current(std::uint64_t id, Phase phase) const {
    return current_ && current_->id == id && current_->phase == phase;
  }
  CheckpointRecord& record() { return history_.back(); }
  /// "window (2 of 4)"
  [[nodiscard]] std::string name_of(std::uint32_t vertex, std::uint32_t subtask) const;
  [[nodiscard]] std::string first_missing() const;
  SavepointRecord* savepoint(std::uint64_t request);
  [[nodiscard]] bool savepoint_waits() const;
  void fail_savepoint(SavepointRecord& savepoint, const std::string& why);
  void note_messages();
  void remove_subsumed(std::vector<CheckpointEffect>& effects);

  JobGraphPtr graph_;
  CheckpointSettings settings_;
  std::string job_id_;
  std::string lineage_;
  std::uint64_t epoch_;
  std::uint64_t next_id_;
  std::uint64_t next_sequence_;
  std::size_t subtasks_ = 0;
  std::vector<CompletedCheckpoint> completed_;  ///< those that are kept, in order
  std::optional<Pending> current_;
  std::optional<Timestamp> next_begin_;  ///< while an attempt runs
  Duration retry_pause_{0};              ///< after the next failure of the last checkpoint
  bool has_run_ = false;
  bool drained_ = false;
  bool finished_ = false;  ///< the last checkpoint is complete
  std::uint32_t failed_in_a_row_ = 0;
  std::uint64_t completed_count_ = 0;
  std::uint64_t failed_count_ = 0;
  std::deque<CheckpointRecord> history_;
  std::deque<SavepointRecord> savepoints_;
  std::uint64_t next_request_ = 1;
  CheckpointMetadata messages_taken_;
  std::map<std::uint64_t, CompletedCheckpoint> exporting_;  ///< by request: not to be removed yet
  std::vector<CompletedCheckpoint> removed_later_;          ///< as soon as nobody exports them
};

}  // namespace dataflow
