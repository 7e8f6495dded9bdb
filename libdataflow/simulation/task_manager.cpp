#include <algorithm>
#include <utility>

#include "libdataflow/simulation/job_manager.hpp"

namespace dataflow::simulation {

namespace {

constexpr Duration reconnect_interval{40'000};

}  // namespace

TaskManager::TaskManager(World& world, ProcessPtr process, Directory& directory, std::uint32_t slots)
    : Actor{world, std::move(process), "taskmanager"},
      directory_{directory},
      slot_count_{slots},
      incarnation_{static_cast<std::uint64_t>(std::max<std::int64_t>(1, wall_clock().micros))} {}

TaskManager::~TaskManager() = default;

void TaskManager::let_go() {
  job_manager_.reset();
  worker_.reset();
}

void TaskManager::begin() {
  post("begin", [this] {
    connect();
    after(world_.tuning.silence / 8, "beat", [this] { beat(); });
  });
}

void TaskManager::connect() {
  const auto try_again = [this] {
    after(reconnect_interval, "reconnect", [this] {
      if (connection_ == nullptr) connect();
    });
  };
  const auto manager = directory_.job_manager();
  if (manager == nullptr) return try_again();
  world_.network.connect(process_, manager->process(), [this, manager, try_again](const ConnectionPtr& made) {
    if (made == nullptr) return try_again();
    post("connected", [this, manager, made] {
      job_manager_ = manager;
      connection_ = made;
      connection_->when_down(process_, [this, made](const std::string& why) {
        post("the JobManager is gone", [this, made, why] {
          if (connection_ == made) lose_job_manager("the connection to it was lost: " + why);
        });
      });
      register_node();
    });
  });
}

void TaskManager::tell(const char* what, std::function<void(JobManager&)> say) {
  if (connection_ == nullptr) return;
  connection_->send(process_, [at = std::weak_ptr<JobManager>{job_manager_}, what, say = std::move(say)] {
    if (const auto there = at.lock()) there->post(what, [there = there.get(), say] { say(*there); });
  });
}

void TaskManager::register_node() {
  asked_at_ = world_.loop.now();
  tell("register", [self = std::static_pointer_cast<TaskManager>(shared_from_this()), connection = connection_,
                    instance = NodeInstance{node(), incarnation_}, slots = slot_count_](JobManager& manager) {
    manager.register_node(self, connection, instance, slots);
  });
  after(Duration{world_.tuning.silence * 2}, "registration due", [this, of = connection_] {
    if (connection_ == of && !accepted_) lose_job_manager("it did not answer");
  });
}

void TaskManager::take_answer(bool accepted, std::uint64_t leader_epoch, std::uint64_t taken_incarnation) {
  if (!accepted) {
    incarnation_ = taken_incarnation;
    return lose_job_manager("it knows a later life of this node");
  }
  accepted_ = true;
  leader_epoch_ = leader_epoch;
  lease_.emplace(world_.tuning.silence, asked_at_);
}

void TaskManager::beat() {
  after(world_.tuning.silence / 8, "beat", [this] { beat(); });
  if (worker_) {
    world_.loop.after(Duration{5}, worker_->process(),
                      [worker = worker_] { worker->post("still here", [at = worker.get()] { at->still_here(); }); });
  }
  if (!accepted_) return;
  const Timestamp now = world_.loop.now();
  if (lease_->expired(now)) return lose_job_manager("it was silent");
  tell("heartbeat", [connection = connection_, instance = NodeInstance{node(), incarnation_}, epoch = leader_epoch_,
                     now](JobManager& manager) { manager.hear(connection, instance, epoch, now); });
}

void TaskManager::heartbeat_answered(std::uint64_t incarnation, bool known, Timestamp sent) {
  if (!accepted_ || incarnation_ != incarnation) return;
  if (!known) return lose_job_manager("it takes this node for dead");
  lease_->renew(sent);
}

/// Whatever runs here has no leader any more: it is ended, and the node begins anew.
void TaskManager::lose_job_manager(const std::string& reason) {
  if (connection_ == nullptr) return;
  world_.note([&] { return node() + " has lost the JobManager: " + reason; });
  connection_->close(process_, "the node has given it up");
  connection_ = nullptr;
  job_manager_ = nullptr;
  accepted_ = false;
  lease_.reset();
  waiting_.clear();
  ++incarnation_;
  kill_worker("the JobManager is lost");
  after(reconnect_interval, "reconnect", [this] {
    if (connection_ == nullptr) connect();
  });
}

void TaskManager::kill_worker(const std::string& reason) {
  if (worker_process_ == nullptr) return;
  const ProcessPtr process = std::exchange(worker_process_, nullptr);
  worker_ = nullptr;
  process->ended = nullptr;  // it was told to
  if (process->alive) world_.kill(process, reason);
}

void TaskManager::end_worker(std::uint64_t leader_epoch, const std::string& reason) {
  if (leader_epoch != leader_epoch_) return;
  waiting_.clear();
  kill_worker(reason);
}

void TaskManager::assign(const Assignment& assignment) {
  if (assignment.leader_epoch != leader_epoch_ || !accepted_) return;
  round_ = assignment.round;
  if (worker_ != nullptr) {
    world_.loop.after(Duration{10}, worker_->process(), [worker = worker_, assignment] {
      worker->post("provide slots",
                   [at = worker.get(), assignment] { at->provide(assignment.round, assignment.slots); });
    });
    return;
  }
  waiting_.push_back(assignment);
  if (worker_process_ == nullptr) start_worker(assignment);
}

void TaskManager::start_worker(const Assignment& assignment) {
  worker_process_ = world_.start(node() + "/worker-" + std::to_string(world_.loop.events()), node(), process_);
  worker_process_->ended = [this, process = worker_process_.get()] {
    post("worker ended", [this, process] {
      if (worker_process_.get() == process) worker_ended(worker_process_);
    });
  };
  world_.loop.after(world_.random.between(Duration{200}, Duration{4000}), worker_process_,
                    [self = std::static_pointer_cast<TaskManager>(shared_from_this()), assignment,
                     process = worker_process_] { self->join_master(assignment, process); });
}

/// In the worker's process.
void TaskManager::join_master(const Assignment& assignment, const ProcessPtr& process) {
  const auto refused = [self = std::static_pointer_cast<TaskManager>(shared_from_this()), process] {
    self->world_.kill(process, "there is no way to the job's master");
  };
  world_.network.connect(
      process, assignment.master->process(),
      [self = std::static_pointer_cast<TaskManager>(shared_from_this()), assignment, process,
       refused](const ConnectionPtr& made) {
        if (made == nullptr) return refused();
        Directory& directory = self->directory_;
        const auto worker = std::make_shared<Worker>(
            self->world_, process,
            WorkerJob{assignment.master, made, directory.graph(assignment.layout), self->node(), process->name},
            [&directory](const std::string& name) {
              const auto peer = directory.worker(name);
              return peer ? peer->data() : nullptr;
            });
        directory.add_worker(worker);
        worker->begin();
        self->world_.loop.after(Duration{10}, self->process_, [self, worker] {
          self->post("worker is ready", [at = self.get(), worker] {
            if (at->worker_process_ != worker->process()) return;
            at->worker_ = worker;
            for (const Assignment& one : std::exchange(at->waiting_, {})) at->assign(one);
          });
        });
      });
}

void TaskManager::worker_ended(const ProcessPtr&) {
  worker_process_ = nullptr;
  worker_ = nullptr;
  waiting_.clear();
  tell("worker died", [name = node(), epoch = leader_epoch_, round = round_](JobManager& manager) {
    manager.worker_died(name, epoch, round, "its process has ended");
  });
}

}  // namespace dataflow::simulation
