#pragma once
// The JobManager actor: registers TaskManagers, takes jobs and keeps them, gives each a master process, hands out slots
// and passes clients' calls on. It never loads user code: what a job is made of is only looked at in its master.

#include <chrono>
#include <deque>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include <caf/event_based_actor.hpp>
#include <caf/response_promise.hpp>

#include "actors/cluster/artifact_store.hpp"
#include "actors/cluster/child_processes.hpp"
#include "actors/cluster/job_record.hpp"
#include "actors/cluster/processes.hpp"
#include "actors/cluster/slot_table.hpp"
#include "actors/wire/cluster_messages.hpp"
#include "actors/wire/job_messages.hpp"

namespace dataflow {

class JobManager final : public caf::event_based_actor {
 public:
  /// `children` outlives the actor. `listening` is set by the message UseEndpoint once the actor is published.
  JobManager(caf::actor_config& config, JobManagerOptions options, ChildProcesses& children, JobRecords records);

  caf::behavior make_behavior() override;
  void on_exit() override;
  [[nodiscard]] const char* name() const override { return "dataflow.job_manager"; }

 private:
  using SteadyTime = std::chrono::steady_clock::time_point;

  struct Node {
    caf::actor task_manager;
    std::uint64_t incarnation = 0;
    SteadyTime heard;
  };
  /// What is known of a job beside its record.
  struct Running {
    std::uint64_t token = 0;  ///< of the master process
    pid_t pid = 0;
    caf::actor master;  ///< null until it is connected
    bool ready = false;
    std::uint64_t epoch = 0;
    std::uint64_t data_token = 0;
    std::uint16_t port = 0;
    std::uint32_t starts = 0;                 ///< of the master
    std::optional<msg::RequestSlots> wanted;  ///< waits in queue_
    SteadyTime wanted_since;
    std::string told_reason;
    std::uint32_t round = 0;  ///< of the last slots
    std::optional<caf::response_promise> submitter;
    bool cancelled = false;
    bool recovered = false;  ///< an earlier JobManager knew it
  };

  caf::message_handler node_messages();
  caf::message_handler master_messages();
  caf::message_handler client_messages();

  // Nodes.
  msg::NodeAnswer register_node(const msg::RegisterNode& node);
  void lose_node(const std::string& name, const std::string& reason);
  void look_at_nodes();

  // Jobs and their masters.
  caf::result<msg::Answer> submit(const msg::SubmitJob& request);
  void start_master(const std::string& job_id);
  void recover_jobs();
  caf::result<msg::MasterJob> welcome(const msg::ChildHello& hello);
  void take_ready(const msg::MasterReady& ready);
  void take_ended(const msg::MasterEnded& ended);
  void master_exited(const std::string& job_id, std::uint64_t token, const std::string& how);
  void end_job(const std::string& job_id, JobState state, const msg::Failure& failure, std::string json);
  void release_slots(const std::string& job_id, const std::string& reason);

  // Slots.
  void request_slots(const msg::RequestSlots& request);
  void serve_queue();
  void grant(const std::string& job_id);

  // Clients.
  [[nodiscard]] Status check(const msg::Hello& hello) const;
  [[nodiscard]] Result<std::string> find_job(const std::string& id_or_name) const;
  caf::result<msg::Answer> call_job(const msg::CallJob& call);
  caf::result<msg::Answer> collect_logs(const std::string& job_id);
  caf::result<msg::Followed> follow(const msg::FollowJob& request);
  [[nodiscard]] std::string list_jobs() const;
  [[nodiscard]] std::string list_nodes() const;

  Running* running(const std::string& job_id);
  /// The job whose master sent the message that is being handled.
  std::string job_of_sender();
  [[nodiscard]] Duration heartbeat() const { return options_.silence_timeout / 8; }

  JobManagerOptions options_;
  ChildProcesses& children_;
  ArtifactStore artifacts_;
  JobRecords records_;
  Endpoint listening_;
  std::map<std::string, Node> nodes_;
  SlotTable slots_;
  std::map<std::string, Running> running_;
  std::deque<std::string> queue_;  ///< jobs that wait for slots, first come first served
};

}  // namespace dataflow
