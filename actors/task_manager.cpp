#include "actors/task_manager.hpp"

#include <caf/all.hpp>

#include "actors/slot.hpp"

namespace dataflow {

TaskManager::TaskManager(caf::actor_config& config, caf::actor job_manager, std::uint32_t slots)
    : caf::event_based_actor{config}, job_manager_{std::move(job_manager)}, slots_{slots} {}

caf::behavior TaskManager::make_behavior() {
  set_down_handler([this](const caf::down_msg& down) {
    const auto at = running_.find(down.source);
    if (at == running_.end()) return;
    const RunningSlot slot = std::move(at->second);
    running_.erase(at);
    if (down.reason) anon_send(slot.supervisor, msg::SlotLost{slot.of, slot.slot, to_string(down.reason)});
  });
  send(job_manager_, msg::RegisterTaskManager{caf::actor_cast<caf::actor>(this), slots_});
  return {
      [this](const msg::DeploySlot& m) { deploy(m); },
      [this](const msg::SubtaskFailed& m) {
        if (auto supervisor = supervisor_of_sender()) anon_send(supervisor, m);
      },
      [this](const msg::SubtaskGone& m) {
        if (auto supervisor = supervisor_of_sender()) anon_send(supervisor, m);
      },
  };
}

void TaskManager::on_exit() {
  job_manager_ = nullptr;
  running_.clear();
}

void TaskManager::deploy(const msg::DeploySlot& deployment) {
  auto slot = spawn<Slot, caf::monitored>(caf::actor_cast<caf::actor>(this), deployment);
  running_.emplace(slot.address(), RunningSlot{deployment.supervisor, deployment.of, deployment.slot});
}

caf::actor TaskManager::supervisor_of_sender() {
  const auto at = running_.find(caf::actor_cast<caf::actor_addr>(current_sender()));
  return at == running_.end() ? caf::actor{} : at->second.supervisor;
}

}  // namespace dataflow
