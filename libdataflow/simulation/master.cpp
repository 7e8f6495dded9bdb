#include "libdataflow/simulation/master.hpp"

#include <algorithm>
#include <utility>

#include "libdataflow/simulation/defects.hpp"
#include "libdataflow/simulation/subtask.hpp"

namespace dataflow::simulation {

namespace {

/// As the JobSupervisor's: a process's TaskManager is given so long to say what became of it.
constexpr Duration obituary_wait{30'000};
constexpr Duration look_interval{40'000};
constexpr Duration offer_deadline{3'000'000};

}  // namespace

Master::Master(World& world, ProcessPtr process, JobGraphPtr graph, MasterSettings settings,
               std::shared_ptr<MasterHome> home)
    : Actor{world, std::move(process), "master"},
      graph_{std::move(graph)},
      settings_{std::move(settings)},
      home_{std::move(home)},
      blocking_{std::make_shared<BlockingQueue>(world_, process_, "master's disk")},
      execution_{graph_, settings_.deadlines},
      sources_{graph_},
      worker_of_slot_(graph_->slots_needed()) {}

Master::~Master() = default;

void Master::begin() {
  post("begin", [this] { start(); });
}

std::string Master::describe_state() const {
  std::string text{to_string(execution_.state())};
  for (const SubtaskId id : execution_.subtasks()) {
    text += "\n    " + graph_->vertices[id.vertex].name + "[" + std::to_string(id.subtask) + "] " +
            std::string{to_string(execution_.state(id))};
  }
  if (checkpoints_) {
    const CheckpointCoordinator& coordinator = checkpoints_->coordinator();
    text += "\n    checkpoints: " + std::to_string(coordinator.completed_count()) + " completed, " +
            std::to_string(coordinator.failed_count()) + " failed";
    if (!coordinator.history().empty()) {
      const CheckpointRecord& last = coordinator.history().back();
      text += "; the last one, " + std::to_string(last.id) + ", is " + std::string{to_string(last.state)} + ", " +
              std::to_string(last.missing) + " subtasks missing" +
              (last.failure.empty() ? std::string{} : ": " + last.failure);
    }
  }
  return text;
}

void Master::start() {
  after(look_interval, "look around", [this] { look_around(); });
  const Effects effects = execution_.start(wall_clock());
  const auto find = [this](std::string_view path) -> Result<SavepointPlace> {
    return SavepointPlace{settings_.savepoints, std::string{path.substr(path.rfind('/') + 1)}};
  };
  auto opened = JobCheckpoints::open(graph_, settings_.job_id, settings_.start_from, settings_.storage, find);
  if (!opened) {
    return apply(
        execution_.on_region_failed(execution_.current(0), opened.error().within("checkpoints"), wall_clock()));
  }
  checkpoints_ = std::move(*opened);
  if (!world_.led.emplace(checkpoints_->lineage(), checkpoints_->coordinator().epoch()).second) {
    world_.violation("two masters lead " + checkpoints_->lineage() + " with epoch " +
                     std::to_string(checkpoints_->coordinator().epoch()));
  }
  world_.note([&] {
    return "the master leads " + checkpoints_->lineage() + " with epoch " +
           std::to_string(checkpoints_->coordinator().epoch());
  });
  apply(effects);
}

// ---- The ExecutionGraph's effects -----------------------------------------------------------------------------------

void Master::apply(const Effects& effects) {
  for (const Effect& effect : effects) {
    std::visit([this](const auto& e) { carry_out(e); }, effect);
  }
  note_failures();
}

void Master::note_failures() {
  world_.counts.restarts += execution_.restarts() - std::exchange(restarts_noted_, execution_.restarts());
  const auto& failures = execution_.failures();
  for (; noted_failures_ < failures.size(); ++noted_failures_) {
    world_.note([&] {
      return "attempt " + std::to_string(failures[noted_failures_].of.attempt) +
             " failed: " + failures[noted_failures_].message;
    });
  }
}

Status Master::prepare_attempt(RegionAttempt of) {
  auto point = checkpoints_->restore_point();
  if (!point) return fail(point.error());
  if (world_.defect == Defect::older_checkpoint)
    plant_older_checkpoint(*point, settings_.storage, checkpoints_->lineage());
  const RestoredCheckpointPtr restored = point->checkpoint;
  world_.note([&] {
    return "attempt " + std::to_string(of.attempt) + " starts from " +
           (restored ? "checkpoint " + std::to_string(restored->metadata().id) : std::string{"nothing"});
  });
  restore_points_[of.region] = std::move(*point);
  return sources_.prepare(of, execution_, checkpoints_->job_id(), restored.get());
}

void Master::carry_out(const AcquireSlots& effect) {
  world_.phase = "acquiring slots";
  if (checkpoints_->coordinator().in_doubt()) {
    postponed_.push_back(effect);
    return;
  }
  if (auto status = prepare_attempt(effect.of); !status) {
    return apply(execution_.on_region_failed(effect.of, status.error(), wall_clock()));
  }
  waiting_for_slots_.push_back(effect.of);
  find_slots();
}

void Master::find_slots() {
  std::vector<std::uint32_t> missing;
  for (std::uint32_t slot = 0; slot < worker_of_slot_.size(); ++slot) {
    if (!worker_of_slot_[slot]) missing.push_back(slot);
  }
  if (!missing.empty()) {
    ++round_;
    return home_->request_slots(round_, missing);
  }
  std::vector<NodeInstance> nodes;
  for (const auto& worker : worker_of_slot_) nodes.push_back(instance(*worker));
  for (const RegionAttempt of : std::exchange(waiting_for_slots_, {})) {
    apply(execution_.on_slots(of, nodes, wall_clock()));
  }
}

void Master::fail_waiting(const Error& error) {
  for (const RegionAttempt of : std::exchange(waiting_for_slots_, {})) {
    apply(execution_.on_region_failed(of, error, wall_clock()));
  }
}

void Master::carry_out(const DeployTasks& effect) {
  world_.phase = "deploying";
  std::map<std::size_t, std::vector<std::uint32_t>> slots;
  for (std::uint32_t slot = 0; slot < width(effect.of.region); ++slot) {
    if (worker_of_slot_[slot]) slots[*worker_of_slot_[slot]].push_back(slot);
  }
  for (auto& [worker, numbers] : slots) {
    tell(worker, "deploy",
         [deployment = Deployment{effect.of, checkpoints_->job_id(), checkpoints_->attempt_base(), std::move(numbers)}](
             Worker& at) { at.deploy(deployment); });
  }
}

void Master::carry_out(const OpenTasks& effect) {
  world_.phase = "opening";
  Placement placement;
  placement.of = effect.of;
  const RestorePoint& from = restore_points_[effect.of.region];
  placement.checkpoints = {settings_.storage, checkpoints_->lineage(), checkpoints_->coordinator().epoch(),
                           from.storage.empty() ? settings_.storage : settings_.savepoints, from.folder};
  std::map<std::size_t, std::uint32_t> numbers;
  for (std::uint32_t slot = 0; slot < width(effect.of.region); ++slot) {
    const auto& worker = worker_of_slot_[slot];
    if (!worker) return;
    const auto [at, is_new] = numbers.emplace(*worker, static_cast<std::uint32_t>(placement.workers.size()));
    if (is_new) placement.workers.push_back(workers_[*worker].worker->job().name);
    placement.worker_of_slot.push_back(at->second);
  }
  for (const auto& [worker, number] : numbers) {
    placement.self = number;
    tell(worker, "connect and open", [placement](Worker& at) { at.connect_peers(placement); });
  }
}

void Master::carry_out(const StartTasks& effect) {
  world_.phase = "running";
  tell_region(effect.of, "start", [of = effect.of](Worker& at) { at.start(of); });
  if (execution_.all_running()) apply_checkpoint(checkpoints_->coordinator().on_running(wall_clock()));
}

void Master::carry_out(const TakeLastCheckpoint&) {
  apply_checkpoint(checkpoints_->coordinator().on_all_drained(wall_clock()));
}

void Master::carry_out(const CommitTasks& effect) {
  world_.phase = "committing";
  for (std::uint32_t region = 0; region < execution_.region_count(); ++region) {
    const RegionAttempt of = execution_.current(region);
    tell_region(of, "commit", [of, epoch = effect.epoch](Worker& at) { at.commit(of, epoch); });
  }
}

void Master::carry_out(const CancelTasks& effect) {
  world_.phase = "cancelling";
  end_checkpoints_of_attempt();
  tell_region(effect.of, "cancel", [of = effect.of](Worker& at) { at.cancel(of); });
}

void Master::carry_out(const AbandonTasks& effect) {
  std::vector<bool> told(workers_.size());
  for (const SubtaskId id : effect.subtasks) {
    const auto& worker = worker_of_slot_[id.subtask];
    if (!worker || told[*worker]) continue;
    told[*worker] = true;
    home_->kill_worker(workers_[*worker].worker->job().node, "it did not end its subtasks in time");
  }
}

void Master::carry_out(const StopSources& effect) {
  tell_region(effect.of, "stop", [of = effect.of, how = effect.how](Worker& at) { at.stop_sources(of, how); });
}

void Master::carry_out(const ScheduleRestart& effect) {
  world_.phase = "restarting";
  end_checkpoints_of_attempt();
  after(effect.delay, "restart", [this, of = effect.of] { apply(execution_.on_restart_due(of, wall_clock())); });
}

void Master::carry_out(const ScheduleDeadline& effect) {
  deadlines_.push_back({world_.loop.now() + effect.after, effect.deadline});
}

void Master::carry_out(const EndJob& effect) {
  if (checkpoints_) {
    end_checkpoints_of_attempt();
    checkpoints_->coordinator().on_job_over();
  }
  // Behind what is still to be removed from the storage.
  blocking_->work("storage settled", [this, state = effect.state] {
    post("end", [this, state] {
      if (!std::exchange(end_told_, true)) home_->job_ended(state, execution_.error());
    });
  });
}

// ---- Workers --------------------------------------------------------------------------------------------------------

void Master::tell(std::size_t worker, const char* what, std::function<void(Worker&)> say) {
  const auto to = workers_[worker].worker;
  to->job().to_master->send(process_, [at = std::weak_ptr<Worker>{to}, what, say = std::move(say)] {
    if (const auto there = at.lock()) there->post(what, [there = there.get(), say] { say(*there); });
  });
}

void Master::tell_region(RegionAttempt of, const char* what, const std::function<void(Worker&)>& say) {
  std::vector<bool> told(workers_.size());
  for (std::uint32_t slot = 0; slot < width(of.region); ++slot) {
    const auto& worker = worker_of_slot_[slot];
    if (!worker || told[*worker]) continue;
    told[*worker] = true;
    tell(*worker, what, say);
  }
}

void Master::tell_all(const char* what, const std::function<void(Worker&)>& say) {
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    if (!workers_[i].lost) tell(i, what, say);
  }
}

std::uint32_t Master::width(std::uint32_t region) const {
  std::uint32_t widest = 0;
  for (const JobVertex& vertex : graph_->vertices) {
    if (execution_.region_of(vertex.id) == region) widest = std::max(widest, vertex.parallelism);
  }
  return widest;
}

NodeInstance Master::instance(std::size_t worker) const {
  return {workers_[worker].worker->job().node, worker + 1};
}

void Master::heard(const std::string& worker) {
  for (WorkerState& one : workers_) {
    if (one.worker->job().name == worker) one.heard = world_.loop.now();
  }
}

void Master::take_offer(const std::shared_ptr<Worker>& worker, std::uint32_t round,
                        const std::vector<std::uint32_t>& slots) {
  if (round != round_) return;
  auto known = std::find_if(workers_.begin(), workers_.end(),
                            [&](const WorkerState& w) { return w.worker == worker && !w.lost; });
  if (known == workers_.end()) {
    known = workers_.insert(known, {worker, world_.loop.now(), false});
    const auto number = static_cast<std::size_t>(known - workers_.begin());
    worker->job().to_master->when_down(process_, [this, number](const std::string& why) {
      after(obituary_wait, "worker down", [this, number, why] {
        lose_worker(number, Error{ErrorCode::unavailable, "the connection to it was lost: " + why});
      });
    });
  }
  for (const std::uint32_t slot : slots) {
    if (slot < worker_of_slot_.size()) worker_of_slot_[slot] = static_cast<std::size_t>(known - workers_.begin());
  }
  const bool complete =
      std::all_of(worker_of_slot_.begin(), worker_of_slot_.end(), [](const auto& w) { return w.has_value(); });
  if (complete) find_slots();
}

void Master::take_deployed(RegionAttempt of, std::uint32_t slot) {
  for (const SubtaskId id : execution_.subtasks(of.region)) {
    if (id.subtask == slot) apply(execution_.on_deployed(of.attempt, id, wall_clock()));
  }
}

void Master::take_opened(std::uint32_t attempt, SubtaskId id) {
  apply(execution_.on_opened(attempt, id, wall_clock()));
}
void Master::take_prepared(std::uint32_t attempt, SubtaskId id) {
  apply(execution_.on_prepared(attempt, id, wall_clock()));
}
void Master::take_finished(std::uint32_t attempt, SubtaskId id) {
  apply(execution_.on_finished(attempt, id, wall_clock()));
}
void Master::take_failed(std::uint32_t attempt, SubtaskId id, const Error& error) {
  apply(execution_.on_failed(attempt, id, error, wall_clock()));
}
void Master::take_gone(std::uint32_t attempt, SubtaskId id) {
  apply(execution_.on_gone(attempt, id, wall_clock()));
}

void Master::take_unreachable(RegionAttempt of, const std::string& reason) {
  // Its worker is dead, most likely, and somebody is about to say why.
  after(2 * obituary_wait, "peer down", [this, of, reason] {
    apply(execution_.on_region_failed(of, Error{ErrorCode::unavailable, reason}, wall_clock()));
  });
}

void Master::lose_worker(std::size_t worker, const Error& error) {
  if (worker >= workers_.size() || workers_[worker].lost) return;
  workers_[worker].lost = true;
  for (auto& at : worker_of_slot_) {
    if (at == worker) at.reset();
  }
  const std::string node = workers_[worker].worker->job().node;
  home_->kill_worker(node, error.message());
  apply(execution_.on_node_lost(instance(worker), error.within("the worker on " + node + " was lost"), wall_clock()));
  if (!waiting_for_slots_.empty() && !is_terminal(execution_.state())) find_slots();
}

void Master::worker_lost(std::uint32_t round, const std::string& node, const std::string& reason) {
  const Error error{ErrorCode::unavailable, reason};
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    if (workers_[i].worker->job().node == node && !workers_[i].lost) return lose_worker(i, error);
  }
  if (round == round_) fail_waiting(error.within("the worker on " + node + " was lost"));
}

void Master::slots_granted(std::uint32_t round) {
  if (round != round_) return;
  after(offer_deadline, "offers due", [this, round] {
    if (round != round_ || waiting_for_slots_.empty()) return;
    fail_waiting(Error{ErrorCode::unavailable, "not all workers came up in time"});
  });
}

void Master::slots_refused(std::uint32_t round, const std::string& reason) {
  if (round == round_) fail_waiting(Error{ErrorCode::invalid_argument, reason});
}

void Master::look_around() {
  const Timestamp now = world_.loop.now();
  const auto first_due =
      std::partition(deadlines_.begin(), deadlines_.end(), [&](const Pending& p) { return p.due > now; });
  const std::vector<Pending> due(first_due, deadlines_.end());
  deadlines_.erase(first_due, deadlines_.end());
  for (const Pending& p : due) apply(execution_.on_deadline(p.deadline, wall_clock()));
  if (checkpoints_) schedule_checkpoint_time();
  if (is_terminal(execution_.state())) return;
  after(look_interval, "look around", [this] { look_around(); });
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    if (workers_[i].lost) continue;
    tell(i, "report", [](Worker& worker) { worker.report(); });
    if (now - workers_[i].heard < world_.tuning.silence) continue;
    lose_worker(i, Error{ErrorCode::unavailable, "it was silent for too long"});
  }
}

