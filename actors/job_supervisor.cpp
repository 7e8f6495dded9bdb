#include "actors/job_supervisor.hpp"

#include <algorithm>
#include <map>

#include <spdlog/spdlog.h>
#include <caf/all.hpp>

#include "actors/blocking_worker.hpp"
#include "actors/clock.hpp"
#include "libdataflow/process/key_owner.hpp"

namespace dataflow {

namespace {

constexpr auto report_interval = std::chrono::milliseconds{200};
/// More than the worker gives its operator: its answer says more than ours.
constexpr auto answer_deadline = std::chrono::seconds{7};
/// When a connection is lost, the process's TaskManager is given so long to say what became of it.
constexpr auto obituary_wait = std::chrono::milliseconds{150};
/// How long a job that has ended waits for what is still to be removed from its storage.
constexpr std::chrono::seconds storage_wait{5};

}  // namespace

JobSupervisor::JobSupervisor(caf::actor_config& config, caf::actor home, std::string job_id, JobGraphPtr graph,
                             SupervisionSettings settings)
    : caf::event_based_actor{config},
      home_{std::move(home)},
      job_id_{std::move(job_id)},
      graph_{std::move(graph)},
      settings_{settings},
      execution_{graph_, settings.deadlines},
      subtask_ids_{execution_.subtasks()},
      reports_(subtask_ids_.size()),
      recent_(subtask_ids_.size()),
      worker_of_slot_(graph_->slots_needed()) {
  for (std::size_t i = 0; i < reports_.size(); ++i) reports_[i].id = subtask_ids_[i];
}

caf::behavior JobSupervisor::make_behavior() {
  set_down_handler([this](const caf::down_msg& down) {
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      if (workers_[i].actor.address() != down.source || workers_[i].lost) continue;
      delayed_send(this, obituary_wait, msg::WorkerDownDue{i, to_string(down.reason)});
    }
  });
  start();
  return worker_messages().or_else(home_messages()).or_else(checkpoint_messages()).or_else(own_messages());
}

caf::message_handler JobSupervisor::worker_messages() {
  return {
      [this](const msg::OfferSlots& m) { take_offer(m); },
      [this](const msg::SlotDeployed& m) { take_deployed(m); },
      [this](const msg::Opened& m) { apply(execution_.on_opened(m.attempt, m.id, wall_clock_now())); },
      [this](const msg::Prepared& m) {
        take_report(m.report);
        apply(execution_.on_prepared(m.report.attempt, m.report.id, wall_clock_now()));
      },
      [this](const msg::Finished& m) { apply(execution_.on_finished(m.attempt, m.id, wall_clock_now())); },
      [this](const msg::SubtaskFailed& m) {
        apply(execution_.on_failed(m.attempt, m.id, m.failure.error(), wall_clock_now()));
      },
      [this](const msg::SubtaskGone& m) { apply(execution_.on_gone(m.attempt, m.id, wall_clock_now())); },
      [this](const msg::SlotLost& m) {
        const Error error{ErrorCode::internal, "slot " + std::to_string(m.slot) + " was lost: " + m.reason};
        apply(execution_.on_slot_lost(m.of, m.slot, error, wall_clock_now()));
      },
      [this](const msg::RequestSplit& m) { answer_split_request(m); },
      [this](const msg::Reports& m) {
        heard_from_sender();
        for (const msg::SubtaskReport& report : m.subtasks) take_report(report);
      },
      [this](const msg::PeerUnreachable& m) {
        // Its worker is dead, most likely, and somebody is about to say why.
        delayed_send(this, 2 * obituary_wait, msg::PeerDownDue{m.of, m.reason});
      },
      [this](const msg::PrintOutput& m) { return delegate(home_, m); },
  };
}

