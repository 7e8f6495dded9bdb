#include "libdataflow/simulation/worker.hpp"

#include <algorithm>
#include <utility>

#include "libdataflow/exchange/wire_channel.hpp"
#include "libdataflow/master/failover_region.hpp"
#include "libdataflow/simulation/master.hpp"
#include "libdataflow/simulation/subtask.hpp"

namespace dataflow::simulation {

Worker::Worker(World& world, ProcessPtr process, WorkerJob job, FindPeer find)
    : Actor{world, std::move(process), "worker"},
      job_{std::move(job)},
      region_of_vertex_{failover_regions(*job_.graph)},
      regions_(*std::max_element(region_of_vertex_.begin(), region_of_vertex_.end()) + 1) {
  data_ = std::make_shared<DataPlane>(
      world_, process_, job_.name, std::move(find), [this](const std::string& peer, const std::string& why) {
        post("peer lost", [this, peer, why] {
          // Whichever of its channels went over that connection, all of a region's attempt is over.
          for (std::uint32_t i = 0; i < regions_.size(); ++i) {
            if (regions_[i].placement.workers.size() < 2) continue;
            const RegionAttempt of{i, regions_[i].attempt};
            tell("peer unreachable", [of, reason = "the connection to worker " + peer + " was lost: " + why](
                                         Master& master) { master.take_unreachable(of, reason); });
          }
        });
      });
}

Worker::~Worker() = default;

void Worker::let_go() {
  job_.master.reset();
  regions_.clear();
  ending_.clear();
}

void Worker::begin() {
  heard_ = world_.loop.now();
  after(world_.tuning.silence / 8, "look around", [this] { look_around(); });
  job_.to_master->when_down(process_, [this](const std::string& why) {
    post("the master is gone", [this, why] { world_.kill(process_, "the job's master is gone: " + why); });
  });
}

void Worker::still_here() {
  heard_ = world_.loop.now();
}

void Worker::look_around() {
  if (world_.loop.now() - heard_ > world_.tuning.silence) {
    return world_.kill(process_, "the TaskManager was silent");
  }
  after(world_.tuning.silence / 8, "look around", [this] { look_around(); });
}

void Worker::tell(const char* what, std::function<void(Master&)> say) {
  job_.to_master->send(process_,
                       [master = std::weak_ptr<Master>{job_.master}, from = job_.name, what, say = std::move(say)] {
                         if (const auto to = master.lock()) {
                           to->post(what, [to = to.get(), from, say] {
                             to->heard(from);
                             say(*to);
                           });
                         }
                       });
}

bool Worker::is_current(RegionAttempt of) const {
  return regions_[of.region].attempt == of.attempt;
}

void Worker::provide(std::uint32_t round, const std::vector<std::uint32_t>& slots) {
  tell("offer slots", [worker = std::static_pointer_cast<Worker>(shared_from_this()), round, slots](Master& master) {
    master.take_offer(worker, round, slots);
  });
}

void Worker::deploy(const Deployment& deployment) {
  Region& region = regions_[deployment.of.region];
  if (region.deployed && deployment.of.attempt < region.attempt) return;
  if (deployment.of.attempt > region.attempt) {
    cancel({deployment.of.region, region.attempt});
    for (auto& [id, subtask] : region.subtasks) ending_.push_back(subtask);
    region = Region{};
  }
  region.attempt = deployment.of.attempt;
  region.deployed = true;
  for (const std::uint32_t slot : deployment.slots) {
    const auto blocking = std::make_shared<BlockingQueue>(world_, process_, "slot " + std::to_string(slot));
    bool any = false;
    for (const JobVertex& vertex : job_.graph->vertices) {
      if (region_of_vertex_[vertex.id] != deployment.of.region || slot >= vertex.parallelism) continue;
      const SubtaskId id{vertex.id, slot};
      region.subtasks[id] = std::make_shared<Subtask>(
          world_, process_, *this, job_.graph,
          Task::Identity{deployment.job_id, vertex.id, slot, deployment.attempt_base + deployment.of.attempt},
          deployment.of, blocking);
      any = true;
    }
    if (!any) continue;
    region.slots[slot] = blocking;
    tell("slot deployed", [of = deployment.of, slot](Master& master) { master.take_deployed(of, slot); });
  }
}

void Worker::connect_peers(const Placement& placement) {
  if (!is_current(placement.of)) return;
  Region& region = regions_[placement.of.region];
  region.placement = placement;
  std::set<std::uint32_t> peers;
  for (const auto& [id, subtask] : region.subtasks) {
    for (const ChannelId& channel : output_channels(*job_.graph, id.vertex, id.subtask)) {
      peers.insert(placement.worker_of_slot[channel.to_subtask]);
    }
  }
  peers.erase(placement.self);
  region.to_connect = peers.size();
  if (peers.empty()) return open(region.placement);
  for (const std::uint32_t peer : peers) {
    data_->connect(placement.workers[peer], [this, of = placement.of](const Status& status) {
      post("peer connected", [this, of, status] { take_connected(of, status); });
    });
  }
}

void Worker::take_connected(RegionAttempt of, const Status& status) {
  if (!is_current(of)) return;
  if (!status) {
    return tell("peer unreachable",
                [of, why = status.error().message()](Master& master) { master.take_unreachable(of, why); });
  }
  Region& region = regions_[of.region];
  if (--region.to_connect == 0) open(region.placement);
}

void Worker::open(const Placement& placement) {
  for (const auto& [id, subtask] : regions_[placement.of.region].subtasks) {
    if (Status wired = wire(placement, id, *subtask); !wired) {
      return tell("peer unreachable", [of = placement.of, why = wired.error().message()](Master& master) {
        master.take_unreachable(of, why);
      });
    }
    subtask->post("open", [at = subtask.get(), checkpoints = placement.checkpoints] { at->open(checkpoints); });
  }
}

/// A channel's number at its ends is its place in their lists.
Status Worker::wire(const Placement& placement, SubtaskId id, Subtask& subtask) {
  const auto self = std::weak_ptr<Subtask>{std::static_pointer_cast<Subtask>(subtask.shared_from_this())};
  const auto end_of = [&](const ChannelId& channel, SubtaskId other, std::size_t place) -> Result<Subtask::Receiver> {
    const std::uint32_t worker = placement.worker_of_slot[other.subtask];
    if (worker == placement.self) return Subtask::Receiver{find(placement.of.attempt, other), place, {}, {}};
    const auto number = wire_channel(placement.of.attempt, channel);
    if (!number) return fail(number.error());
    return Subtask::Receiver{{}, place, placement.workers[worker], *number};
  };
  const auto outputs = output_channels(*job_.graph, id.vertex, id.subtask);
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const JobEdge& edge = job_.graph->edges[outputs[i].edge];
    auto end = end_of(outputs[i], {edge.to_vertex, outputs[i].to_subtask}, place_among_inputs(*job_.graph, outputs[i]));
    if (!end) return fail(end.error());
    if (!end->peer.empty()) {
      Status opened = data_->open_outgoing(end->wire, end->peer, edge.schema, [self, i](std::size_t bytes) {
        const auto sender = self.lock();
        if (sender) sender->post("credit", [sender = sender.get(), i, bytes] { sender->take_credit(i, bytes); });
      });
      if (!opened) return opened;
    }
    subtask.receivers.push_back(std::move(*end));
  }
  const auto inputs = input_channels(*job_.graph, id.vertex, id.subtask);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const JobEdge& edge = job_.graph->edges[inputs[i].edge];
    auto end =
        end_of(inputs[i], {edge.from_vertex, inputs[i].from_subtask}, place_among_outputs(*job_.graph, inputs[i]));
    if (!end) return fail(end.error());
    if (!end->peer.empty()) {
      Status opened =
          data_->open_incoming(end->wire, end->peer, edge.schema, [self, i](const EncodedEnvelopePtr& envelope) {
            const auto to = self.lock();
            if (to) to->post("deliver", [to = to.get(), i, envelope] { to->deliver(i, envelope); });
          });
      if (!opened) return opened;
    }
    subtask.senders.push_back(std::move(*end));
  }
  return {};
}