// ---- Splits ---------------------------------------------------------------------------------------------------------

void Master::take_split_request(std::uint32_t attempt, SubtaskId id) {
  if (!execution_.is_current(attempt, id) || !worker_of_slot_[id.subtask]) return;
  auto next = sources_.next(id, wall_clock());
  if (!next) {
    const RegionAttempt of = execution_.current(execution_.region_of(id.vertex));
    return apply(execution_.on_region_failed(of, next.error(), wall_clock()));
  }
  const std::size_t worker = *worker_of_slot_[id.subtask];
  switch (next->kind) {
    case SplitEnumerator::Next::Kind::split:
      return tell(worker, "assign split",
                  [attempt, id, split = std::move(next->split)](Worker& at) { at.assign_split(attempt, id, split); });
    case SplitEnumerator::Next::Kind::done:
      return tell(worker, "no more splits", [attempt, id](Worker& at) { at.no_more_splits(attempt, id); });
    case SplitEnumerator::Next::Kind::wait:
      if (waiting_for_splits_.empty()) {
        after(std::max(Duration{0}, next->until - wall_clock()), "retry splits", [this] { retry_split_requests(); });
      }
      waiting_for_splits_.push_back({attempt, id});
  }
}

void Master::retry_split_requests() {
  const auto waiting = std::exchange(waiting_for_splits_, {});
  for (const SplitRequest& request : waiting) take_split_request(request.attempt, request.id);
}

}  // namespace dataflow::simulation
