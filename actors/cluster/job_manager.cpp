#include "actors/cluster/job_manager.hpp"

#include <algorithm>

#include <spdlog/spdlog.h>
#include <caf/all.hpp>

#include "actors/cluster/own_messages.hpp"

namespace dataflow {

JobManager::JobManager(caf::actor_config& config, JobManagerOptions options, ChildProcesses& children,
                       JobRecords records)
    : caf::event_based_actor{config},
      options_{std::move(options)},
      children_{children},
      artifacts_{options_.storage / "artifacts"},
      records_{std::move(records)} {}

caf::behavior JobManager::make_behavior() {
  set_down_handler([this](const caf::down_msg& down) {
    for (const auto& [name, node] : nodes_) {
      if (node.task_manager.address() == down.source) return lose_node(name, "the connection to it was lost");
    }
    for (auto& [id, job] : running_) {
      if (job.master && job.master.address() == down.source) job.master = nullptr;  // its process's end comes, too
    }
  });
  return node_messages().or_else(master_messages()).or_else(client_messages());
}

void JobManager::on_exit() {
  nodes_.clear();
  running_.clear();
}

// ---- Nodes ----------------------------------------------------------------------------------------------------------

caf::message_handler JobManager::node_messages() {
  return {
      [this](const msg::UseEndpoint& m) {
        listening_ = m.endpoint;
        recover_jobs();
        delayed_send(this, heartbeat(), msg::LookAround{});
      },
      [this](msg::LookAround) {
        look_at_nodes();
        serve_queue();
        delayed_send(this, heartbeat(), msg::LookAround{});
      },
      [this](const msg::RegisterNode& m) { return register_node(m); },
      [this](const msg::NodeHeartbeat& m) {
        const auto at = nodes_.find(m.name);
        const bool known = m.leader_epoch == records_.epoch() && at != nodes_.end() &&
                           at->second.incarnation == m.incarnation &&
                           at->second.task_manager == caf::actor_cast<caf::actor>(current_sender());
        if (known) at->second.heard = std::chrono::steady_clock::now();
        return msg::HeartbeatAnswer{records_.epoch(), known};
      },
      [this](const msg::WorkerDied& m) {
        Running* const job = running(m.job_id);
        if (m.leader_epoch != records_.epoch() || job == nullptr || !job->master) return;
        const auto sender_address = caf::actor_cast<caf::actor_addr>(current_sender());
        for (const auto& [name, node] : nodes_) {
          if (node.task_manager.address() == sender_address)
            send(job->master, msg::WorkerLost{m.round, name, m.reason, m.crashed});
        }
      },
      [this](const msg::ReadArtifact& m) -> caf::result<msg::ArtifactPiece> {
        const auto size = artifacts_.size(m.artifact);
        auto bytes = artifacts_.read(m.artifact, m.offset);
        if (!size || !bytes) return caf::make_error(caf::sec::invalid_argument, "no such artifact");
        return msg::ArtifactPiece{*size, std::move(*bytes)};
      },
  };
}

msg::NodeAnswer JobManager::register_node(const msg::RegisterNode& node) {
  if (const Status status = check(node.hello); !status) {
    spdlog::warn("refused TaskManager {}: {}", node.name, status.error().message());
    return {false, status.error().message(), records_.epoch(), 0};
  }
  if (nodes_.count(node.name) > 0) lose_node(node.name, "it was started again");
  auto task_manager = caf::actor_cast<caf::actor>(current_sender());
  monitor(task_manager);
  nodes_[node.name] = Node{std::move(task_manager), node.incarnation, std::chrono::steady_clock::now()};
  slots_.add_node(node.name, node.slots);
  spdlog::info("TaskManager {} has joined with {} slots", node.name, node.slots);
  // After the answer, which the TaskManager waits for.
  send(this, msg::ServeQueue{});
  return {true, {}, records_.epoch(), static_cast<std::uint64_t>(options_.silence_timeout.count())};
}

void JobManager::lose_node(const std::string& name, const std::string& reason) {
  // The caller's may be the map's own. NOLINTNEXTLINE(performance-unnecessary-copy-initialization)
  const std::string lost = name;
  spdlog::warn("TaskManager {} is lost: {}", lost, reason);
  nodes_.erase(lost);
  for (const std::string& job_id : slots_.remove_node(lost)) {
    Running* const job = running(job_id);
    if (job != nullptr && job->master) {
      send(job->master, msg::WorkerLost{job->round, lost, "TaskManager " + lost + " is lost: " + reason, false});
    }
  }
}

void JobManager::look_at_nodes() {
  const auto now = std::chrono::steady_clock::now();
  std::vector<std::string> silent;
  for (const auto& [name, node] : nodes_) {
    if (now - node.heard > options_.silence_timeout) silent.push_back(name);
  }
  for (const std::string& name : silent) {
    lose_node(name,
              "it was silent for " + std::to_string(options_.silence_timeout / std::chrono::milliseconds{1}) + " ms");
  }
}

// ---- Slots ----------------------------------------------------------------------------------------------------------

void JobManager::request_slots(const msg::RequestSlots& request) {
  const std::string id = job_of_sender();
  Running* const job = running(id);
  if (job == nullptr) return;
  slots_.release(id, request.slots);
  std::erase(queue_, id);
  job->wanted = request;
  job->wanted_since = std::chrono::steady_clock::now();
  job->told_reason.clear();
  queue_.push_back(id);
  serve_queue();
}

void JobManager::serve_queue() {
  const auto now = std::chrono::steady_clock::now();
  std::deque<std::string> left;
  for (const std::string& id : std::exchange(queue_, {})) {
    Running& job = running_.at(id);
    if (!job.master) continue;
    const auto count = static_cast<std::uint32_t>(job.wanted->slots.size());
    // One that waits for nodes that do not exist does not keep the others waiting; among those that could be served it
    // is first come first served.
    const bool first = std::all_of(left.begin(), left.end(), [&](const std::string& other) {
      return running_.at(other).wanted->slots.size() > slots_.total();
    });
    if (first && slots_.free() >= count) {
      grant(id);
      continue;
    }
    std::string reason = "needs " + std::to_string(count) + " slots, ";
    reason += count > slots_.total()
                  ? std::to_string(slots_.total()) + " exist; start " + std::to_string(count - slots_.total()) + " more"
                  : std::to_string(slots_.free()) + " of " + std::to_string(slots_.total()) +
                        " are free; it waits for other jobs";
    if (now - job.wanted_since > options_.slot_timeout) {
      send(job.master,
           msg::SlotsRefused{job.wanted->round, "no slots within " +
                                                    std::to_string(options_.slot_timeout / std::chrono::seconds{1}) +
                                                    " s: the job " + reason});
      job.wanted.reset();
      continue;
    }
    if (reason != job.told_reason) send(job.master, msg::SlotsAwaited{job.wanted->round, reason});
    job.told_reason = reason;
    left.push_back(id);
  }
  queue_ = std::move(left);
}

void JobManager::grant(const std::string& job_id) {
  Running& job = running_.at(job_id);
  const auto slots = slots_.allocate(job_id, job.wanted->slots);
  job.round = job.wanted->round;
  job.wanted.reset();
  for (const auto& [name, numbers] : *slots) {
    send(nodes_.at(name).task_manager, msg::AssignSlots{records_.epoch(), records_.find(job_id)->spec, job.epoch,
                                                        job.data_token, job.port, job.round, numbers});
  }
  send(job.master, msg::SlotsGranted{job.round});
}

}  // namespace dataflow
