#pragma once
// The JobSupervisor actor: one per job. Holds the ExecutionGraph, carries events to it and its effects out, and hosts
// the sources' split enumerators. It decides nothing itself.

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include <caf/event_based_actor.hpp>
#include <caf/response_promise.hpp>

#include "actors/messages.hpp"

namespace dataflow {

class JobSupervisor final : public caf::event_based_actor {
 public:
  JobSupervisor(caf::actor_config& config, caf::actor job_manager, std::string job_id, JobGraphPtr graph,
                StartFrom start_from);

  caf::behavior make_behavior() override;
  void on_exit() override;
  [[nodiscard]] const char* name() const override { return "dataflow.job_supervisor"; }

 private:
  void apply(const Effects& effects);
  void carry_out(const AcquireSlots& effect);
  void carry_out(const DeployTasks& effect);
  void carry_out(const OpenTasks& effect);
  void carry_out(const StartTasks& effect);
  void carry_out(const TakeLastCheckpoint& effect);
  void carry_out(const CommitTasks& effect);
  void carry_out(const CancelTasks& effect);
  void carry_out(const AbandonTasks& effect);
  void carry_out(const StopSources& effect);
  void carry_out(const ScheduleRestart& effect);
  void carry_out(const ScheduleDeadline& effect);
  void carry_out(const EndJob& effect);

  // Checkpoints: the coordinator's effects.
  void apply_checkpoint(const std::vector<CheckpointEffect>& effects);
  void carry_out(const BeginCheckpoint& effect);
  void carry_out(const WriteMetadata& effect);
  void carry_out(const AdvanceLatest& effect);
  void carry_out(const CompleteCheckpoint& effect);
  void carry_out(const AbortCheckpoint& effect);
  void carry_out(const RemoveCheckpoint& effect);
  void carry_out(const FailForCheckpoints& effect);
  void take_acknowledgement(const msg::Acknowledge& m);
  void take_advanced(const msg::LatestAdvanced& m);
  void schedule_checkpoint_time();
  /// As sinks know the job: the id of the one that began the run.
  [[nodiscard]] const std::string& sink_job_id() const;

  void start();
  /// What has to be true of the outside world before a region's attempt; opens its enumerators.
  Status prepare_attempt(RegionAttempt of);
  void take_slots(const msg::SlotsGranted& granted);
  void take_refusal(const msg::SlotsRefused& refused);
  void take_deployed(const msg::SlotDeployed& deployed);
  void take_slot_lost(const msg::SlotLost& lost);
  void take_report(const msg::SubtaskReport& report);
  void answer_split_request(const msg::RequestSplit& request);
  void retry_split_requests();
  void fire_deadlines();
  template <class Message>
  void send_to_region(RegionAttempt of, const Message& message);
  caf::result<msg::Answer> ask_operator(const msg::AskOperator& question);
  [[nodiscard]] std::size_t index(SubtaskId id) const;
  [[nodiscard]] msg::JobViewPtr view() const;

  caf::actor job_manager_;
  std::string job_id_;
  JobGraphPtr graph_;
  StartFrom start_from_;
  std::unique_ptr<JobCheckpoints> checkpoints_;           ///< null: the job has none
  caf::actor worker_;                                     ///< for what blocks; null without checkpoints
  std::map<std::uint32_t, std::string> restore_folders_;  ///< by region: what its attempt starts from
  std::vector<AcquireSlots> postponed_;                   ///< until it is known which checkpoint is the latest
  std::optional<Timestamp> checkpoint_wake_;              ///< the earliest CheckpointTime under way
  ExecutionGraph execution_;
  std::vector<SubtaskId> subtask_ids_;
  std::vector<caf::actor> subtasks_;       ///< of the current attempts, same order; null where there is none
  std::vector<caf::actor> task_managers_;  ///< where each slot is; empty until granted
  std::vector<RegionAttempt> waiting_for_slots_;
  std::vector<std::vector<caf::actor>> slots_;  ///< Slot actors of the current attempt, by region
  std::vector<msg::SubtaskReport> reports_;
  std::vector<TimeTotals> recent_;                                         ///< between a subtask's last two reports
  std::vector<std::unique_ptr<JobGuard>> guards_;                          ///< until the job's end
  std::map<std::uint32_t, std::unique_ptr<SplitEnumerator>> enumerators_;  ///< by vertex
  std::vector<msg::RequestSplit> waiting_for_splits_;
  struct Pending {
    std::chrono::steady_clock::time_point due;
    Deadline deadline;
  };
  std::vector<Pending> deadlines_;
  std::vector<caf::response_promise> waiting_for_end_;
};

}  // namespace dataflow
