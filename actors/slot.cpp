#include "actors/slot.hpp"

#include <caf/all.hpp>

#include "actors/blocking_worker.hpp"
#include "actors/subtask.hpp"

namespace dataflow {

std::string slot_group_name(const std::string& job_id, RegionAttempt of, std::uint32_t slot) {
  return job_id + "/" + std::to_string(of.region) + "/" + std::to_string(of.attempt) + "/" + std::to_string(slot);
}

Slot::Slot(caf::actor_config& config, caf::actor worker, JobGraphPtr graph, std::string job_id,
           std::uint32_t attempt_base, RegionAttempt of, std::uint32_t slot, std::vector<SubtaskId> subtasks,
           std::shared_ptr<StateBackend> state)
    : caf::event_based_actor{config},
      worker_{std::move(worker)},
      graph_{std::move(graph)},
      job_id_{std::move(job_id)},
      attempt_base_{attempt_base},
      of_{of},
      slot_{slot},
      subtasks_{std::move(subtasks)},
      state_{std::move(state)},
      group_{system().groups().get_local(slot_group_name(job_id_, of_, slot_))} {}

caf::behavior Slot::make_behavior() {
  // Links take the subtasks along when the slot dies; the other way round, a subtask's end is reported, not shared.
  set_exit_handler([this](const caf::exit_msg& exit) {
    if (exit.reason && alive_.count(exit.source) == 0 && ended_.count(exit.source) == 0) quit(exit.reason);
  });
  set_down_handler([this](const caf::down_msg& down) { on_subtask_down(down); });
  deploy();
  return {
      [this](const msg::SubtaskFailed& m) { reasons_.insert_or_assign(m.id, m.failure); },
      [this](msg::CancelSlot) { send(group_, msg::CancelSubtask{}); },
  };
}

void Slot::on_exit() {
  worker_ = nullptr;
  if (blocking_worker_) anon_send_exit(blocking_worker_, caf::exit_reason::user_shutdown);
  blocking_worker_ = nullptr;
}

void Slot::deploy() {
  if (graph_->stream->settings.checkpoint) blocking_worker_ = spawn<BlockingWorker, caf::detached>();
  msg::SlotMade made{of_, slot_, group_, {}};
  for (const SubtaskId id : subtasks_) {
    auto actor = spawn<Subtask, caf::monitored + caf::linked>(
        worker_, caf::actor_cast<caf::actor>(this), graph_,
        Task::Identity{job_id_, id.vertex, id.subtask, attempt_base_ + of_.attempt}, of_.attempt, group_,
        blocking_worker_, state_);
    alive_.emplace(actor.address(), id);
    made.subtasks.push_back({id, std::move(actor)});
  }
  anon_send(worker_, std::move(made));
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
    const msg::Failure failure =
        reason != reasons_.end()
            ? reason->second
            : msg::Failure{Error{ErrorCode::internal, "the subtask ended without a word: " + to_string(down.reason)}};
    send(worker_, msg::SubtaskFailed{of_.attempt, id, failure});
  }
  send(worker_, msg::SubtaskGone{of_.attempt, id});
  if (alive_.empty()) quit();
}

}  // namespace dataflow
