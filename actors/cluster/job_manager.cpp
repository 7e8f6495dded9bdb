#include "actors/cluster/job_manager.hpp"

#include <algorithm>

#include <spdlog/spdlog.h>
#include <caf/all.hpp>

#include "actors/clock.hpp"
#include "actors/cluster/own_messages.hpp"

namespace dataflow {

JobManager::JobManager(caf::actor_config& config, JobManagerOptions options, ChildProcesses& children, JobStore store)
    : caf::event_based_actor{config},
      options_{std::move(options)},
      children_{children},
      store_{std::move(store)},
      artifacts_{options_.storage / "artifacts"},
      uploads_{options_.storage / "uploads"},
      liveness_{{.heartbeat_interval = options_.silence_timeout / 4, .heartbeat_timeout = options_.silence_timeout}},
      slots_{{.request_timeout = options_.slot_timeout}} {}

caf::behavior JobManager::make_behavior() {
  set_down_handler([this](const caf::down_msg& down) {
    lose_node(down.source);
    for (auto& [id, job] : running_) {
      if (!job.master || job.master.address() != down.source) continue;
      job.master = nullptr;  // its process's end comes, too
      job.ready = false;
      answer_calls_of(job);
    }
  });
  return node_messages().or_else(master_messages()).or_else(client_messages());
}

void JobManager::on_exit() {
  nodes_.clear();
  running_.clear();
  calls_.clear();
}

// ---- Nodes ----------------------------------------------------------------------------------------------------------

caf::message_handler JobManager::node_messages() {
  return {
      [this](const msg::UseEndpoint& m) {
        listening_ = m.endpoint;
        const Endpoint reached{host_for_children(listening_), listening_.port};
        if (const Status kept = store_.keep_address(reached.text()); !kept)
          spdlog::warn("another JobManager would not find this one: {}", kept.error().message());
        uploads_.trim(0, {});  // whoever was about to send them begins again
        recover_jobs();
        delayed_send(this, heartbeat(), msg::LookAround{});
      },
      [this](msg::LookAround) { look_around(); },
      [this](const msg::RegisterNode& m) { return register_node(m); },
      [this](const msg::NodeHeartbeat& m) { return hear(m); },
      [this](const msg::WorkerDied& m) {
        Running* const job = running(m.job_id);
        if (m.leader_epoch != store_.epoch() || (!m.stuck && (job == nullptr || !job->master))) return;
        const auto sender_address = caf::actor_cast<caf::actor_addr>(current_sender());
        for (const auto& [name, node] : nodes_) {
          if (node.task_manager.address() != sender_address) continue;
          if (m.stuck)
            note_stuck(m.job_id, name, m.reason);
          else
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

caf::result<msg::NodeAnswer> JobManager::register_node(const msg::RegisterNode& node) {
  msg::NodeAnswer answer{false, {}, store_.epoch(), 0, 0};
  if (const Status status = check(node.hello); !status) {
    spdlog::warn("refused TaskManager {}: {}", node.name, status.error().message());
    answer.reason = status.error().message();
    return answer;
  }
  const NodeInstance instance{node.name, node.incarnation};
  const LivenessEffects effects = liveness_.on_register(instance, steady_clock_now());
  if (!liveness_.is_current(instance)) {
    answer.reason = std::get<NodeRefused>(effects.front()).reason;
    answer.taken_incarnation = *liveness_.incarnation(node.name);
    return answer;
  }
  answer.accepted = true;
  answer.timeout_us = static_cast<std::uint64_t>(options_.silence_timeout.count());
  auto task_manager = caf::actor_cast<caf::actor>(current_sender());
  // It listens to what comes after the answer.
  auto promise = make_response_promise<msg::NodeAnswer>();
  promise.deliver(answer);
  for (const LivenessEffect& effect : effects) {
    if (std::holds_alternative<NodeJoined>(effect)) {
      monitor(task_manager);
      nodes_[node.name] = Node{task_manager, node.incarnation, node.slots};
    }
    std::visit([this](const auto& e) { carry_out(e); }, effect);
  }
  return promise;
}

msg::HeartbeatAnswer JobManager::hear(const msg::NodeHeartbeat& beat) {
  const NodeInstance instance{beat.name, beat.incarnation};
  const auto node = nodes_.find(beat.name);
  const bool known = beat.leader_epoch == store_.epoch() && liveness_.is_current(instance) && node != nodes_.end() &&
                     node->second.task_manager.address() == caf::actor_cast<caf::actor_addr>(current_sender());
  if (known) apply(liveness_.on_heartbeat(instance, steady_clock_now()));
  return {store_.epoch(), known};
}

void JobManager::lose_node(const caf::actor_addr& task_manager) {
  for (const auto& [name, node] : nodes_) {
    if (node.task_manager.address() != task_manager) continue;
    return apply(liveness_.on_lost({name, node.incarnation}, "the connection to it was lost", steady_clock_now()));
  }
}

void JobManager::look_around() {
  delayed_send(this, heartbeat(), msg::LookAround{});
  // It may have been stopped for long, and another one been started.
  leave_if_deposed(store_.check_leader());
  apply(liveness_.on_time(steady_clock_now()));
  apply(slots_.on_time(steady_clock_now()));
  save_again();
}

void JobManager::apply(const LivenessEffects& effects) {
  for (const LivenessEffect& effect : effects) {
    std::visit([this](const auto& e) { carry_out(e); }, effect);
  }
}

void JobManager::carry_out(const NodeJoined& effect) {
  const Node& node = nodes_.at(effect.node.name);
  spdlog::info("TaskManager {} has joined with {} slots", effect.node.name, node.slots);
  apply(slots_.on_node(effect.node, node.slots, steady_clock_now()));
}

void JobManager::carry_out(const NodeRefused& effect) {
  spdlog::warn("TaskManager {} is not listened to: {}", effect.node.name, effect.reason);
}

void JobManager::carry_out(const NodeSuspected& effect) {
  spdlog::warn("TaskManager {} is silent: it is given nothing new", effect.node.name);
  slots_.on_node_silent(effect.node);
}

void JobManager::carry_out(const NodeTrusted& effect) {
  spdlog::info("TaskManager {} is heard again", effect.node.name);
  apply(slots_.on_node_heard(effect.node, steady_clock_now()));
}

void JobManager::carry_out(const NodeDied& effect) {
  spdlog::warn("TaskManager {} is lost: {}", effect.node.name, effect.reason);
  if (const auto node = nodes_.find(effect.node.name);
      node != nodes_.end() && node->second.incarnation == effect.node.incarnation) {
    demonitor(node->second.task_manager);
    nodes_.erase(node);
  }
  apply(slots_.on_node_gone(effect.node, steady_clock_now()), effect.reason);
}

// ---- Slots ----------------------------------------------------------------------------------------------------------

void JobManager::request_slots(const msg::RequestSlots& request) {
  Running* const job = job_of_sender();
  if (job == nullptr) return;
  job->wanted = request;
  job->told_reason.clear();
  apply(slots_.request(job->record.id, job->record.slots, SlotPlacement::previous, steady_clock_now(), request.slots));
}

void JobManager::apply(const SlotEffects& effects, const std::string& node_lost_by) {
  for (const SlotEffect& effect : effects) {
    if (const auto* revoked = std::get_if<SlotsRevoked>(&effect)) tell_lost(*revoked, node_lost_by);
    if (const auto* allocated = std::get_if<SlotsAllocated>(&effect)) assign(*allocated);
    if (const auto* denied = std::get_if<SlotsDenied>(&effect)) refuse(*denied);
  }
  tell_reasons();
}

/// The workers of the nodes offer those slots that the job lacks to its master.
void JobManager::assign(const SlotsAllocated& effect) {
  Running* const job = running(effect.job);
  if (job == nullptr || !job->wanted || !job->master) return;
  const msg::RequestSlots wanted = std::move(*job->wanted);
  job->wanted.reset();
  job->round = wanted.round;
  std::map<std::string, std::vector<std::uint32_t>> by_node;
  for (const std::uint32_t slot : wanted.slots) {
    if (slot < effect.slots.size()) by_node[effect.slots[slot].node.name].push_back(slot);
  }
  for (auto& [name, numbers] : by_node) {
    send(nodes_.at(name).task_manager, msg::AssignSlots{store_.epoch(), job_spec(job->record), job->epoch,
                                                        job->data_token, job->port, wanted.round, std::move(numbers)});
  }
  send(job->master, msg::SlotsGranted{wanted.round});
}

void JobManager::tell_lost(const SlotsRevoked& effect, const std::string& reason) {
  Running* const job = running(effect.job);
  if (job == nullptr || !job->master) return;
  send(job->master,
       msg::WorkerLost{job->round, effect.node.name, "TaskManager " + effect.node.name + " is lost: " + reason, false});
}

void JobManager::refuse(const SlotsDenied& effect) {
  Running* const job = running(effect.job);
  if (job == nullptr || !job->wanted || !job->master) return;
  send(job->master, msg::SlotsRefused{job->wanted->round, "the job " + effect.reason});
  job->wanted.reset();
}

void JobManager::tell_reasons() {
  for (auto& [id, job] : running_) {
    if (!job.wanted || !job.master) continue;
    std::string reason = slots_.waiting_reason(id);
    if (reason == job.told_reason) continue;
    send(job.master, msg::SlotsAwaited{job.wanted->round, reason});
    job.told_reason = std::move(reason);
  }
}

}  // namespace dataflow