void Worker::for_all(RegionAttempt of, const char* what, const std::function<void(Subtask&)>& call) {
  if (!is_current(of)) return;
  for (const auto& [id, subtask] : regions_[of.region].subtasks) {
    subtask->post(what, [at = subtask.get(), call] { call(*at); });
  }
}

/// By the groups of their slots: whatever attempt they are of.
void Worker::for_all(const char* what, const std::function<void(Subtask&)>& call) {
  for (const Region& region : regions_) {
    for (const auto& [id, subtask] : region.subtasks) subtask->post(what, [at = subtask.get(), call] { call(*at); });
  }
}

void Worker::start(RegionAttempt of) {
  for_all(of, "start", [](Subtask& subtask) { subtask.start(); });
}
void Worker::stop_sources(RegionAttempt of, EndOfData how) {
  for_all(of, "stop", [how](Subtask& subtask) { subtask.stop_source(how); });
}
void Worker::commit(RegionAttempt of, std::uint64_t epoch) {
  for_all(of, "commit", [epoch](Subtask& subtask) { subtask.commit(epoch); });
}
void Worker::trigger(const Barrier& barrier) {
  for_all("trigger", [barrier](Subtask& subtask) { subtask.trigger(barrier); });
}
void Worker::complete(std::uint64_t checkpoint) {
  for_all("checkpoint completed", [checkpoint](Subtask& subtask) { subtask.complete(checkpoint); });
}
void Worker::abort(std::uint64_t checkpoint) {
  for_all("checkpoint aborted", [checkpoint](Subtask& subtask) { subtask.abort_checkpoint(checkpoint); });
}

