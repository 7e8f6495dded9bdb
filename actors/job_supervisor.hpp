#pragma once
// The JobSupervisor actor: one per job. Holds the ExecutionGraph, carries events to it and its effects out, and hosts
// the sources' split enumerators. It decides nothing itself. Its life and its messages are in job_supervisor.cpp, and
// what it carries out in job_supervisor_deployment.cpp, _reports.cpp, _checkpoints.cpp and _questions.cpp.
//
// Around it: its home, which finds slots and serves clients (in one process the LocalSlots actor, in a cluster the
// process's link to the JobManager), and the Workers, which have offered slots for the current attempt.

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <caf/event_based_actor.hpp>
#include <caf/response_promise.hpp>

#include "actors/messages.hpp"
#include "libdataflow/checkpoint/message_log.hpp"
#include "libdataflow/master/job_sources.hpp"
#include "libdataflow/topology/substitution.hpp"

namespace dataflow {

/// How a JobSupervisor deals with its workers.
struct SupervisionSettings {
  std::uint64_t leader_epoch = 0;
  std::uint64_t graph_hash = 0;
  /// A worker that is silent for so long is lost; nothing: they are in this process.
  std::optional<Duration> worker_timeout;
  ExecutionDeadlines deadlines;
  StartPoint start_from;
  Secrets secrets;  ///< to hide from the log
  /// Workers that were promised have to offer their slots within this.
  Duration offer_deadline = std::chrono::seconds{60};
};

class JobSupervisor final : public caf::event_based_actor {
 public:
  JobSupervisor(caf::actor_config& config, caf::actor home, std::string job_id, JobGraphPtr graph,
                SupervisionSettings settings);

  caf::behavior make_behavior() override;
  void on_exit() override;
  [[nodiscard]] const char* name() const override { return "dataflow.job_supervisor"; }

 private:
  using SteadyTime = std::chrono::steady_clock::time_point;

  static constexpr std::chrono::milliseconds report_interval{200};

  /// A process that has, or had, slots of the job.
  struct WorkerState {
    caf::actor actor;
    msg::OfferSlots offer;
    SteadyTime heard;
    bool lost = false;
  };

  /// A call of an operator that has not answered everywhere yet.
  struct OpenCall {
    caf::response_promise promise;
    std::string node;
    bool bare = false;                     ///< one answer is the answer, and not a list of one
    std::map<SubtaskId, std::string> got;  ///< empty: not yet
    std::size_t missing = 0;
    std::size_t refused = 0;    ///< by the operator itself
    bool answered = false;      ///< with the first error
    std::uint64_t message = 0;  ///< its number in the MessageLog; 0: a question
    SteadyTime due;
  };

  void apply(const Effects& effects);
  /// A line for each failure since the last look, and for each state of the job; in a cluster, where someone may look
  /// for them.
  void log_news(JobState state);
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
  void carry_out(const ExportSavepoint& effect);
  void take_acknowledgement(const msg::Acknowledge& m);
  void take_advanced(const msg::LatestAdvanced& m);
  void schedule_checkpoint_time();
  caf::result<msg::Answer> take_savepoint(const msg::TakeSavepoint& wanted);
  void take_prepared(const msg::SavepointPrepared& prepared);
  void end_checkpoints_of_attempt();
  void settle_storage(JobState state);
  /// As sinks know the job: the id of the one that began the run.
  [[nodiscard]] const std::string& sink_job_id() const;

  caf::message_handler worker_messages();
  caf::message_handler home_messages();
  caf::message_handler checkpoint_messages();
  caf::message_handler own_messages();

  void ask_to_commit(const msg::CommitDue& due);
  void commit(std::uint64_t epoch);
  void start();
  /// What has to be true of the outside world before a region's attempt; opens its enumerators.
  Status prepare_attempt(RegionAttempt of);
  /// Asks for the slots that nobody has, or gives all to the regions that wait for them.
  void find_slots();
  void take_offer(const msg::OfferSlots& offer);
  void fail_waiting(const Error& error);
  void take_deployed(const msg::SlotDeployed& deployed);
  void lose_worker(std::size_t worker, const Error& error);
  void take_worker_lost(const msg::WorkerLost& lost);
  void take_report(const msg::SubtaskReport& report);
  void collect_reports();
  void tell_end(JobState state);
  void fire_deadlines();
  void answer_split_request(const msg::RequestSplit& request);
  void retry_split_requests();

