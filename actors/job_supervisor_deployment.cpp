// The JobSupervisor's way from a region's attempt to running subtasks: slots, the workers that offer them, and what
// they are told to make, open and start. Also how a worker is lost.

#include "actors/job_supervisor.hpp"

#include <algorithm>
#include <map>

#include <spdlog/spdlog.h>
#include <caf/all.hpp>

#include "actors/clock.hpp"

namespace dataflow {

namespace {

/// The JobManager writes to its disk before it answers.
constexpr auto commit_answer_deadline = std::chrono::seconds{30};
constexpr auto between_commit_tries = std::chrono::seconds{1};
constexpr std::uint32_t most_commit_tries = 20;

std::string reason_of(const caf::error& error) {
  const bool says_it = error.context().match_elements<std::string>();
  return says_it ? error.context().get_as<std::string>(0) : caf::to_string(error);
}

}  // namespace

Status JobSupervisor::prepare_attempt(RegionAttempt of) {
  RestoredCheckpointPtr restored;
  if (checkpoints_) {
    auto point = checkpoints_->restore_point();
    if (!point) return fail(point.error());
    restored = point->checkpoint;
    restore_points_[of.region] = std::move(*point);
  }
  return sources_.prepare(of, execution_, sink_job_id(), restored.get());
}

void JobSupervisor::carry_out(const AcquireSlots& effect) {
  if (checkpoints_ && checkpoints_->coordinator().in_doubt()) {
    postponed_.push_back(effect);
    return;
  }
  if (auto status = prepare_attempt(effect.of); !status) {
    return apply(execution_.on_region_failed(effect.of, status.error(), wall_clock_now()));
  }
  waiting_for_slots_.push_back(effect.of);
  find_slots();
}

void JobSupervisor::find_slots() {
  std::vector<std::uint32_t> missing;
  for (std::uint32_t slot = 0; slot < worker_of_slot_.size(); ++slot) {
    if (!worker_of_slot_[slot]) missing.push_back(slot);
  }
  if (!missing.empty()) {
    ++round_;
    return send(home_, msg::RequestSlots{round_, std::move(missing)});
  }
  waits_for_.clear();
  std::vector<NodeInstance> nodes;
  for (const auto& worker : worker_of_slot_) nodes.push_back(instance(*worker));
  for (const RegionAttempt of : std::exchange(waiting_for_slots_, {})) {
    apply(execution_.on_slots(of, nodes, wall_clock_now()));
  }
}

void JobSupervisor::fail_waiting(const Error& error) {
  for (const RegionAttempt of : std::exchange(waiting_for_slots_, {})) {
    apply(execution_.on_region_failed(of, error, wall_clock_now()));
  }
}

void JobSupervisor::take_offer(const msg::OfferSlots& offer) {
  if (offer.leader_epoch != settings_.leader_epoch || offer.round != round_) return;
  if (offer.graph_hash != settings_.graph_hash) {
    return fail_waiting(Error{ErrorCode::unsupported, "the worker on " + offer.node +
                                                          " built another graph from the same job than its master: "
                                                          "does the job depend on where it is built?"});
  }
  const auto from = caf::actor_cast<caf::actor>(current_sender());
  auto worker =
      std::find_if(workers_.begin(), workers_.end(), [&](const WorkerState& w) { return w.actor == from && !w.lost; });
  if (worker == workers_.end()) {
    worker = workers_.insert(worker, {from, offer, std::chrono::steady_clock::now(), false});
    if (settings_.worker_timeout) monitor(from);
  }
  for (const std::uint32_t slot : offer.slots) {
    if (slot < worker_of_slot_.size()) worker_of_slot_[slot] = static_cast<std::size_t>(worker - workers_.begin());
  }
  const bool complete =
      std::all_of(worker_of_slot_.begin(), worker_of_slot_.end(), [](const auto& w) { return w.has_value(); });
  if (complete) find_slots();
}

void JobSupervisor::take_deployed(const msg::SlotDeployed& deployed) {
  if (deployed.of == execution_.current(deployed.of.region))
    slots_.insert_or_assign({deployed.of.region, deployed.slot}, deployed);
  for (const SubtaskId id : execution_.subtasks(deployed.of.region)) {
    if (id.subtask == deployed.slot) apply(execution_.on_deployed(deployed.of.attempt, id, wall_clock_now()));
  }
}

void JobSupervisor::lose_worker(std::size_t worker, const Error& error) {
  if (worker >= workers_.size() || workers_[worker].lost) return;
  WorkerState& lost = workers_[worker];
  lost.lost = true;
  for (auto& at : worker_of_slot_) {
    if (at == worker) at.reset();
  }
  spdlog::warn("job {}: the worker on {} is lost", job_id_, lost.offer.node);  // why: the failure that follows
  // It may only have been silent: it ends before another one is made there.
  if (settings_.worker_timeout) send(home_, msg::KillWorker{lost.offer.node, error.message(), false});
  apply(execution_.on_node_lost(instance(worker), error.within("the worker on " + lost.offer.node + " was lost"),
                                wall_clock_now()));
  // Those that wait count on slots that are no more.
  if (!waiting_for_slots_.empty() && !is_terminal(execution_.state())) find_slots();
}

void JobSupervisor::take_worker_lost(const msg::WorkerLost& lost) {
  const Error error{lost.crashed ? ErrorCode::user_code : ErrorCode::unavailable, lost.reason};
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    if (workers_[i].offer.node == lost.node && !workers_[i].lost) return lose_worker(i, error);
  }
  // It died before it could offer anything.
  if (lost.round == round_) fail_waiting(error.within("the worker on " + lost.node + " was lost"));
}