caf::message_handler JobSupervisor::home_messages() {
  return {
      [this](const msg::SlotsGranted& m) {
        if (m.round != round_) return;
        waits_for_.clear();
        if (settings_.worker_timeout) delayed_send(this, settings_.offer_deadline, msg::OffersDue{m.round});
      },
      [this](const msg::SlotsAwaited& m) {
        if (m.round == round_) waits_for_ = m.reason;
      },
      [this](const msg::SlotsRefused& m) {
        if (m.round == round_) fail_waiting(Error{ErrorCode::invalid_argument, m.reason});
      },
      [this](const msg::WorkerLost& m) { take_worker_lost(m); },
      [this](const msg::StopJob& m) { apply(execution_.stop(m.how, wall_clock_now())); },
      [this](msg::CancelJob) { apply(execution_.cancel(wall_clock_now())); },
      [this](msg::GetJob) { return view(); },
      [this](msg::AwaitEnd) -> caf::result<msg::Ended> {
        if (end_told_) return msg::Ended{};
        auto promise = make_response_promise<msg::Ended>();
        waiting_for_end_.push_back(promise);
        return promise;
      },
      [this](const msg::AskOperator& m) { return ask_operator(m); },
  };
}

caf::message_handler JobSupervisor::checkpoint_messages() {
  return {
      [this](const msg::Acknowledge& m) { take_acknowledgement(m); },
      [this](const msg::Decline& m) {
        if (!checkpoints_ || !execution_.is_current(m.attempt, m.id)) return;
        apply_checkpoint(checkpoints_->coordinator().on_declined(m.checkpoint, m.failure.error(), wall_clock_now()));
      },
      [this](const msg::MetadataWritten& m) {
        apply_checkpoint(checkpoints_->coordinator().on_metadata_written(m.id, m.status, wall_clock_now()));
      },
      [this](const msg::LatestAdvanced& m) { take_advanced(m); },
      [this](const msg::StorageSettled& m) { tell_end(m.state); },
      [this](msg::CheckpointTime) {
        checkpoint_wake_.reset();
        apply_checkpoint(checkpoints_->coordinator().on_time(wall_clock_now()));
      },
  };
}

caf::message_handler JobSupervisor::own_messages() {
  return {
      [this](const msg::RestartDue& m) { apply(execution_.on_restart_due(m.of, wall_clock_now())); },
      [this](msg::RetrySplits) { retry_split_requests(); },
      [this](msg::CollectReports) { collect_reports(); },
      [this](const msg::OffersDue& m) {
        if (m.round != round_ || waiting_for_slots_.empty()) return;
        fail_waiting(Error{ErrorCode::unavailable, "not all workers came up in time"});
      },
      [this](const msg::WorkerDownDue& m) {
        lose_worker(m.worker, Error{ErrorCode::unavailable, "the connection to it was lost: " + m.reason});
      },
      [this](const msg::PeerDownDue& m) {
        apply(execution_.on_region_failed(m.of, Error{ErrorCode::unavailable, m.reason}, wall_clock_now()));
      },
      [](const msg::Answer&) {},  // too late to be of interest: its request has timed out
  };
}

void JobSupervisor::on_exit() {
  home_ = nullptr;
  workers_.clear();
  if (worker_) anon_send_exit(worker_, caf::exit_reason::user_shutdown);
  worker_ = nullptr;
  guards_.clear();
}

std::size_t JobSupervisor::index(SubtaskId id) const {
  return static_cast<std::size_t>(std::lower_bound(subtask_ids_.begin(), subtask_ids_.end(), id) -
                                  subtask_ids_.begin());
}

JobSupervisor::WorkerState* JobSupervisor::worker_of(SubtaskId id) {
  const auto& worker = worker_of_slot_[id.subtask];
  return worker ? &workers_[*worker] : nullptr;
}

std::uint32_t JobSupervisor::width(std::uint32_t region) const {
  std::uint32_t widest = 0;
  for (const JobVertex& vertex : graph_->vertices) {
    if (execution_.region_of(vertex.id) == region) widest = std::max(widest, vertex.parallelism);
  }
  return widest;
}

NodeInstance JobSupervisor::instance(std::size_t worker) const {
  return {workers_[worker].offer.node, worker + 1};
}