  // Questions and messages to operators.
  struct UnsentMessage {
    msg::AskOperator message;
    caf::response_promise answer;
  };
  caf::result<msg::Answer> ask_operator(const msg::AskOperator& question);
  caf::result<msg::Answer> send_message(const StreamNode& node, const msg::AskOperator& message);
  void take_stored(const msg::MessageStored& stored);
  /// `number`: of a message, else 0.
  void call_operator(const StreamNode& node, const msg::AskOperator& question, std::uint64_t number,
                     const caf::response_promise& promise);
  void take_answer(const msg::OperatorAnswered& answered);
  /// Ends the calls that have waited for too long; `all`: the job is over.
  void give_up_calls(std::optional<Error> all);
  void give_owed_messages(std::uint32_t region);
  void forget_message(std::uint64_t number);
  void remove_messages(const std::vector<std::uint64_t>& numbers);
  Status load_messages();
  [[nodiscard]] Result<std::vector<SubtaskId>> addressees(const StreamNode& node, const std::string& key_json) const;
  [[nodiscard]] std::uint32_t owner_of_key(const std::string& uid, const std::string& key_json,
                                           std::uint32_t parallelism) const;
  /// The group of the subtask's slot, while the subtask may exist.
  [[nodiscard]] caf::group slot_group_of(SubtaskId id) const;
  /// Whether every subtask of the region runs, or is through.
  [[nodiscard]] bool runs(std::uint32_t region) const;
  /// To the workers that have slots of the region.
  template <class Message>
  void tell_region(RegionAttempt of, const Message& message) {
    std::vector<bool> told(workers_.size());
    for (std::uint32_t slot = 0; slot < width(of.region); ++slot) {
      const auto& worker = worker_of_slot_[slot];
      if (!worker || told[*worker]) continue;
      told[*worker] = true;
      send(workers_[*worker].actor, message);
    }
  }
  template <class Message>
  void tell_all(const Message& message) {
    for (const WorkerState& worker : workers_) {
      if (!worker.lost) send(worker.actor, message);
    }
  }
  void heard_from_sender();
  [[nodiscard]] std::uint32_t width(std::uint32_t region) const;
  [[nodiscard]] NodeInstance instance(std::size_t worker) const;
  [[nodiscard]] std::size_t index(SubtaskId id) const;
  /// The worker that has the slot of a subtask, or null.
  [[nodiscard]] WorkerState* worker_of(SubtaskId id);
  [[nodiscard]] msg::JobViewPtr view() const;
  [[nodiscard]] TimeTotals recent(std::size_t subtask) const;

  caf::actor home_;
  std::string job_id_;
  JobGraphPtr graph_;
  SupervisionSettings settings_;
  std::unique_ptr<JobCheckpoints> checkpoints_;           ///< null: the job has none
  caf::actor worker_;                                     ///< for what blocks; null without checkpoints
  caf::actor exporter_;                                   ///< the same for savepoints; null until one is wanted
  std::map<std::uint32_t, RestorePoint> restore_points_;  ///< by region: what its attempt starts from
  struct WantedSavepoint {
    msg::TakeSavepoint wanted;
    caf::response_promise answer;
  };
  std::map<std::uint64_t, WantedSavepoint> wanted_savepoints_;  ///< whose target is being looked at
  std::uint64_t next_savepoint_ = 0;
  MessageLog messages_;
  std::map<std::uint64_t, UnsentMessage> unsent_;  ///< that are being written down
  std::vector<AcquireSlots> postponed_;            ///< until it is known which checkpoint is the latest
  std::optional<Timestamp> checkpoint_wake_;       ///< the earliest CheckpointTime under way
  ExecutionGraph execution_;
  JobSources sources_;
  std::vector<SubtaskId> subtask_ids_;
  std::vector<msg::SubtaskReport> reports_;
  std::vector<TimeTotals> recent_;                 ///< between a subtask's last two reports
  std::vector<Timestamp> reported_;                ///< when the last one came
  std::vector<std::unique_ptr<JobGuard>> guards_;  ///< until the job's end

  std::vector<WorkerState> workers_;                        ///< all that there ever were
  std::vector<std::optional<std::size_t>> worker_of_slot_;  ///< index into workers_; nothing while nobody has the slot
  /// By region and slot: by which group the subtasks there are reached.
  std::map<std::pair<std::uint32_t, std::uint32_t>, msg::SlotDeployed> slots_;
  std::map<std::uint64_t, OpenCall> calls_;
  std::uint64_t last_call_ = 0;
  std::uint32_t round_ = 0;  ///< of asking for slots
  std::vector<RegionAttempt> waiting_for_slots_;
  std::string waits_for_;
  JobState told_state_ = JobState::created;  ///< to the home
  JobState logged_state_ = JobState::created;
  Timestamp logged_failure_ = Timestamp::min();  ///< the newest failure that was logged
  bool end_told_ = false;

  std::vector<msg::RequestSplit> waiting_for_splits_;
  struct Pending {
    SteadyTime due;
    Deadline deadline;
  };
  std::vector<Pending> deadlines_;
  std::vector<caf::response_promise> waiting_for_end_;
};

}  // namespace dataflow
