#pragma once
// A worker process of a simulated cluster: what the actors Worker, Slot and Subtask do between the state machines
// (actors/worker.cpp, slot.cpp, subtask.cpp), on virtual time. A subtask is an Actor, as there; the tasks, their
// snapshots and the ports between them are the real ones.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "libdataflow/checkpoint/restored_checkpoint.hpp"
#include "libdataflow/checkpoint/storage.hpp"
#include "libdataflow/graph/job_graph.hpp"
#include "libdataflow/master/execution.hpp"
#include "libdataflow/runtime/task.hpp"
#include "libdataflow/simulation/data_plane.hpp"
#include "libdataflow/simulation/world.hpp"

namespace dataflow::simulation {

class Master;
class Subtask;
class BlockingQueue;

/// Where the attempt's checkpoints go and what it starts from.
struct CheckpointPlace {
  CheckpointStoragePtr storage;
  std::string lineage;
  std::uint64_t epoch = 0;
  CheckpointStoragePtr restore_storage;  ///< that of checkpoints, or that of savepoints
  std::string restore_from;              ///< a folder there; empty: nothing
};

struct Deployment {
  RegionAttempt of;
  std::string job_id;
  std::uint32_t attempt_base = 0;
  std::vector<std::uint32_t> slots;
};

/// Which worker has which slot of an attempt.
struct Placement {
  RegionAttempt of;
  CheckpointPlace checkpoints;
  std::vector<std::string> workers;
  std::uint32_t self = 0;
  std::vector<std::uint32_t> worker_of_slot;
};

/// What a worker is for.
struct WorkerJob {
  std::shared_ptr<Master> master;
  ConnectionPtr to_master;
  JobGraphPtr graph;
  std::string node;
  std::string name;
};

class Worker final : public Actor {
 public:
  Worker(World& world, ProcessPtr process, WorkerJob job, FindPeer find);
  ~Worker() override;
  /// Once, after it is held by a shared_ptr.
  void begin();

  [[nodiscard]] const WorkerJob& job() const { return job_; }
  [[nodiscard]] const std::shared_ptr<DataPlane>& data() const { return data_; }

  // From the TaskManager.
  void provide(std::uint32_t round, const std::vector<std::uint32_t>& slots);
  void still_here();
  // From the Master.
  void deploy(const Deployment& deployment);
  void connect_peers(const Placement& placement);
  void start(RegionAttempt of);
  void stop_sources(RegionAttempt of, EndOfData how);
  void commit(RegionAttempt of, std::uint64_t epoch);
  void trigger(const Barrier& barrier);
  void complete(std::uint64_t checkpoint);
  void abort(std::uint64_t checkpoint);
  void cancel(RegionAttempt of);
  void assign_split(std::uint32_t attempt, SubtaskId id, const Split& split);
  void no_more_splits(std::uint32_t attempt, SubtaskId id);
  void report();
  // From its subtasks.
  void subtask_failed(std::uint32_t attempt, SubtaskId id, const Error& error);
  void subtask_gone(RegionAttempt of, SubtaskId id);
  /// Calls `say` at the master, behind what was said before.
  void tell(const char* what, std::function<void(Master&)> say);

 private:
  struct Region {
    std::uint32_t attempt = 0;
    bool deployed = false;
    std::map<SubtaskId, std::shared_ptr<Subtask>> subtasks{};
    std::map<std::uint32_t, std::shared_ptr<BlockingQueue>> slots{};
    Placement placement{};
    std::size_t to_connect = 0;
  };
  [[nodiscard]] Region& region_of(SubtaskId id) { return regions_[region_of_vertex_[id.vertex]]; }
  [[nodiscard]] bool is_current(RegionAttempt of) const;
  void take_connected(RegionAttempt of, const Status& status);
  void open(const Placement& placement);
  Status wire(const Placement& placement, SubtaskId id, Subtask& subtask);
  std::shared_ptr<Subtask> find(std::uint32_t attempt, SubtaskId id);
  void for_all(RegionAttempt of, const char* what, const std::function<void(Subtask&)>& call);
  void for_all(const char* what, const std::function<void(Subtask&)>& call);

  void look_around();
  void let_go() override;

  WorkerJob job_;
  Timestamp heard_{};  ///< from the TaskManager
  std::shared_ptr<DataPlane> data_;
  std::vector<std::uint32_t> region_of_vertex_;
  std::vector<Region> regions_;
  std::vector<std::shared_ptr<Subtask>> ending_;  ///< of attempts before, until they are gone
};

}  // namespace dataflow::simulation
