#pragma once
// The Subtask actor: hosts one Task and is the only kind of actor on the data path. Each handler hands one event to
// the task and lets it run a bounded step; what the task decides goes out as messages.

#include <memory>
#include <optional>
#include <vector>

#include <caf/event_based_actor.hpp>

#include "actors/messages.hpp"

namespace dataflow {

class UploadedFiles;

class Subtask final : public caf::event_based_actor, public TaskHost {
 public:
  /// `supervisor` is the Worker, which speaks for its subtasks. `worker` does what blocks; null in jobs without
  /// checkpoints. `state`: null when it is in memory.
  Subtask(caf::actor_config& config, caf::actor supervisor, caf::actor slot, JobGraphPtr graph, Task::Identity identity,
          std::uint32_t attempt, const caf::group& slot_group, caf::actor worker, std::shared_ptr<StateBackend> state);

  caf::behavior make_behavior() override;
  void on_exit() override;
  [[nodiscard]] const char* name() const override { return "dataflow.subtask"; }

 private:
  // TaskHost.
  void send(std::size_t channel, EncodedEnvelopePtr envelope) override;
  void grant(std::size_t channel, std::size_t bytes) override;
  void request_split() override;
  [[nodiscard]] std::optional<Timestamp> clock_now() const override;
  [[nodiscard]] std::shared_ptr<StateBackend> state_backend() const override { return state_; }
  void snapshot(TaskSnapshot snapshot) override;
  void decline(std::uint64_t checkpoint_id, const Error& error) override;

  struct Opening;
  caf::behavior running();
  caf::behavior opening();
  void open(const msg::Open& peers);
  [[nodiscard]] CheckpointStoragePtr with_copies(CheckpointStoragePtr storage) const;
  void open_task(const Result<RestoredCheckpointPtr>& restored);
  void restore_task(RestoredCheckpointPtr checkpoint);
  void take_opened(const tl::expected<void, TaskFailure>& opened);
  void complete_checkpoint(std::uint64_t id);
  void run();
  void answer(const msg::CallOperator& call);
  void schedule_wake(Timestamp at);
  void commit(std::uint64_t epoch);
  void fail_with(const TaskFailure& failure);
  msg::SubtaskReport report();

  caf::actor supervisor_;
  caf::actor slot_;
  caf::actor worker_;
  msg::CheckpointPlace checkpoints_;
  CheckpointStoragePtr storage_;
  std::shared_ptr<StateBackend> state_;
  std::shared_ptr<UploadedFiles> uploaded_;  ///< by checkpoints of this attempt
  JobGraphPtr graph_;
  SubtaskId id_;
  std::uint32_t attempt_;
  std::unique_ptr<Task> task_;        ///< null while it is being opened elsewhere
  std::shared_ptr<Opening> opening_;  ///< null unless it is
  std::vector<msg::Peer> receivers_;
  std::vector<msg::Peer> senders_;
  bool started_ = false;
  bool run_again_sent_ = false;       ///< a RunAgain is in the mailbox
  std::optional<Timestamp> wake_at_;  ///< the earliest WakeUp under way
  std::uint64_t reports_ = 0;         ///< made so far
  bool prepared_sent_ = false;
  bool finished_ = false;
};

}  // namespace dataflow
