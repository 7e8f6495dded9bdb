#include "actors/slot.hpp"

#include <caf/all.hpp>

#include "actors/blocking_worker.hpp"
#include "actors/subtask.hpp"

namespace dataflow {

std::string slot_group_name(const std::string& job_id, RegionAttempt of, std::uint32_t slot) {
  return job_id + "/" + std::to_string(of.region) + "/" + std::to_string(of.attempt) + "/" + std::to_string(slot);
}

Slot::Slot(caf::actor_config& config, caf::actor task_manager, msg::DeploySlot deployment)
    : caf::event_based_actor{config},
      task_manager_{std::move(task_manager)},
      deployment_{std::move(deployment)},
      group_{system().groups().get_local(slot_group_name(deployment_.job_id, deployment_.of, deployment_.slot))} {}

caf::behavior Slot::make_behavior() {
  // Links take the subtasks along when the slot dies; the other way round, a subtask's end is reported, not shared.
  set_exit_handler([this](const caf::exit_msg& exit) {
    if (exit.reason && alive_.count(exit.source) == 0 && ended_.count(exit.source) == 0) quit(exit.reason);
  });
  set_down_handler([this](const caf::down_msg& down) { on_subtask_down(down); });
  deploy();
  return {
      [this](const msg::SubtaskFailed& m) { reasons_.insert_or_assign(m.id, m.error); },
      [this](msg::CancelSlot) { send(group_, msg::CancelSubtask{}); },
  };
}

void Slot::on_exit() {
  task_manager_ = nullptr;
  deployment_.supervisor = nullptr;
  if (worker_) anon_send_exit(worker_, caf::exit_reason::user_shutdown);
  worker_ = nullptr;
}

void Slot::deploy() {
  if (deployment_.graph->stream->settings.checkpoint) worker_ = spawn<BlockingWorker, caf::detached>();
  msg::SlotDeployed deployed{deployment_.of, caf::actor_cast<caf::actor>(this), {}};
  for (const SubtaskId id : deployment_.subtasks) {
    auto actor = spawn<Subtask, caf::monitored + caf::linked>(
        deployment_.supervisor, caf::actor_cast<caf::actor>(this), deployment_.graph,
        Task::Identity{deployment_.job_id, id.vertex, id.subtask, deployment_.attempt_base + deployment_.of.attempt},
        deployment_.of.attempt, group_, worker_);
    alive_.emplace(actor.address(), id);
    deployed.subtasks.push_back({id, std::move(actor)});
  }
  anon_send(deployment_.supervisor, std::move(deployed));
}

void Slot::on_subtask_down(const caf::down_msg& down) {
  const auto at = alive_.find(down.source);
  if (at == alive_.end()) return;
  const SubtaskId id = at->second;
  alive_.erase(at);
  ended_.insert(down.source);
  const bool in_order = !down.reason || down.reason == caf::exit_reason::user_shutdown;
  if (!in_order) {
    const auto reason = reasons_.find(id);
    const Error error = reason != reasons_.end()
                            ? reason->second
                            : Error{ErrorCode::internal, "the subtask ended without a word: " + to_string(down.reason)};
    send(task_manager_, msg::SubtaskFailed{deployment_.of.attempt, id, error});
  }
  send(task_manager_, msg::SubtaskGone{deployment_.of.attempt, id});
  if (alive_.empty()) quit();
}

}  // namespace dataflow
