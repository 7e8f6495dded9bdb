#pragma once
// The JobManager actor: registers TaskManagers, takes jobs and keeps them, gives each a master process, hands out slots
// and passes clients' calls on. It never loads user code: what a job is made of is only looked at in its master.
//
// What it decides is in libdataflow/master: NodeLiveness knows who is alive, SlotAllocator which slot is whose,
// JobStore what must not be forgotten. job_manager.cpp has nodes and slots, job_manager_masters.cpp jobs and their
// processes, job_manager_clients.cpp what clients ask.

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <caf/event_based_actor.hpp>
#include <caf/response_promise.hpp>

#include "actors/cluster/artifact_store.hpp"
#include "actors/cluster/child_processes.hpp"
#include "actors/cluster/job_json.hpp"
#include "actors/cluster/own_messages.hpp"
#include "actors/cluster/processes.hpp"
#include "actors/wire/cluster_messages.hpp"
#include "actors/wire/job_messages.hpp"
#include "libdataflow/master/job_store.hpp"
#include "libdataflow/master/node_liveness.hpp"
#include "libdataflow/master/restart_strategy.hpp"
#include "libdataflow/master/slot_allocator.hpp"

namespace dataflow {

class JobManager final : public caf::event_based_actor {
 public:
  /// `children` outlives the actor, and what `store` works on the store.
  JobManager(caf::actor_config& config, JobManagerOptions options, ChildProcesses& children, JobStore store);

  caf::behavior make_behavior() override;
  void on_exit() override;
  [[nodiscard]] const char* name() const override { return "dataflow.job_manager"; }

 private:
  struct Node {
    caf::actor task_manager;
    std::uint64_t incarnation = 0;
    std::uint32_t slots = 0;
  };
  /// A job that has, or is about to have, a master.
  struct Running {
    explicit Running(StoredJob job);

    StoredJob record;         ///< what is known now; in the store since the last save
    std::uint64_t token = 0;  ///< of the master process; 0 while there is none
    pid_t pid = 0;            ///< 0 until it has been started
    caf::actor master;        ///< null until it is connected
    bool ready = false;       ///< the master has built the graph
    bool was_ready = false;   ///< so had an earlier one
    std::uint64_t epoch = 0;
    std::uint64_t data_token = 0;
    std::uint16_t port = 0;
    std::uint32_t starts = 0;  ///< of masters
    RestartStrategy after_crash;
    RestartStrategy after_kill;
    std::optional<msg::RequestSlots> wanted;  ///< waits for slots
    std::string told_reason;                  ///< why it waits
    std::uint32_t round = 0;                  ///< of the last slots
    std::optional<caf::response_promise> submitter;
    bool cancelled = false;
    bool recovered = false;  ///< an earlier JobManager knew it
  };

  /// A client's, which has gone on to the job's master.
  struct OpenCall {
    std::string job_id;
    msg::JobVerb verb = msg::JobVerb::show;
    caf::response_promise promise;
  };

  caf::message_handler node_messages();
  caf::message_handler master_messages();
  caf::message_handler client_messages();

  // Nodes.
  caf::result<msg::NodeAnswer> register_node(const msg::RegisterNode& node);
  msg::HeartbeatAnswer hear(const msg::NodeHeartbeat& beat);
  void lose_node(const caf::actor_addr& task_manager);
  void look_around();
  void apply(const LivenessEffects& effects);
  void carry_out(const NodeJoined& effect);
  void carry_out(const NodeRefused& effect);
  void carry_out(const NodeSuspected& effect);
  void carry_out(const NodeTrusted& effect);
  void carry_out(const NodeDied& effect);

  // Slots.
  void request_slots(const msg::RequestSlots& request);
  void apply(const SlotEffects& effects, const std::string& node_lost_by = {});
  void assign(const SlotsAllocated& effect);
  void tell_lost(const SlotsRevoked& effect, const std::string& reason);
  void refuse(const SlotsDenied& effect);
  void tell_reasons();

  // Jobs and their masters.
  caf::result<msg::Answer> submit(const msg::SubmitJob& request);
  void start_master(const std::string& job_id);
  void recover_jobs();
  caf::result<msg::MasterJob> welcome(const msg::ChildHello& hello);
  void take_ready(const msg::MasterReady& ready);
  caf::result<msg::CommitMayBegin> keep_commit();
  void take_ended(const msg::MasterEnded& ended);
  void master_exited(const msg::ChildEnded& ended);
  /// Why the master has ended, with the backtrace of a crash; it goes into the job's history of failures.
  std::string note_loss(Running& job, const std::string& how);
  void note_stuck(const std::string& job_id, const std::string& node, const std::string& where);
  void cancel_without_master(Running& job);
  void end_job(const std::string& job_id, JobState state, std::optional<Error> error, std::string json);
  void end_workers(const std::string& job_id, const std::string& reason, bool job_ended);
  Status save(const StoredJob& record);
  void leave_if_deposed(const Status& status);
  void save_or_log(const StoredJob& record);
  void save_again();

  // Clients.
  [[nodiscard]] Status check(const msg::Hello& hello) const;
  [[nodiscard]] Result<std::string> find_job(const std::string& id_or_name) const;
  Status cancel(Running& job);
  msg::Answer put_artifact(const msg::PutArtifact& piece);
  caf::result<msg::Answer> call_job(const msg::CallJob& call);
  void answer_call(std::uint64_t number, msg::Answer answer);
  void answer_calls_of(const Running& job);
  caf::result<msg::Answer> collect_logs(const std::string& job_id);
  caf::result<msg::Followed> follow(const msg::FollowJob& request);
  /// What `show` says of a job that has no master to ask.
  [[nodiscard]] std::string describe(const StoredJob& job) const;
  [[nodiscard]] std::string list_jobs() const;
  [[nodiscard]] std::string list_nodes() const;

  static msg::JobSpec job_spec(const StoredJob& record);
  Running* running(const std::string& job_id);
  /// Null for a job that is not known.
  [[nodiscard]] const StoredJob* record(const std::string& job_id) const;
  /// By the time when they were submitted.
  [[nodiscard]] std::vector<const StoredJob*> all_jobs() const;
  /// The job whose master sent the message that is being handled, or null.
  Running* job_of_sender();
  [[nodiscard]] Duration heartbeat() const { return options_.silence_timeout / 8; }

  JobManagerOptions options_;
  ChildProcesses& children_;
  JobStore store_;
  ArtifactStore artifacts_;  ///< the store's, read by pieces
  ArtifactStore uploads_;    ///< until they are whole
  Endpoint listening_;
  std::map<std::string, Node> nodes_;  ///< those that are alive
  NodeLiveness liveness_;
  SlotAllocator slots_;
  std::map<std::string, Running> running_;
  std::map<std::uint64_t, OpenCall> calls_;
  std::uint64_t last_call_ = 0;
  std::map<std::string, StoredJob> unsaved_;  ///< ends that the disk has refused
};

}  // namespace dataflow
