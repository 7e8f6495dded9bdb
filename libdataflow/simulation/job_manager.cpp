#include "libdataflow/simulation/job_manager.hpp"

#include <algorithm>
#include <utility>

#include "libdataflow/simulation/defects.hpp"

namespace dataflow::simulation {

namespace {

constexpr const char* store_folder = "jobs";

/// The master's way to its JobManager, which started it: both are on one machine.
class HomeLink final : public MasterHome {
 public:
  HomeLink(std::weak_ptr<JobManager> manager, std::uint64_t number, ProcessPtr master, ConnectionPtr connection)
      : manager_{std::move(manager)}, number_{number}, master_{std::move(master)}, connection_{std::move(connection)} {}

  void request_slots(std::uint32_t round, const std::vector<std::uint32_t>& slots) override {
    tell("request slots", [number = number_, round, slots](JobManager& m) { m.request_slots(number, round, slots); });
  }
  void kill_worker(const std::string& node, const std::string& reason) override {
    tell("kill worker", [number = number_, node, reason](JobManager& m) { m.kill_worker(number, node, reason); });
  }
  void job_ended(JobState state, const std::optional<Error>& error) override {
    tell("job ended", [number = number_, state, error](JobManager& m) { m.job_ended(number, state, error); });
  }

 private:
  void tell(const char* what, std::function<void(JobManager&)> say) {
    connection_->send(master_, [to = manager_, what, say = std::move(say)] {
      if (const auto manager = to.lock()) manager->post(what, [at = manager.get(), say] { say(*at); });
    });
  }