void JobSupervisor::apply(const Effects& effects) {
  for (const Effect& effect : effects) {
    std::visit([this](const auto& e) { carry_out(e); }, effect);
  }
  if (execution_.state() == told_state_ || is_terminal(execution_.state())) return;
  told_state_ = execution_.state();
  send(home_, msg::JobStateChanged{told_state_});
}

void JobSupervisor::start() {
  delayed_send(this, report_interval, msg::CollectReports{});
  const Effects effects = execution_.start(wall_clock_now());
  if (graph_->stream->settings.checkpoint) {
    auto opened = JobCheckpoints::open(graph_, job_id_, settings_.start_from);
    if (!opened) {
      return apply(
          execution_.on_region_failed(execution_.current(0), opened.error().within("checkpoints"), wall_clock_now()));
    }
    checkpoints_ = std::move(*opened);
    worker_ = spawn<BlockingWorker, caf::detached>();
  }
  // What a job that goes on from a checkpoint finds in the outside world is its own.
  const bool goes_on = checkpoints_ && checkpoints_->resumed_from() != 0;
  for (const StreamNode& node : graph_->stream->nodes) {
    if (node.is_source()) continue;
    auto guard =
        node.factory->before_job({.id = sink_job_id(), .resumable = checkpoints_ != nullptr, .goes_on = goes_on});
    if (!guard) {
      const RegionAttempt of = execution_.current(execution_.region_of(graph_->vertex_of_node[node.id]));
      return apply(execution_.on_region_failed(of, guard.error().within("\"" + node.name + "\""), wall_clock_now()));
    }
    if (*guard) guards_.push_back(std::move(*guard));
  }
  apply(effects);
}

const std::string& JobSupervisor::sink_job_id() const {
  return checkpoints_ ? checkpoints_->job_id() : job_id_;
}

