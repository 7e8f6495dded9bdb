#pragma once
// The JobManager and the TaskManagers of a simulated cluster: what actors/cluster does between NodeLiveness, NodeLease,
// SlotAllocator and JobStore, on virtual time.

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "libdataflow/master/job_store.hpp"
#include "libdataflow/master/node_liveness.hpp"
#include "libdataflow/master/slot_allocator.hpp"
#include "libdataflow/simulation/master.hpp"

namespace dataflow::simulation {

class TaskManager;
class JobManager;

/// Who is where, and what a job is: what addresses and artifacts are in a real cluster.
class Directory {
 public:
  virtual ~Directory() = default;
  /// Null when none runs.
  [[nodiscard]] virtual std::shared_ptr<JobManager> job_manager() const = 0;
  [[nodiscard]] virtual std::shared_ptr<Worker> worker(const std::string& name) const = 0;
  virtual void add_worker(const std::shared_ptr<Worker>& worker) = 0;
  /// The job with the n-th layout: its parallelism differs from layout to layout.
  [[nodiscard]] virtual JobGraphPtr graph(std::uint32_t layout) = 0;
  [[nodiscard]] virtual CheckpointStoragePtr storage() const = 0;
  [[nodiscard]] virtual CheckpointStoragePtr savepoints() const = 0;
  /// Somebody was told so.
  virtual void savepoint_taken(const TakenSavepoint& savepoint) = 0;
};

class JobManager final : public Actor {
 public:
  JobManager(World& world, ProcessPtr process, Directory& directory);
  ~JobManager() override;
  /// Opens the store; ends the process when it cannot.
  void begin();

  /// From a client; `resume`: goes on from the newest run of the job; `savepoint`: or from there, if it is not empty.
  void submit(std::uint32_t layout, bool resume, const std::string& savepoint);
  /// How many jobs were ever submitted.
  [[nodiscard]] std::size_t job_count() const { return store_ ? store_->jobs().size() : 0; }
  /// From clients: what has become of the newest job, when that is settled and written down; else null.
  [[nodiscard]] const StoredJob* ended_job() const;
  [[nodiscard]] std::shared_ptr<Master> master() const { return job_ ? job_->master : nullptr; }

  // From TaskManagers.
  void register_node(const std::shared_ptr<TaskManager>& node, const ConnectionPtr& connection,
                     const NodeInstance& instance, std::uint32_t slots);
  void hear(const ConnectionPtr& connection, const NodeInstance& instance, std::uint64_t epoch, Timestamp sent);
  void worker_died(const std::string& node, std::uint64_t epoch, std::uint32_t round, const std::string& reason);
  // From the master with that number.
  void request_slots(std::uint64_t master, std::uint32_t round, const std::vector<std::uint32_t>& slots);
  void kill_worker(std::uint64_t master, const std::string& node, const std::string& reason);
  void job_ended(std::uint64_t master, JobState state, const std::optional<Error>& error);

 private:
  void let_go() override;

  struct Node {
    std::shared_ptr<TaskManager> task_manager;
    ConnectionPtr connection;
    std::uint64_t incarnation = 0;
    std::uint32_t slots = 0;
  };
  struct Running {
    StoredJob record;
    std::uint32_t layout = 0;
    bool resume = false;
    std::string savepoint;
    std::uint32_t starts = 0;
    std::uint64_t number = 0;  ///< of its master; 0: none
    std::shared_ptr<Master> master;
    ProcessPtr process;
    std::uint32_t round = 0;
    struct Wanted {
      std::uint32_t round;
      std::vector<std::uint32_t> slots;
    };
    std::optional<Wanted> wanted;
  };

  void recover();
  void start_master();
  void master_exited(std::uint64_t number);
  void end_job(JobState state, const std::optional<Error>& error);
  void end_workers(const std::string& reason);
  void look_around();
  bool save();
  void apply(const LivenessEffects& effects);
  void apply(const SlotEffects& effects, const std::string& node_lost_by = {});
  void assign(const SlotsAllocated& effect);
  void tell_master(const char* what, std::function<void(Master&)> say);
  void tell_node(const std::string& name, const char* what, std::function<void(TaskManager&)> say);

  Directory& directory_;
  std::optional<JobStore> store_;
  NodeLiveness liveness_;
  SlotAllocator slots_;
  std::map<std::string, Node> nodes_;
  std::optional<Running> job_;
  std::uint64_t masters_ = 0;
  bool unsaved_ = false;
};

/// The worker that is to be given slots, of which master's.
struct Assignment {
  std::uint64_t leader_epoch = 0;
  std::shared_ptr<Master> master;
  std::uint32_t layout = 0;
  std::uint32_t round = 0;
  std::vector<std::uint32_t> slots;
};

class TaskManager final : public Actor {
 public:
  TaskManager(World& world, ProcessPtr process, Directory& directory, std::uint32_t slots);
  ~TaskManager() override;
  void begin();

  // From the JobManager.
  void take_answer(bool accepted, std::uint64_t leader_epoch, std::uint64_t taken_incarnation);
  void heartbeat_answered(std::uint64_t incarnation, bool known, Timestamp sent);
  void assign(const Assignment& assignment);
  void end_worker(std::uint64_t leader_epoch, const std::string& reason);

  [[nodiscard]] std::string node() const { return process_->machine; }

 private:
  void let_go() override;
  void connect();
  void register_node();
  void beat();
  void lose_job_manager(const std::string& reason);
  void kill_worker(const std::string& reason);
  void start_worker(const Assignment& assignment);
  void join_master(const Assignment& assignment, const ProcessPtr& process);
  void worker_ended(const ProcessPtr& process);
  void tell(const char* what, std::function<void(JobManager&)> say);

  Directory& directory_;
  std::uint32_t slot_count_;
  std::uint64_t incarnation_;
  std::shared_ptr<JobManager> job_manager_;
  ConnectionPtr connection_;
  bool accepted_ = false;
  std::uint64_t leader_epoch_ = 0;
  Timestamp asked_at_{};  ///< to be let in
  std::optional<NodeLease> lease_;
  ProcessPtr worker_process_;
  std::shared_ptr<Worker> worker_;  ///< null until it has found its master
  std::uint32_t round_ = 0;         ///< of the worker's newest slots
  std::vector<Assignment> waiting_;
};

}  // namespace dataflow::simulation
