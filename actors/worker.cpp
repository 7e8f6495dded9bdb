#include "actors/worker.hpp"

#include <algorithm>
#include <set>

#include <spdlog/spdlog.h>
#include <caf/all.hpp>

#include "actors/exchange/exchange.hpp"
#include "actors/print_relay.hpp"
#include "actors/slot.hpp"
#include "libdataflow/master/failover_region.hpp"

namespace dataflow {

Worker::Worker(caf::actor_config& config, WorkerJob job)
    : caf::event_based_actor{config},
      job_{std::move(job)},
      region_of_vertex_{failover_regions(*job_.graph)},
      regions_(*std::max_element(region_of_vertex_.begin(), region_of_vertex_.end()) + 1) {}

caf::behavior Worker::make_behavior() {
  set_down_handler([this](const caf::down_msg& down) { on_down(down); });
  monitor(job_.supervisor);
  return {
      [this](const msg::ProvideSlots& m) { offer(m); },
      [this](const msg::DeploySlots& m) { deploy(m); },
      [this](const msg::OpenSubtasks& m) { connect_peers(m); },
      [this](const msg::PeerConnected& m) { take_connected(m); },
      [this](const msg::PeerDown& m) {
        // Whichever of its channels went over that connection, all of a region's attempt is over.
        for (std::uint32_t i = 0; i < regions_.size(); ++i) {
          if (regions_[i].placement.workers.size() > 1)
            pass_on(msg::PeerUnreachable{{i, regions_[i].attempt}, m.reason});
        }
      },
      [this](const msg::StartSubtasks& m) {
        tell_subtasks(m.of, msg::Start{});
        if (!is_current(m.of)) return;
        for (const auto& [id, actor] : regions_[m.of.region].subtasks) log_event(m.of.attempt, id, "running");
      },
      [this](const msg::StopSubtasks& m) { tell_subtasks(m.of, msg::Stop{EndOfData{m.drain}}); },
      [this](const msg::CommitSubtasks& m) { tell_subtasks(m.of, msg::Commit{m.epoch}); },
      // Who has no source waits for the barriers instead.
      [this](const msg::TriggerCheckpoint& m) { tell_slots(m); },
      [this](const msg::CheckpointCompleted& m) { tell_slots(m); },
      [this](const msg::CheckpointAborted& m) { tell_slots(m); },
      [this](const msg::CancelAttempt& m) { cancel(m.of); },
      [this](const msg::AssignSplit& m) { anon_send(find(m.attempt, m.id), m); },
      [this](const msg::NoMoreSplits& m) { anon_send(find(m.attempt, m.id), m); },
      [this](const msg::CallOperator& m) { anon_send(find(m.attempt, m.id), m); },
      [this](msg::RequestReports) { report(); },
      // From the slots and subtasks.
      [this](const msg::SlotMade& m) {
        if (!is_current(m.of)) return;
        for (const msg::DeployedSubtask& made : m.subtasks) {
          regions_[m.of.region].subtasks[made.id] = made.actor;
          log_event(m.of.attempt, made.id, "deployed");
        }
        regions_[m.of.region].slots.push_back(m.group);
        pass_on(msg::SlotDeployed{m.of, m.slot, m.group});
      },
      [this](const msg::SubtaskReport& m) {
        if (region_of(m.id).attempt == m.attempt) news_.insert_or_assign(m.id, m);
      },
      [this](const msg::Opened& m) {
        log_event(m.attempt, m.id, "opened");
        pass_on(m);
      },
      [this](const msg::RequestSplit& m) { pass_on(m); },
      [this](const msg::Prepared& m) { pass_on(m); },
      [this](const msg::Acknowledge& m) { pass_on(m); },
      [this](const msg::Decline& m) { pass_on(m); },
      [this](const msg::Finished& m) {
        log_event(m.attempt, m.id, "finished");
        pass_on(m);
      },
      [this](const msg::SubtaskFailed& m) {
        // The numbers that it had when it failed go before the failure.
        report();
        log_event(m.attempt, m.id, "failed: " + m.failure.message);
        pass_on(m);
      },
      [this](const msg::SubtaskGone& m) {
        log_event(m.attempt, m.id, "gone");
        if (region_of(m.id).attempt == m.attempt) region_of(m.id).subtasks.erase(m.id);
        pass_on(m);
      },
      [this](const msg::PrintOutput& m) {
        request(job_.supervisor, caf::infinite, m).then([this](const msg::OutputTaken& taken) {
          job_.print->taken(taken.bytes);
        });
      },
  };
}

void Worker::on_exit() {
  job_.supervisor = nullptr;
  slots_.clear();
  regions_.clear();
}

void Worker::on_down(const caf::down_msg& down) {
  if (down.source == job_.supervisor.address()) return quit(down.reason);
  const auto at = slots_.find(down.source);
  if (at == slots_.end()) return;
  const RunningSlot slot = std::move(at->second);
  slots_.erase(at);
  if (down.reason) pass_on(msg::SlotLost{slot.of, slot.slot, to_string(down.reason)});
}

void Worker::offer(const msg::ProvideSlots& provided) {
  send(job_.supervisor,
       msg::OfferSlots{job_.leader_epoch, provided.round, job_.node, job_.name, job_.host,
                       job_.exchange ? job_.exchange->port() : std::uint16_t{0}, provided.slots, job_.graph_hash});
}

void Worker::deploy(const msg::DeploySlots& slots) {
  Region& region = regions_[slots.of.region];
  if (region.deployed && slots.of.attempt < region.attempt) return;
  if (slots.of.attempt > region.attempt) {
    cancel({slots.of.region, region.attempt});
    region = Region{};
  }
  region.attempt = slots.of.attempt;
  region.deployed = true;
  printing_.insert(slots.of.region);
  if (job_.print) job_.print->open();
  for (const std::uint32_t slot : slots.slots) {
    std::vector<SubtaskId> subtasks;
    for (const JobVertex& vertex : job_.graph->vertices) {
      if (region_of_vertex_[vertex.id] == slots.of.region && slot < vertex.parallelism)
        subtasks.push_back({vertex.id, slot});
    }
    if (subtasks.empty()) continue;
    auto actor = spawn<Slot, caf::monitored>(caf::actor_cast<caf::actor>(this), job_.graph, slots.job_id,
                                             slots.attempt_base, slots.of, slot, std::move(subtasks), job_.state);
    slots_.emplace(actor.address(), RunningSlot{actor, slots.of, slot});
  }
}

/// A connection carries what goes to a peer; credit comes back on it, so that only senders make them.
void Worker::connect_peers(const msg::OpenSubtasks& placement) {
  if (!is_current(placement.of)) return;
  Region& region = regions_[placement.of.region];
  region.placement = placement;
  std::set<std::uint32_t> peers;
  for (const auto& [id, actor] : region.subtasks) {
    for (const ChannelId& channel : output_channels(*job_.graph, id.vertex, id.subtask)) {
      peers.insert(placement.worker_of_slot[channel.to_subtask]);
    }
  }
  peers.erase(placement.self);
  region.to_connect = peers.size();
  if (peers.empty()) return open(region.placement);
  const auto self = address();
  for (const std::uint32_t peer : peers) {
    const msg::WorkerEndpoint& at = placement.workers[peer];
    job_.exchange->connect(at.worker, at.host, at.port, [self, of = placement.of](const Status& status) {
      const auto worker = caf::actor_cast<caf::actor>(self);
      caf::anon_send(worker, msg::PeerConnected{of, status ? std::string{} : status.error().message()});
    });
  }
}

void Worker::take_connected(const msg::PeerConnected& connected) {
  if (!is_current(connected.of)) return;
  if (!connected.failure.empty()) return pass_on(msg::PeerUnreachable{connected.of, connected.failure});
  Region& region = regions_[connected.of.region];
  if (--region.to_connect == 0) open(region.placement);
}

void Worker::open(const msg::OpenSubtasks& placement) {
  for (const auto& [id, actor] : regions_[placement.of.region].subtasks) {
    msg::Open ends;
    ends.checkpoints = placement.checkpoints;
    const auto outputs = output_channels(*job_.graph, id.vertex, id.subtask);
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      auto peer = receiver_of(placement, id, i, outputs[i]);
      if (!peer) return pass_on(msg::PeerUnreachable{placement.of, peer.error().message()});
      ends.receivers.push_back(std::move(*peer));
    }
    const auto inputs = input_channels(*job_.graph, id.vertex, id.subtask);
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      auto peer = sender_of(placement, id, i, inputs[i]);
      if (!peer) return pass_on(msg::PeerUnreachable{placement.of, peer.error().message()});
      ends.senders.push_back(std::move(*peer));
    }
    anon_send(actor, std::move(ends));
  }
}