void Worker::cancel(RegionAttempt of) {
  if (regions_[of.region].attempt != of.attempt) return;
  for (const auto& [id, subtask] : regions_[of.region].subtasks) {
    subtask->post("cancel", [at = subtask.get()] { at->cancel(); });
  }
}

std::shared_ptr<Subtask> Worker::find(std::uint32_t attempt, SubtaskId id) {
  const Region& region = region_of(id);
  const auto at = attempt == region.attempt ? region.subtasks.find(id) : region.subtasks.end();
  return at == region.subtasks.end() ? nullptr : at->second;
}

void Worker::assign_split(std::uint32_t attempt, SubtaskId id, const Split& split) {
  const auto subtask = find(attempt, id);
  if (subtask) subtask->post("assign split", [at = subtask.get(), split] { at->assign_split(split); });
}

void Worker::no_more_splits(std::uint32_t attempt, SubtaskId id) {
  const auto subtask = find(attempt, id);
  if (subtask) subtask->post("no more splits", [at = subtask.get()] { at->no_more_splits(); });
}

void Worker::report() {
  tell("reports", [](Master&) {});
}

void Worker::subtask_failed(std::uint32_t attempt, SubtaskId id, const Error& error) {
  tell("subtask failed", [attempt, id, error](Master& master) { master.take_failed(attempt, id, error); });
}

void Worker::subtask_gone(RegionAttempt of, SubtaskId id) {
  Region& region = region_of(id);
  if (region.attempt == of.attempt) {
    region.subtasks.erase(id);
    const bool last = std::none_of(region.subtasks.begin(), region.subtasks.end(),
                                   [&](const auto& other) { return other.first.subtask == id.subtask; });
    if (const auto slot = region.slots.find(id.subtask); last && slot != region.slots.end()) slot->second->end();
  }
  std::erase_if(ending_, [](const std::shared_ptr<Subtask>& subtask) { return subtask->gone(); });
  tell("subtask gone", [of, id](Master& master) { master.take_gone(of.attempt, id); });
}

}  // namespace dataflow::simulation
