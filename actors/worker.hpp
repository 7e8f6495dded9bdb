#pragma once
// The Worker actor: the subtasks of one job in one process. It makes Slot actors on demand, wires and starts their
// Subtasks, and speaks for all of them to the JobSupervisor, so that what goes between processes is one conversation
// for each worker and not one for each subtask. `dfnode run` has one Worker beside the JobSupervisor; in a cluster each
// is a process.

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <caf/event_based_actor.hpp>

#include "actors/messages.hpp"
#include "libdataflow/topology/substitution.hpp"

namespace dataflow {

class Exchange;
class PrintRelay;
class StateBackend;

/// What a Worker is for.
struct WorkerJob {
  caf::actor supervisor;
  JobGraphPtr graph;
  std::string job_id;
  std::uint64_t graph_hash = 0;
  std::uint64_t leader_epoch = 0;
  std::string node;                     ///< the TaskManager's name
  std::string name;                     ///< this process's, which no other ever has
  std::string host;                     ///< where other workers reach this process
  std::shared_ptr<Exchange> exchange;   ///< the way to other workers; null: there are none
  Secrets secrets;                      ///< to hide from the log
  std::shared_ptr<PrintRelay> print;    ///< null: print sinks write to this process's standard output
  std::shared_ptr<StateBackend> state;  ///< null: state is in memory
};

class Worker final : public caf::event_based_actor {
 public:
  Worker(caf::actor_config& config, WorkerJob job);

  caf::behavior make_behavior() override;
  void on_exit() override;
  [[nodiscard]] const char* name() const override { return "dataflow.worker"; }

 private:
  void offer(const msg::ProvideSlots& provided);
  void deploy(const msg::DeploySlots& slots);
  void connect_peers(const msg::OpenSubtasks& placement);
  void take_connected(const msg::PeerConnected& connected);
  void open(const msg::OpenSubtasks& placement);
  Result<msg::Peer> receiver_of(const msg::OpenSubtasks& placement, SubtaskId id, std::size_t output,
                                const ChannelId& channel);
  Result<msg::Peer> sender_of(const msg::OpenSubtasks& placement, SubtaskId id, std::size_t input,
                              const ChannelId& channel);
  void cancel(RegionAttempt of);
  /// One line for what has happened to a subtask; in a cluster, where someone may look for it.
  void log_event(std::uint32_t attempt, SubtaskId id, const std::string& what) const;
  void report();
  void on_down(const caf::down_msg& down);
  template <class Message>
  void tell_subtasks(RegionAttempt of, const Message& message);
  /// To the subtasks of all regions, by the groups of their slots.
  template <class Message>
  void tell_slots(const Message& message);
  template <class Message>
  void pass_on(const Message& message);
  /// Null when the subtask is not here, or not any more.
  [[nodiscard]] caf::actor find(std::uint32_t attempt, SubtaskId id);

  struct RunningSlot {
    caf::actor actor;
    RegionAttempt of;
    std::uint32_t slot = 0;
  };

  /// What is here of a failover region.
  struct Region {
    std::uint32_t attempt = 0;
    bool deployed = false;
    std::map<SubtaskId, caf::actor> subtasks{};
    std::vector<caf::group> slots{};
    msg::OpenSubtasks placement{};  ///< once it is known
    std::size_t to_connect = 0;     ///< peers whose connection does not stand yet
  };
  [[nodiscard]] Region& region_of(SubtaskId id) { return regions_[region_of_vertex_[id.vertex]]; }
  [[nodiscard]] bool is_current(RegionAttempt of) const { return regions_[of.region].attempt == of.attempt; }

  WorkerJob job_;
  std::vector<std::uint32_t> region_of_vertex_;
  std::vector<Region> regions_;
  std::set<std::uint32_t> printing_;              ///< regions that run: while there are any, print sinks may write
  std::map<caf::actor_addr, RunningSlot> slots_;  ///< of every attempt that is not yet out of the house
  std::map<SubtaskId, msg::SubtaskReport> news_;  ///< reports since the last Reports
};

}  // namespace dataflow
