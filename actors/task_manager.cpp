#include "actors/task_manager.hpp"

#include <caf/all.hpp>

#include "actors/slot.hpp"

namespace dataflow {

TaskManager::TaskManager(caf::actor_config& config, caf::actor job_manager, std::uint32_t slots)
    : caf::event_based_actor{config}, job_manager_{std::move(job_manager)}, slots_{slots} {}

caf::behavior TaskManager::make_behavior() {
  set_down_handler([this](const caf::down_msg& down) { supervisor_of_slot_.erase(down.source); });
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
  supervisor_of_slot_.clear();
}

void TaskManager::deploy(const msg::DeploySlot& deployment) {
  auto slot = spawn<Slot, caf::monitored>(caf::actor_cast<caf::actor>(this), deployment);
  supervisor_of_slot_.emplace(slot.address(), deployment.supervisor);
}

caf::actor TaskManager::supervisor_of_sender() {
  const auto at = supervisor_of_slot_.find(caf::actor_cast<caf::actor_addr>(current_sender()));
  return at == supervisor_of_slot_.end() ? caf::actor{} : at->second;
}

}  // namespace dataflow