Status JobSupervisor::prepare_attempt(RegionAttempt of) {
  RestoredCheckpointPtr restored;
  if (checkpoints_) {
    auto point = checkpoints_->restore_point();
    if (!point) return fail(point.error());
    restored = std::move(*point);
    restore_folders_[of.region] = restored ? checkpoints_->coordinator().latest()->folder : std::string{};
  }
  for (const JobVertex& vertex : graph_->vertices) {
    if (execution_.region_of(vertex.id) != of.region) continue;
    for (const NodeId id : vertex.chain) {
      const StreamNode& node = graph_->node(id);
      if (node.is_source()) continue;
      const auto state = restored ? restored->reader_of_all(node.state_id()) : nullptr;
      if (auto status = node.factory->before_attempt(sink_job_id(), of.attempt, state.get()); !status) {
        return fail(status.error().within("\"" + node.name + "\""));
      }
    }
    const StreamNode& head = graph_->node(vertex.chain.front());
    if (!head.is_source()) continue;
    auto enumerator = head.source->factory->create_enumerator();
    if (auto status = enumerator->open(vertex.parallelism); !status) {
      return fail(status.error().within("\"" + head.name + "\""));
    }
    if (const auto saved = restored ? restored->enumerator(head.state_id()) : std::nullopt) {
      if (auto status = enumerator->restore(*saved); !status) {
        return fail(status.error().within("going on from a checkpoint").within("\"" + head.name + "\""));
      }
    }
    enumerators_.insert_or_assign(vertex.id, std::move(enumerator));
  }
  return {};
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
  spdlog::warn("job {}: the worker on {} is lost: {}", job_id_, lost.offer.node, error.message());
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

template <class Message>
void JobSupervisor::tell_region(RegionAttempt of, const Message& message) {
  std::vector<bool> told(workers_.size());
  for (std::uint32_t slot = 0; slot < width(of.region); ++slot) {
    const auto& worker = worker_of_slot_[slot];
    if (!worker || told[*worker]) continue;
    told[*worker] = true;
    send(workers_[*worker].actor, message);
  }
}

void JobSupervisor::carry_out(const DeployTasks& effect) {
  std::map<std::size_t, std::vector<std::uint32_t>> slots;
  for (std::uint32_t slot = 0; slot < width(effect.of.region); ++slot) {
    // One without worker has been lost just now, and that is on its way to be told.
    if (worker_of_slot_[slot]) slots[*worker_of_slot_[slot]].push_back(slot);
  }
  const std::uint32_t base = checkpoints_ ? checkpoints_->attempt_base() : 0;
  for (auto& [worker, numbers] : slots)
    send(workers_[worker].actor, msg::DeploySlots{effect.of, sink_job_id(), base, std::move(numbers)});
}

void JobSupervisor::carry_out(const OpenTasks& effect) {
  msg::OpenSubtasks open{effect.of, {}, {}, 0, {}};
  if (checkpoints_) {
    open.checkpoints = {graph_->stream->settings.checkpoint->storage, checkpoints_->lineage(),
                        checkpoints_->coordinator().epoch(), restore_folders_[effect.of.region]};
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
  tell_region(effect.of, msg::StartSubtasks{effect.of});
  if (checkpoints_ && execution_.all_running()) {
    apply_checkpoint(checkpoints_->coordinator().on_running(wall_clock_now()));
  }
}

void JobSupervisor::carry_out(const TakeLastCheckpoint&) {
  apply_checkpoint(checkpoints_->coordinator().on_all_drained(wall_clock_now()));
}

void JobSupervisor::carry_out(const CommitTasks& effect) {
  for (std::uint32_t region = 0; region < execution_.region_count(); ++region) {
    const RegionAttempt of = execution_.current(region);
    tell_region(of, msg::CommitSubtasks{of, effect.epoch});
  }
}

void JobSupervisor::carry_out(const CancelTasks& effect) {
  if (checkpoints_) apply_checkpoint(checkpoints_->coordinator().on_attempt_over(wall_clock_now()));
  tell_region(effect.of, msg::CancelAttempt{effect.of});
}

/// Threads cannot be ended from outside: what does not answer ends with its process, and in this one not at all.
void JobSupervisor::carry_out(const AbandonTasks& effect) {
  if (!settings_.worker_timeout) return;
  std::vector<bool> told(workers_.size());
  for (const SubtaskId id : effect.subtasks) {
    const auto& worker = worker_of_slot_[id.subtask];
    if (!worker || told[*worker]) continue;
    told[*worker] = true;
    send(home_, msg::KillWorker{workers_[*worker].offer.node, "it did not end its subtasks in time"});
  }
}

void JobSupervisor::carry_out(const StopSources& effect) {
  tell_region(effect.of, msg::StopSubtasks{effect.of, effect.how.drain});
}

void JobSupervisor::carry_out(const ScheduleRestart& effect) {
  delayed_send(this, effect.delay, msg::RestartDue{effect.of});
}

/// Not by a delayed message, which would keep an actor that has ended in memory until it is due.
void JobSupervisor::carry_out(const ScheduleDeadline& effect) {
  deadlines_.push_back({std::chrono::steady_clock::now() + effect.after, effect.deadline});
}

void JobSupervisor::fire_deadlines() {
  const auto now = std::chrono::steady_clock::now();
  const auto first_due =
      std::partition(deadlines_.begin(), deadlines_.end(), [&](const Pending& p) { return p.due > now; });
  const std::vector<Pending> due(first_due, deadlines_.end());
  deadlines_.erase(first_due, deadlines_.end());
  for (const Pending& p : due) apply(execution_.on_deadline(p.deadline, wall_clock_now()));
}

void JobSupervisor::carry_out(const EndJob& effect) {
  for (const auto& guard : guards_) guard->job_ended();
  guards_.clear();
  if (!worker_) return tell_end(effect.state);
  // Who hears of the end may look into the storage: what is to be removed has been, or does not let itself be removed.
  auto settled = [self = caf::actor_cast<caf::actor>(this), state = effect.state] {
    caf::anon_send(self, msg::StorageSettled{state});
  };
  anon_send(worker_, msg::BlockingWork{std::move(settled)});
  delayed_send(this, storage_wait, msg::StorageSettled{effect.state});
}

void JobSupervisor::tell_end(JobState state) {
  if (std::exchange(end_told_, true)) return;
  send(home_, msg::JobEnded{state, execution_.error()});
  for (caf::response_promise& promise : waiting_for_end_) promise.deliver(msg::Ended{});
  waiting_for_end_.clear();
}

void JobSupervisor::take_report(const msg::SubtaskReport& report) {
  if (!execution_.is_current(report.attempt, report.id)) return;
  msg::SubtaskReport& last = reports_[index(report.id)];
  const bool same_attempt = last.attempt == report.attempt;
  recent_[index(report.id)] = report.time_use.since(same_attempt ? last.time_use : TimeTotals{});
  last = report;
}

void JobSupervisor::heard_from_sender() {
  const auto from = caf::actor_cast<caf::actor_addr>(current_sender());
  for (WorkerState& worker : workers_) {
    if (worker.actor.address() == from) worker.heard = std::chrono::steady_clock::now();
  }
}

void JobSupervisor::collect_reports() {
  fire_deadlines();
  if (checkpoints_) schedule_checkpoint_time();
  if (is_terminal(execution_.state())) return;
  delayed_send(this, report_interval, msg::CollectReports{});
  const auto now = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    if (workers_[i].lost) continue;
    send(workers_[i].actor, msg::RequestReports{});
    if (!settings_.worker_timeout || now - workers_[i].heard < *settings_.worker_timeout) continue;
    lose_worker(i, Error{ErrorCode::unavailable,
                         "it was silent for " +
                             std::to_string(*settings_.worker_timeout / std::chrono::milliseconds{1}) + " ms"});
  }
}

void JobSupervisor::answer_split_request(const msg::RequestSplit& request) {
  WorkerState* const worker = worker_of(request.id);
  if (!execution_.is_current(request.attempt, request.id) || worker == nullptr) return;
  const Timestamp now = wall_clock_now();
  auto next = enumerators_.at(request.id.vertex)->next(request.id.subtask, now);
  if (!next) {
    const StreamNode& source = graph_->node(graph_->vertices[request.id.vertex].chain.front());
    const RegionAttempt of = execution_.current(execution_.region_of(request.id.vertex));
    return apply(execution_.on_region_failed(of, next.error().within("\"" + source.name + "\""), now));
  }
  switch (next->kind) {
    case SplitEnumerator::Next::Kind::split:
      return send(worker->actor, msg::AssignSplit{request.attempt, request.id, std::move(next->split)});
    case SplitEnumerator::Next::Kind::done: return send(worker->actor, msg::NoMoreSplits{request.attempt, request.id});
    case SplitEnumerator::Next::Kind::wait:
      if (waiting_for_splits_.empty()) delayed_send(this, std::max(Duration{0}, next->until - now), msg::RetrySplits{});
      waiting_for_splits_.push_back(request);
  }
}

void JobSupervisor::retry_split_requests() {
  const auto waiting = std::exchange(waiting_for_splits_, {});
  for (const msg::RequestSplit& request : waiting) answer_split_request(request);
}

msg::JobViewPtr JobSupervisor::view() const {
  auto view = std::make_shared<msg::JobView>();
  view->state = execution_.state();
  view->restarts = execution_.restarts();
  view->waits_for = waits_for_;
  view->error = execution_.error();
  view->failures = execution_.failures();
  for (std::size_t i = 0; i < subtask_ids_.size(); ++i) {
    view->subtasks.push_back({subtask_ids_[i], execution_.execution(subtask_ids_[i]), reports_[i], recent_[i]});
  }
  if (checkpoints_) {
    const CheckpointCoordinator& coordinator = checkpoints_->coordinator();
    view->checkpoints = {coordinator.completed_count(),
                         coordinator.failed_count(),
                         checkpoints_->resumed_from(),
                         {coordinator.history().begin(), coordinator.history().end()}};
  }
  return view;
}

template <class Message>
void JobSupervisor::tell_all(const Message& message) {
  for (const WorkerState& worker : workers_) {
    if (!worker.lost) send(worker.actor, message);
  }
}

// ---- Checkpoints ----------------------------------------------------------------------------------------------------

void JobSupervisor::apply_checkpoint(const std::vector<CheckpointEffect>& effects) {
  for (const CheckpointEffect& effect : effects) {
    std::visit([this](const auto& e) { carry_out(e); }, effect);
  }
  schedule_checkpoint_time();
}

void JobSupervisor::schedule_checkpoint_time() {
  const auto next = checkpoints_->coordinator().next_time();
  if (!next || is_terminal(execution_.state()) || (checkpoint_wake_ && *checkpoint_wake_ <= *next)) return;
  // What is far off is looked at again by CollectReports: a delayed message keeps its actor in memory until it is due.
  if (*next - wall_clock_now() > report_interval) return;
  checkpoint_wake_ = *next;
  delayed_send(this, std::max(Duration{0}, *next - wall_clock_now()), msg::CheckpointTime{});
}

/// Enumerators and triggers in one go: what an enumerator hands out afterwards reaches a reader after its trigger.
void JobSupervisor::carry_out(const BeginCheckpoint& effect) {
  std::map<std::string, std::string> snapshots;
  std::optional<Error> failed;
  for (const auto& [vertex, enumerator] : enumerators_) {
    const StreamNode& source = graph_->node(graph_->vertices[vertex].chain.front());
    auto snapshot = enumerator->snapshot();
    if (!snapshot) {
      failed = snapshot.error().within("\"" + source.name + "\"");
    } else {
      snapshots.emplace(source.state_id(), std::move(*snapshot));
    }
  }
  tell_all(msg::TriggerCheckpoint{effect.barrier});
  Result<std::map<std::string, std::string>> all = std::move(snapshots);
  if (failed) all = fail(*failed);
  apply_checkpoint(
      checkpoints_->coordinator().on_enumerators(effect.barrier.checkpoint_id, std::move(all), wall_clock_now()));
}

void JobSupervisor::take_acknowledgement(const msg::Acknowledge& m) {
  if (!checkpoints_ || !execution_.is_current(m.attempt, m.id)) return;
  CheckpointCoordinator& coordinator = checkpoints_->coordinator();
  auto state = decode_task_state(m.state);
  apply_checkpoint(state ? coordinator.on_acknowledged(m.checkpoint, m.id.vertex, m.id.subtask, std::move(*state),
                                                       m.alignment, wall_clock_now())
                         : coordinator.on_declined(m.checkpoint, state.error(), wall_clock_now()));
}

void JobSupervisor::carry_out(const WriteMetadata& effect) {
  auto write = [self = caf::actor_cast<caf::actor>(this), storage = checkpoints_->storage(), effect] {
    const auto put = storage->put(effect.key, effect.bytes);
    caf::anon_send(self, msg::MetadataWritten{effect.id, put ? Status{} : fail(put.error())});
  };
  anon_send(worker_, msg::BlockingWork{std::move(write)});
}

void JobSupervisor::carry_out(const AdvanceLatest& effect) {
  auto advance = [self = caf::actor_cast<caf::actor>(this), storage = checkpoints_->storage(),
                  lineage = checkpoints_->lineage(), effect] {
    CompletedCheckpoint checkpoint = effect.checkpoint;
    auto advanced = advance_latest(*storage, lineage, checkpoint);
    caf::anon_send(self, msg::LatestAdvanced{std::move(checkpoint), std::move(advanced)});
  };
  anon_send(worker_, msg::BlockingWork{std::move(advance)});
}

void JobSupervisor::take_advanced(const msg::LatestAdvanced& m) {
  apply_checkpoint(checkpoints_->coordinator().on_advanced(m.checkpoint, m.advanced, wall_clock_now()));
  for (const AcquireSlots& effect : std::exchange(postponed_, {})) {
    if (execution_.current(effect.of.region) == effect.of) carry_out(effect);
  }
}

void JobSupervisor::carry_out(const CompleteCheckpoint& effect) {
  if (effect.last) return apply(execution_.on_last_checkpoint(effect.id));
  tell_all(msg::CheckpointCompleted{effect.id});
}

void JobSupervisor::carry_out(const AbortCheckpoint& effect) {
  tell_all(msg::CheckpointAborted{effect.id});
}

void JobSupervisor::carry_out(const RemoveCheckpoint& effect) {
  auto remove = [storage = checkpoints_->storage(), lineage = checkpoints_->lineage(), effect] {
    // What cannot be removed takes room and does no other harm: it is completed, or no entry names it.
    static_cast<void>(remove_checkpoint(*storage, effect.checkpoint, lineage));
  };
  anon_send(worker_, msg::BlockingWork{std::move(remove)});
}

void JobSupervisor::carry_out(const FailForCheckpoints& effect) {
  apply(execution_.on_region_failed(execution_.current(0), effect.error, wall_clock_now()));
}

/// Asks every subtask of the node, or the one that owns the key. The answer to a message is a JSON array of what they
/// say, to a question about a key what its owner says; the first error is the answer.
caf::result<msg::Answer> JobSupervisor::ask_operator(const msg::AskOperator& question) {
  const StreamNode* node = graph_->stream->find(question.node);
  if (node == nullptr) {
    return msg::Answer{fail(ErrorCode::not_found, "the job has no operator \"" + question.node + "\"")};
  }
  struct Gathering {
    std::vector<std::string> answers;
    std::size_t missing = 0;
    bool done = false;
  };
  std::optional<std::uint32_t> only;
  if (!question.key_json.empty()) {
    const auto owner = subtask_of_key(*graph_, node->id, question.key_json);
    if (!owner) return msg::Answer{fail(owner.error())};
    only = *owner;
  }
  std::vector<std::pair<caf::actor, msg::CallOperator>> calls;
  for (std::size_t i = 0; i < subtask_ids_.size(); ++i) {
    const SubtaskId id = subtask_ids_[i];
    const bool meant = id.vertex == graph_->vertex_of_node[node->id] && (!only || id.subtask == *only);
    const WorkerState* const worker = meant && execution_.execution(id).exists ? worker_of(id) : nullptr;
    if (worker == nullptr) continue;
    calls.emplace_back(worker->actor,
                       msg::CallOperator{execution_.execution(id).of.attempt, id, node->id, question.name,
                                         question.is_query ? question.key_json : question.json, question.is_query});
  }
  if (calls.empty())
    return msg::Answer{fail(ErrorCode::not_found, "\"" + node->name + "\" is not running at the moment")};
  auto gathering = std::make_shared<Gathering>();
  gathering->missing = calls.size();
  gathering->answers.resize(calls.size());
  auto promise = make_response_promise<msg::Answer>();
  const std::string name = node->name;
  for (std::size_t i = 0; i < calls.size(); ++i) {
    request(calls[i].first, answer_deadline, calls[i].second)
        .then(
            [gathering, promise, i, name, bare = only && question.is_query](const msg::Answer& answer) mutable {
              if (gathering->done) return;
              if (!answer.ok) {
                gathering->done = true;
                const bool late = answer.failure.code == ErrorCode::io;
                promise.deliver(late ? msg::Answer{fail(ErrorCode::io, "\"" + name + "\": " + answer.failure.message)}
                                     : answer);
                return;
              }
              gathering->answers[i] = answer.json;
              if (--gathering->missing != 0) return;
              gathering->done = true;
              if (bare) {
                promise.deliver(answer);
                return;
              }
              std::string all = "[";
              for (const std::string& one : gathering->answers) all += (all.size() > 1 ? "," : "") + one;
              promise.deliver(msg::Answer{Result<std::string>{all + "]"}});
            },
            [gathering, promise, name](const caf::error&) mutable {
              if (gathering->done) return;
              gathering->done = true;
              promise.deliver(msg::Answer{fail(ErrorCode::io, "\"" + name + "\" did not answer in time")});
            });
  }
  return promise;
}

}  // namespace dataflow