/// A channel's number at its ends is its place in their lists.
Result<msg::Peer> Worker::receiver_of(const msg::OpenSubtasks& placement, SubtaskId id, std::size_t output,
                                      const ChannelId& channel) {
  const JobEdge& edge = job_.graph->edges[channel.edge];
  const std::uint32_t worker = placement.worker_of_slot[channel.to_subtask];
  if (worker == placement.self) {
    return msg::Peer{find(placement.of.attempt, {edge.to_vertex, channel.to_subtask}),
                     place_among_inputs(*job_.graph, channel)};
  }
  const auto number = wire_channel(placement.of.attempt, channel);
  if (!number) return fail(number.error());
  auto outgoing = job_.exchange->open_outgoing(*number, placement.workers[worker].worker, edge.schema,
                                               find(placement.of.attempt, id), output);
  if (!outgoing) return fail(outgoing.error());
  msg::Peer peer;
  peer.outgoing = std::move(*outgoing);
  return peer;
}

Result<msg::Peer> Worker::sender_of(const msg::OpenSubtasks& placement, SubtaskId id, std::size_t input,
                                    const ChannelId& channel) {
  const JobEdge& edge = job_.graph->edges[channel.edge];
  const std::uint32_t worker = placement.worker_of_slot[channel.from_subtask];
  if (worker == placement.self) {
    return msg::Peer{find(placement.of.attempt, {edge.from_vertex, channel.from_subtask}),
                     place_among_outputs(*job_.graph, channel)};
  }
  const auto number = wire_channel(placement.of.attempt, channel);
  if (!number) return fail(number.error());
  auto incoming = job_.exchange->open_incoming(*number, placement.workers[worker].worker, edge.schema,
                                               find(placement.of.attempt, id), input);
  if (!incoming) return fail(incoming.error());
  msg::Peer peer;
  peer.incoming = std::move(*incoming);
  return peer;
}

