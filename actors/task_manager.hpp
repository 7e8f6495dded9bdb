#pragma once
// The TaskManager actor: one per node. Owns its task slots, makes Slot actors in them on demand and passes on what
// becomes of their subtasks.

#include <map>

#include <caf/event_based_actor.hpp>

#include "actors/messages.hpp"

namespace dataflow {

class TaskManager final : public caf::event_based_actor {
 public:
  /// Registers with `job_manager`, offering `slots`.
  TaskManager(caf::actor_config& config, caf::actor job_manager, std::uint32_t slots);

  caf::behavior make_behavior() override;
  void on_exit() override;
  [[nodiscard]] const char* name() const override { return "dataflow.task_manager"; }

 private:
  void deploy(const msg::DeploySlot& deployment);
  /// Whoever supervises the job that the sending slot belongs to.
  caf::actor supervisor_of_sender();

  caf::actor job_manager_;
  std::uint32_t slots_;
  struct RunningSlot {
    caf::actor supervisor;
    RegionAttempt of;
    std::uint32_t slot = 0;
  };
  std::map<caf::actor_addr, RunningSlot> running_;
};

}  // namespace dataflow