  std::weak_ptr<JobManager> manager_;
  std::uint64_t number_;
  ProcessPtr master_;
  ConnectionPtr connection_;
};

}  // namespace

JobManager::JobManager(World& world, ProcessPtr process, Directory& directory)
    : Actor{world, std::move(process), "jobmanager"},
      directory_{directory},
      liveness_{{.heartbeat_interval = world.tuning.silence / 4, .heartbeat_timeout = world.tuning.silence}} {}

JobManager::~JobManager() = default;

void JobManager::let_go() {
  nodes_.clear();
  job_.reset();
}

void JobManager::begin() {
  post("begin", [this] {
    auto opened = JobStore::open(world_.disk, {.folder = store_folder});
    if (!opened) return world_.kill(process_, "the store cannot be opened: " + opened.error().message());
    store_ = std::move(*opened);
    if (!store_->unreadable().empty()) {
      // A person would look at it; what was read wrong is read again.
      return world_.kill(process_, "a record cannot be read: " + store_->unreadable().front().message());
    }
    recover();
    look_around();
  });
}

const StoredJob* JobManager::ended_job() const {
  if (job_ || job_count() == 0) return nullptr;
  const StoredJob& newest = store_->jobs().rbegin()->second;
  return is_terminal(newest.state) ? &newest : nullptr;
}

void JobManager::recover() {
  if (job_count() == 0 || ended_job() != nullptr) return;
  const StoredJob* const newest = &store_->jobs().rbegin()->second;
  Running running;
  running.record = *newest;
  running.record.state = JobState::created;
  running.layout = newest->parallelism;
  if (newest->arguments.size() == 2) {
    running.savepoint = newest->arguments.back();
  } else {
    running.resume = !newest->arguments.empty();
  }
  running.starts = 1;  // it has been started before
  job_ = std::move(running);
  start_master();
}

void JobManager::submit(std::uint32_t layout, bool resume, const std::string& savepoint) {
  if (!store_ || job_) return;
  Running running;
  const std::string number = std::to_string(store_->jobs().size() + 1);
  running.record.id = "job-" + std::string(3 - std::min<std::size_t>(number.size(), 3), '0') + number;
  running.record.name = running.record.file_name = "job.toml";
  running.record.parallelism = layout;
  if (resume) running.record.arguments = {"--resume"};
  if (!savepoint.empty()) running.record.arguments = {"--from", savepoint};
  running.layout = layout;
  running.resume = resume;
  running.savepoint = savepoint;
  job_ = std::move(running);
  if (!save()) {
    job_.reset();  // the client hears that it was not taken, and tries again
    return;
  }
  start_master();
}

bool JobManager::save() {
  const Status saved = store_->put(job_->record);
  if (!saved && saved.error().code() == ErrorCode::unavailable) {
    world_.kill(process_, "deposed: " + saved.error().message());
  }
  return saved.has_value();
}

// ---- The job's master -----------------------------------------------------------------------------------------------

void JobManager::start_master() {
  Running& job = *job_;
  job.number = ++masters_;
  ++world_.counts.masters;
  const bool again = job.starts++ > 0;
  const JobGraphPtr graph = directory_.graph(job.layout);
  job.record.slots = graph->slots_needed();
  job.process = world_.start("master-" + std::to_string(world_.counts.masters), process_->machine, process_);
  job.process->ended = [this, number = job.number] {
    post("master exited", [this, number] { master_exited(number); });
  };
  const auto connection = world_.network.join(process_, job.process);
  MasterSettings settings;
  settings.job_id = job.record.id;
  settings.storage = directory_.storage();
  settings.savepoints = directory_.savepoints();
  settings.on_savepoint = [&directory = directory_](const TakenSavepoint& taken) { directory.savepoint_taken(taken); };
  if (world_.defect == Defect::missing_fence) settings.storage = without_later_epochs(std::move(settings.storage));
  settings.start_from.from = again ? StartFrom::own_run : job.resume ? StartFrom::last_run : StartFrom::nothing;
  // A job that went on from another's run has not begun one of its own.
  if (again && job.resume) settings.start_from.from = StartFrom::last_run;
  settings.start_from.savepoint = job.savepoint;
  settings.deadlines = {.deploy = Duration{2'000'000},
                        .open = Duration{3'000'000},
                        .cancel = Duration{1'000'000},
                        .commit = Duration{3'000'000}};
  job.master =
      std::make_shared<Master>(world_, job.process, graph, std::move(settings),
                               std::make_shared<HomeLink>(std::static_pointer_cast<JobManager>(shared_from_this()),
                                                          job.number, job.process, connection));
  world_.loop.after(world_.random.between(Duration{200}, Duration{3000}), job.process,
                    [master = job.master] { master->begin(); });
}

void JobManager::master_exited(std::uint64_t number) {
  if (!job_ || job_->number != number) return;
  end_workers("its master has ended");
  job_->wanted.reset();
  job_->master = nullptr;
  job_->number = 0;
  if (is_terminal(job_->record.state)) return;
  job_->record.state = JobState::restarting;
  after(world_.random.between(Duration{0}, Duration{100'000}), "start the master again", [this] {
    if (job_ && job_->number == 0 && !is_terminal(job_->record.state)) start_master();
  });
}

void JobManager::job_ended(std::uint64_t master, JobState state, const std::optional<Error>& error) {
  if (job_ && job_->number == master) end_job(state, error);
}

void JobManager::end_job(JobState state, const std::optional<Error>& error) {
  if (is_terminal(job_->record.state)) return;
  job_->record.state = state;
  job_->record.error = error;
  job_->record.ended_at = wall_clock();
  world_.note([&] {
    return "the job is " + std::string{to_string(state)} + (error ? ": " + error->message() : std::string{});
  });
  unsaved_ = !save();
  job_->wanted.reset();
  end_workers("its job has ended");
  if (job_->process->alive) world_.kill(job_->process, "the job has ended");
  apply(slots_.release(job_->record.id, world_.loop.now()));
  if (!unsaved_) job_.reset();
}

void JobManager::end_workers(const std::string& reason) {
  for (const auto& [name, node] : nodes_) {
    tell_node(name, "end worker", [epoch = store_->epoch(), reason](TaskManager& at) { at.end_worker(epoch, reason); });
  }
}

void JobManager::tell_master(const char* what, std::function<void(Master&)> say) {
  if (!job_ || job_->master == nullptr) return;
  world_.loop.after(world_.random.between(Duration{2}, Duration{20}), job_->process,
                    [at = std::weak_ptr<Master>{job_->master}, what, say = std::move(say)] {
                      const auto master = at.lock();
                      if (master) master->post(what, [master = master.get(), say] { say(*master); });
                    });
}

// ---- Nodes ----------------------------------------------------------------------------------------------------------

void JobManager::tell_node(const std::string& name, const char* what, std::function<void(TaskManager&)> say) {
  const auto node = nodes_.find(name);
  if (node == nodes_.end()) return;
  node->second.connection->send(
      process_, [at = std::weak_ptr<TaskManager>{node->second.task_manager}, what, say = std::move(say)] {
        if (const auto there = at.lock()) there->post(what, [there = there.get(), say] { say(*there); });
      });
}

void JobManager::register_node(const std::shared_ptr<TaskManager>& node, const ConnectionPtr& connection,
                               const NodeInstance& instance, std::uint32_t slots) {
  if (!store_) return;
  const LivenessEffects effects = liveness_.on_register(instance, world_.loop.now());
  const bool accepted = liveness_.is_current(instance);
  const std::uint64_t taken = accepted ? 0 : *liveness_.incarnation(instance.name);
  connection->send(process_, [node, accepted, taken, epoch = store_->epoch()] {
    node->post("registered", [at = node.get(), accepted, taken, epoch] { at->take_answer(accepted, epoch, taken); });
  });
  if (!accepted) return;
  for (const LivenessEffect& effect : effects) {
    if (!std::holds_alternative<NodeJoined>(effect)) continue;
    nodes_[instance.name] = Node{node, connection, instance.incarnation, slots};
    connection->when_down(process_, [this, instance](const std::string& why) {
      post("node lost", [this, instance, why] {
        apply(liveness_.on_lost(instance, "the connection to it was lost: " + why, world_.loop.now()));
      });
    });
  }
  apply(effects);
}

void JobManager::hear(const ConnectionPtr& connection, const NodeInstance& instance, std::uint64_t epoch,
                      Timestamp sent) {
  if (!store_) return;
  const auto node = nodes_.find(instance.name);
  const bool known = epoch == store_->epoch() && liveness_.is_current(instance) && node != nodes_.end() &&
                     node->second.connection == connection;
  if (known) apply(liveness_.on_heartbeat(instance, world_.loop.now()));
  if (node == nodes_.end()) return;
  connection->send(process_, [at = node->second.task_manager, known, sent, incarnation = instance.incarnation] {
    at->post("heartbeat answered",
             [to = at.get(), known, sent, incarnation] { to->heartbeat_answered(incarnation, known, sent); });
  });
}

void JobManager::worker_died(const std::string& node, std::uint64_t epoch, std::uint32_t round,
                             const std::string& reason) {
  if (!store_ || epoch != store_->epoch()) return;
  tell_master("worker lost", [round, node, reason](Master& master) { master.worker_lost(round, node, reason); });
}

void JobManager::look_around() {
  after(world_.tuning.silence / 4, "look around", [this] { look_around(); });
  if (const Status leads = store_->check_leader(); !leads && leads.error().code() == ErrorCode::unavailable) {
    return world_.kill(process_, "deposed: " + leads.error().message());
  }
  apply(liveness_.on_time(world_.loop.now()));
  apply(slots_.on_time(world_.loop.now()));
  if (!unsaved_ || !job_) return;
  unsaved_ = !save();
  if (!unsaved_) job_.reset();
}

void JobManager::apply(const LivenessEffects& effects) {
  const Timestamp now = world_.loop.now();
  for (const LivenessEffect& effect : effects) {
    if (const auto* joined = std::get_if<NodeJoined>(&effect)) {
      apply(slots_.on_node(joined->node, nodes_.at(joined->node.name).slots, now));
    } else if (const auto* suspected = std::get_if<NodeSuspected>(&effect)) {
      slots_.on_node_silent(suspected->node);
    } else if (const auto* trusted = std::get_if<NodeTrusted>(&effect)) {
      apply(slots_.on_node_heard(trusted->node, now));
    } else if (const auto* died = std::get_if<NodeDied>(&effect)) {
      world_.note([&] { return "node " + died->node.name + " is lost: " + died->reason; });
      const auto node = nodes_.find(died->node.name);
      if (node != nodes_.end() && node->second.incarnation == died->node.incarnation) nodes_.erase(node);
      apply(slots_.on_node_gone(died->node, now), died->reason);
    }
  }
}

// ---- Slots ----------------------------------------------------------------------------------------------------------

void JobManager::request_slots(std::uint64_t master, std::uint32_t round, const std::vector<std::uint32_t>& slots) {
  if (!job_ || job_->number != master) return;
  job_->wanted = Running::Wanted{round, slots};
  apply(slots_.request(job_->record.id, job_->record.slots, SlotPlacement::previous, world_.loop.now(), slots));
}

void JobManager::apply(const SlotEffects& effects, const std::string& node_lost_by) {
  for (const SlotEffect& effect : effects) {
    if (const auto* revoked = std::get_if<SlotsRevoked>(&effect)) {
      if (!job_ || job_->record.id != revoked->job) continue;
      tell_master("worker lost", [round = job_->round, node = revoked->node.name, node_lost_by](Master& master) {
        master.worker_lost(round, node, "TaskManager " + node + " is lost: " + node_lost_by);
      });
    } else if (const auto* allocated = std::get_if<SlotsAllocated>(&effect)) {
      assign(*allocated);
    } else if (const auto* denied = std::get_if<SlotsDenied>(&effect)) {
      if (!job_ || job_->record.id != denied->job || !job_->wanted) continue;
      tell_master("slots refused", [round = job_->wanted->round, reason = denied->reason](Master& master) {
        master.slots_refused(round, reason);
      });
      job_->wanted.reset();
    }
  }
}

void JobManager::assign(const SlotsAllocated& effect) {
  if (!job_ || job_->record.id != effect.job || !job_->wanted || job_->master == nullptr) return;
  const Running::Wanted wanted = std::move(*job_->wanted);
  job_->wanted.reset();
  job_->round = wanted.round;
  std::map<std::string, std::vector<std::uint32_t>> by_node;
  for (const std::uint32_t slot : wanted.slots) {
    if (slot < effect.slots.size()) by_node[effect.slots[slot].node.name].push_back(slot);
  }
  for (auto& [name, numbers] : by_node) {
    tell_node(name, "assign slots",
              [assignment = Assignment{store_->epoch(), job_->master, job_->layout, wanted.round, std::move(numbers)}](
                  TaskManager& at) { at.assign(assignment); });
  }
  tell_master("slots granted", [round = wanted.round](Master& master) { master.slots_granted(round); });
}

void JobManager::kill_worker(std::uint64_t master, const std::string& node, const std::string& reason) {
  if (!job_ || job_->number != master) return;
  tell_node(node, "end worker", [epoch = store_->epoch(), reason](TaskManager& at) { at.end_worker(epoch, reason); });
}

}  // namespace dataflow::simulation