void JobSupervisor::carry_out(const DeployTasks& effect) {
  std::map<std::size_t, std::vector<std::uint32_t>> slots;
  for (std::uint32_t slot = 0; slot < width(effect.of.region); ++slot) {
    // One without worker has been lost just now, and that is on its way to be told.
    if (worker_of_slot_[slot]) slots[*worker_of_slot_[slot]].push_back(slot);
  }
  if (settings_.worker_timeout) {
    spdlog::info("job {} attempt {}: {} slots on {} workers", job_id_, effect.of.attempt, width(effect.of.region),
                 slots.size());
  }
  const std::uint32_t base = checkpoints_ ? checkpoints_->attempt_base() : 0;
  for (auto& [worker, numbers] : slots)
    send(workers_[worker].actor, msg::DeploySlots{effect.of, sink_job_id(), base, std::move(numbers)});
}

void JobSupervisor::carry_out(const OpenTasks& effect) {
  msg::OpenSubtasks open{effect.of, {}, {}, 0, {}};
  if (checkpoints_) {
    const RestorePoint& from = restore_points_[effect.of.region];
    open.checkpoints = {graph_->stream->settings.checkpoint->storage, checkpoints_->lineage(),
                        checkpoints_->coordinator().epoch(), from.folder, from.storage};
  }
  std::map<std::size_t, std::uint32_t> numbers;  // of the workers that take part
  for (std::uint32_t slot = 0; slot < width(effect.of.region); ++slot) {
    const auto& worker = worker_of_slot_[slot];
    if (!worker) return;  // see above
    const auto [at, is_new] = numbers.emplace(*worker, static_cast<std::uint32_t>(open.workers.size()));
    const msg::OfferSlots& offer = workers_[*worker].offer;
    if (is_new) open.workers.push_back({offer.worker, offer.host, offer.data_port});
    open.worker_of_slot.push_back(at->second);
  }
  for (const auto& [worker, number] : numbers) {
    open.self = number;
    send(workers_[worker].actor, open);
  }
}

void JobSupervisor::carry_out(const StartTasks& effect) {
  give_owed_messages(effect.of.region);
  tell_region(effect.of, msg::StartSubtasks{effect.of});
  if (checkpoints_ && execution_.all_running()) {
    apply_checkpoint(checkpoints_->coordinator().on_running(wall_clock_now()));
  }
}

/// A checkpoint lists what is committed, so that committing again is safe. Without one it is done once, and a master
/// that is started later has to know.
void JobSupervisor::carry_out(const CommitTasks& effect) {
  if (checkpoints_ || !settings_.worker_timeout) return commit(effect.epoch);
  ask_to_commit({.of = execution_.current(0), .epoch = effect.epoch});
}

/// Its disk may be full, and have room again soon: nothing is visible until then.
void JobSupervisor::ask_to_commit(const msg::CommitDue& due) {
  if (execution_.state() != JobState::running || execution_.current(0) != due.of) return;
  request(home_, commit_answer_deadline, msg::CommitBegins{})
      .then([this, epoch = due.epoch](msg::CommitMayBegin) { commit(epoch); },
            [this, due](const caf::error& e) {
              const Error error{ErrorCode::unavailable,
                                "the JobManager does not keep that the job commits: " + reason_of(e)};
              spdlog::warn("job {}: {}", job_id_, error.message());
              if (due.tries == most_commit_tries) {
                apply(execution_.on_region_failed(due.of, error, wall_clock_now()));
                return;
              }
              delayed_send(this, between_commit_tries, msg::CommitDue{due.of, due.epoch, due.tries + 1});
            });
}

void JobSupervisor::commit(std::uint64_t epoch) {
  for (std::uint32_t region = 0; region < execution_.region_count(); ++region) {
    const RegionAttempt of = execution_.current(region);
    tell_region(of, msg::CommitSubtasks{of, epoch});
  }
}

/// Threads cannot be ended from outside: what does not answer ends with its process, and in this one not at all.
void JobSupervisor::carry_out(const AbandonTasks& effect) {
  if (!settings_.worker_timeout) return;
  std::vector<bool> told(workers_.size());
  for (const SubtaskId id : effect.subtasks) {
    const auto& worker = worker_of_slot_[id.subtask];
    if (!worker || told[*worker]) continue;
    told[*worker] = true;
    send(home_, msg::KillWorker{workers_[*worker].offer.node, "it did not end its subtasks in time", true});
  }
}

}  // namespace dataflow