void Worker::cancel(RegionAttempt of) {
  if (is_current(of)) {
    printing_.erase(of.region);
    // Who waits to print keeps its thread from hearing that it is over. Other regions' output goes through, and so in
    // time does that of this one.
    if (job_.print && printing_.empty()) job_.print->close();
  }
  for (const auto& [address, slot] : slots_) {
    if (slot.of == of) anon_send(slot.actor, msg::CancelSlot{});
  }
}

void Worker::log_event(std::uint32_t attempt, SubtaskId id, const std::string& what) const {
  if (job_.name.empty()) return;
  const JobVertex& vertex = job_.graph->vertices[id.vertex];
  spdlog::info("job {} attempt {} subtask \"{}\" {}/{}: {}", job_.job_id, attempt, vertex.name, id.subtask + 1,
               vertex.parallelism, job_.secrets.redact(what));
}

void Worker::report() {
  msg::Reports reports;
  for (auto& [id, news] : std::exchange(news_, {})) reports.subtasks.push_back(std::move(news));
  pass_on(reports);
  for (const Region& region : regions_) {
    for (const auto& [id, actor] : region.subtasks) send(actor, msg::GetReport{});
  }
}

template <class Message>
void Worker::tell_subtasks(RegionAttempt of, const Message& message) {
  if (!is_current(of)) return;
  for (const auto& [id, actor] : regions_[of.region].subtasks) anon_send(actor, message);
}

template <class Message>
void Worker::tell_slots(const Message& message) {
  for (const Region& region : regions_) {
    for (const caf::group& slot : region.slots) send(slot, message);
  }
}

template <class Message>
void Worker::pass_on(const Message& message) {
  send(job_.supervisor, message);
}

caf::actor Worker::find(std::uint32_t attempt, SubtaskId id) {
  const Region& region = region_of(id);
  const auto at = attempt == region.attempt ? region.subtasks.find(id) : region.subtasks.end();
  return at == region.subtasks.end() ? caf::actor{} : at->second;
}

}  // namespace dataflow
