#pragma once
// The TaskManager actor: a node of the cluster. It registers with the JobManager, keeps the artifacts that its workers
// need, and starts a worker process for each job that has slots here. One spare worker is always up and connected, so
// that a job's start waits for no process. A worker ends with its TaskManager, and when it has heard nothing from it
// for too long.

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>

#include <caf/event_based_actor.hpp>
#include <caf/io/middleman_actor.hpp>

#include "actors/cluster/artifact_store.hpp"
#include "actors/cluster/child_processes.hpp"
#include "actors/cluster/processes.hpp"
#include "actors/wire/cluster_messages.hpp"
#include "libdataflow/master/node_liveness.hpp"

namespace dataflow {

class TaskManager final : public caf::event_based_actor {
 public:
  /// `middleman` is the ControlPlane's. `registered` is called once, when the JobManager has accepted the node or
  /// refused it. `children` outlives the actor.
  TaskManager(caf::actor_config& config, TaskManagerOptions options, ChildProcesses& children,
              caf::io::middleman_actor middleman, std::function<void(const Status&)> registered);

  caf::behavior make_behavior() override;
  void on_exit() override;
  [[nodiscard]] const char* name() const override { return "dataflow.task_manager"; }

 private:
  struct Child {
    pid_t pid = 0;
    caf::actor actor;    ///< null until it is connected
    std::string job_id;  ///< empty: the spare
    std::uint32_t round = 0;
    bool told_to_end = false;
    bool stuck = false;      ///< when it was told
    bool job_ended = false;  ///< likewise
    std::filesystem::path log_file{};
    std::map<std::string, std::string> file_names{};  ///< of the job's artifacts, by hash
  };

  caf::message_handler job_manager_messages();
  caf::message_handler child_messages();

  // The JobManager.
  void connect();
  void register_node();
  void take_answer(const msg::NodeAnswer& answer, Timestamp asked);
  void beat();
  void not_connected(const Error& error);
  void lose_job_manager(const std::string& reason);

  // Jobs.
  void assign(const msg::AssignSlots& assigned);
  void fetch(const std::string& artifact);
  void ask_for_piece(const std::string& artifact, std::uint64_t offset);
  void give_up_artifact(const std::string& artifact, const std::string& reason);
  [[nodiscard]] bool is_wanted(const std::string& artifact) const;
  void take_piece(const std::string& artifact, std::uint64_t offset, const msg::ArtifactPiece& piece);
  void dispatch();
  /// Of jobs that have, or are about to have, a worker here.
  [[nodiscard]] std::set<std::string> artifacts_in_use() const;
  void trim_artifacts() const;
  void end_worker(const std::string& job_id, const std::string& reason, bool stuck = false);
  void end_job(const std::string& job_id, const std::string& reason);
  void report_death(const std::string& job_id, std::uint32_t round, const std::string& reason, bool crashed);

  // Processes.
  void start_spare();
  void take_child(const msg::ChildHello& hello);
  void child_ended(std::uint64_t token, const std::string& how, bool crashed);
  [[nodiscard]] std::filesystem::path states() const;
  [[nodiscard]] std::set<std::string> live_jobs() const;
  Child* worker_of(const std::string& job_id);
  Child* spare();

  TaskManagerOptions options_;
  ChildProcesses& children_;
  caf::io::middleman_actor middleman_;
  std::function<void(const Status&)> registered_;
  ArtifactStore artifacts_;
  Endpoint listening_;
  Endpoint reached_at_;  ///< by other nodes; as a text, this one's name
  std::uint64_t incarnation_;
  caf::actor job_manager_;  ///< null while there is no connection
  bool accepted_ = false;
  std::string told_error_;  ///< why there is no connection, once it was logged
  std::uint64_t leader_epoch_ = 0;
  Duration timeout_ = std::chrono::seconds{8};
  std::optional<NodeLease> lease_;                   ///< while accepted_
  std::map<std::uint64_t, Child> workers_;           ///< by token
  std::map<std::string, msg::AssignSlots> waiting_;  ///< by job: for its artifact, or for a worker
  std::set<std::string> fetching_;
  std::uint64_t spares_started_ = 0;
  std::uint32_t spare_failures_ = 0;  ///< in a row
};

}  // namespace dataflow
