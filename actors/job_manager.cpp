#include "actors/job_manager.hpp"

#include <algorithm>

#include <caf/all.hpp>

#include "actors/job_supervisor.hpp"

namespace dataflow {

JobManager::JobManager(caf::actor_config& config, std::function<std::string()> new_job_id)
    : caf::event_based_actor{config}, new_job_id_{std::move(new_job_id)} {}

caf::behavior JobManager::make_behavior() {
  return {
      [this](const msg::RegisterTaskManager& m) {
        nodes_.push_back({m.task_manager, m.slots, 0});
        serve_waiting();
      },
      [this](const msg::SubmitJob& m) { return submit(m); },
      [this](const msg::RequestSlots& m) {
        waiting_.push_back({caf::actor_cast<caf::actor>(current_sender()), m});
        serve_waiting();
      },
      [this](const msg::JobEnded& m) {
        release(m.job_id);
        serve_waiting();
      },
  };
}

void JobManager::on_exit() {
  nodes_.clear();
  waiting_.clear();
  jobs_.clear();
}

msg::JobAccepted JobManager::submit(const msg::SubmitJob& job) {
  std::string id = new_job_id_();
  auto supervisor = spawn<JobSupervisor, caf::detached>(caf::actor_cast<caf::actor>(this), id, job.graph, job.start);
  jobs_.emplace(id, supervisor);
  return {std::move(id), std::move(supervisor)};
}

void JobManager::serve_waiting() {
  if (nodes_.empty()) return;  // the first TaskManager is about to register
  std::uint32_t exist = 0;
  for (const Node& node : nodes_) exist += node.slots;
  while (!waiting_.empty()) {
    const Waiting& first = waiting_.front();
    if (first.request.count > exist) {
      send(first.supervisor,
           msg::SlotsRefused{"the job needs " + std::to_string(first.request.count) + " slots, " +
                             std::to_string(exist) + " exist; give it " + std::to_string(first.request.count - exist) +
                             " more, or a smaller parallelism"});
      waiting_.pop_front();
      continue;
    }
    std::uint32_t free = 0;
    for (const Node& node : nodes_) free += node.slots - node.used;
    if (free < first.request.count) return;
    msg::SlotsGranted granted;
    auto& lease = leases_[first.request.job_id];
    while (granted.task_managers.size() < first.request.count) {
      // The emptiest node first, so that a job's subtasks spread.
      const auto emptiest = std::max_element(nodes_.begin(), nodes_.end(), [](const Node& a, const Node& b) {
        return a.slots - a.used < b.slots - b.used;
      });
      ++emptiest->used;
      lease.push_back(static_cast<std::size_t>(emptiest - nodes_.begin()));
      granted.task_managers.push_back(emptiest->task_manager);
    }
    send(first.supervisor, std::move(granted));
    waiting_.pop_front();
  }
}

void JobManager::release(const std::string& job_id) {
  const auto lease = leases_.find(job_id);
  if (lease == leases_.end()) return;
  for (const std::size_t node : lease->second) --nodes_[node].used;
  leases_.erase(lease);
}

}  // namespace dataflow
