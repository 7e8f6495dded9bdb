#include "actors/cluster/task_manager.hpp"

#include <csignal>

#include <spdlog/spdlog.h>
#include <caf/all.hpp>
#include <caf/io/all.hpp>

#include "actors/clock.hpp"
#include "actors/cluster/cluster_system.hpp"
#include "actors/cluster/job_logs.hpp"
#include "actors/cluster/own_messages.hpp"

namespace dataflow {

namespace {

constexpr auto connect_deadline = std::chrono::seconds{5};
constexpr auto reconnect_interval = std::chrono::milliseconds{200};
constexpr auto fetch_deadline = std::chrono::seconds{30};
/// A spare that ends before it was of use is replaced more and more slowly.
constexpr auto spare_delay = std::chrono::milliseconds{200};
constexpr std::uint32_t max_spare_delays = 50;

}  // namespace

TaskManager::TaskManager(caf::actor_config& config, TaskManagerOptions options, ChildProcesses& children,
                         std::function<void(const Status&)> registered)
    : caf::event_based_actor{config},
      options_{std::move(options)},
      children_{children},
      registered_{std::move(registered)},
      artifacts_{options_.work_dir / "artifacts"},
      incarnation_{static_cast<std::uint64_t>(wall_clock_now().micros)} {}

caf::behavior TaskManager::make_behavior() {
  set_down_handler([this](const caf::down_msg& down) {
    if (job_manager_ && down.source == job_manager_.address()) lose_job_manager("the connection to it was lost");
  });
  return job_manager_messages().or_else(child_messages());
}

void TaskManager::on_exit() {
  job_manager_ = nullptr;
  workers_.clear();
}

// ---- The JobManager -------------------------------------------------------------------------------------------------

caf::message_handler TaskManager::job_manager_messages() {
  return {
      [this](const msg::UseEndpoint& m) {
        listening_ = m.endpoint;
        start_spare();
        connect();
        delayed_send(this, timeout_ / 8, msg::LookAround{});
      },
      [this](msg::Reconnect) {
        if (!job_manager_) connect();
      },
      [this](msg::LookAround) { beat(); },
      [this](const msg::AssignSlots& m) {
        if (m.leader_epoch == leader_epoch_) assign(m);
      },
      [this](const msg::ReadLogs& m) {
        return msg::Answer{Result<std::string>{read_job_logs(options_.work_dir / "logs", m.job_id)}};
      },
      [this](const msg::EndWorker& m) {
        if (m.leader_epoch == leader_epoch_) end_worker(m.job_id, m.reason);
      },
  };
}

void TaskManager::connect() {
  const auto again = [this] { delayed_send(this, reconnect_interval, msg::Reconnect{}); };
  request(system().middleman().actor_handle(), connect_deadline, caf::connect_atom::value, options_.join.host,
          options_.join.port)
      .then(
          [this, again](const caf::node_id&, caf::strong_actor_ptr& found, const std::set<std::string>&) {
            if (!found) return again();
            job_manager_ = caf::actor_cast<caf::actor>(found);
            monitor(job_manager_);
            register_node();
          },
          [again](const caf::error&) { again(); });
}

void TaskManager::register_node() {
  msg::RegisterNode node;
  node.hello.cluster = options_.cluster;
  node.name = listening_.text();
  node.incarnation = incarnation_;
  node.slots = options_.slots;
  request(job_manager_, connect_deadline, node)
      .then([this, asked = steady_clock_now()](const msg::NodeAnswer& answer) { take_answer(answer, asked); },
            [this](const caf::error&) { lose_job_manager("it did not answer"); });
}

void TaskManager::take_answer(const msg::NodeAnswer& answer, Timestamp asked) {
  if (answer.taken_incarnation != 0) {
    // The clock was set back, and so was the number that was drawn from it.
    incarnation_ = answer.taken_incarnation;
    return lose_job_manager(answer.reason);
  }
  if (!answer.accepted) {
    spdlog::error("the JobManager at {} refuses this node: {}", options_.join.text(), answer.reason);
    if (registered_) std::exchange(registered_, nullptr)(fail(ErrorCode::invalid_argument, answer.reason));
    return;
  }
  accepted_ = true;
  leader_epoch_ = answer.leader_epoch;
  timeout_ = std::chrono::microseconds{answer.timeout_us};
  lease_.emplace(timeout_, asked);
  spdlog::info("joined {} as {}, epoch {}", options_.join.text(), listening_.text(), leader_epoch_);
  if (registered_) std::exchange(registered_, nullptr)(Status{});
}

void TaskManager::beat() {
  delayed_send(this, timeout_ / 8, msg::LookAround{});
  for (const auto& [token, worker] : workers_) {
    if (worker.actor) send(worker.actor, msg::StillHere{});
  }
  if (!accepted_) return;
  const Timestamp now = steady_clock_now();
  if (lease_->expired(now)) return lose_job_manager("it was silent");
  request(job_manager_, timeout_, msg::NodeHeartbeat{leader_epoch_, listening_.text(), incarnation_})
      .then(
          [this, now, of = incarnation_](const msg::HeartbeatAnswer& answer) {
            if (!accepted_ || incarnation_ != of) return;
            if (!answer.known) return lose_job_manager("it takes this node for dead");
            lease_->renew(now);
          },
          [](const caf::error&) {});
}

/// Whatever runs here has no leader any more. Masters end with their JobManager, and workers with their master; those
/// that do not know yet are ended here, and the node begins anew.
void TaskManager::lose_job_manager(const std::string& reason) {
  if (!job_manager_) return;
  spdlog::warn("the JobManager at {} is lost: {}", options_.join.text(), reason);
  demonitor(job_manager_);
  job_manager_ = nullptr;
  accepted_ = false;
  waiting_.clear();
  fetching_.clear();
  lease_.reset();
  ++incarnation_;
  std::vector<std::string> jobs;
  for (const auto& [token, worker] : workers_) {
    if (!worker.job_id.empty()) jobs.push_back(worker.job_id);
  }
  for (const std::string& job_id : jobs) end_worker(job_id, "the JobManager is lost");
  delayed_send(this, reconnect_interval, msg::Reconnect{});
}

// ---- Jobs -----------------------------------------------------------------------------------------------------------

void TaskManager::assign(const msg::AssignSlots& assigned) {
  waiting_[assigned.job.id] = assigned;
  fetch(assigned.job.artifact);
  dispatch();
}

void TaskManager::fetch(const std::string& artifact) {
  if (artifacts_.has(artifact) || !fetching_.insert(artifact).second) return;
  request(job_manager_, fetch_deadline, msg::ReadArtifact{artifact, 0})
      .then([this, artifact](const msg::ArtifactPiece& piece) { take_piece(artifact, 0, piece); },
            [this, artifact](const caf::error&) { fetching_.erase(artifact); });
}

void TaskManager::take_piece(const std::string& artifact, std::uint64_t offset, const msg::ArtifactPiece& piece) {
  if (fetching_.count(artifact) == 0 || !job_manager_) return;
  const auto there = artifacts_.append(artifact, offset, piece.total_bytes, piece.bytes);
  if (!there || (*there == offset && piece.total_bytes > offset)) {
    fetching_.erase(artifact);
    const std::string reason = there ? "the JobManager does not have all of it" : there.error().message();
    spdlog::error("cannot fetch artifact {}: {}", artifact, reason);
    for (const auto& [job_id, assigned] : std::map{waiting_}) {
      if (assigned.job.artifact != artifact) continue;
      waiting_.erase(job_id);
      report_death(job_id, assigned.round, "its artifact could not be fetched: " + reason, false);
    }
    return;
  }
  if (*there >= piece.total_bytes) {
    fetching_.erase(artifact);
    return dispatch();
  }
  const std::uint64_t next = *there;
  request(job_manager_, fetch_deadline, msg::ReadArtifact{artifact, next})
      .then([this, artifact, next](const msg::ArtifactPiece& more) { take_piece(artifact, next, more); },
            [this, artifact](const caf::error&) { fetching_.erase(artifact); });
}

/// Gives every job whose artifact is here to its worker, or to the spare one.
void TaskManager::dispatch() {
  for (auto at = waiting_.begin(); at != waiting_.end();) {
    const msg::AssignSlots& assigned = at->second;
    if (!artifacts_.has(assigned.job.artifact)) {
      ++at;
      continue;
    }
    Child* worker = worker_of(assigned.job.id);
    if (worker == nullptr) worker = spare();
    if (worker == nullptr || !worker->actor) {
      ++at;
      continue;
    }
    const bool was_spare = worker->job_id.empty();
    worker->job_id = assigned.job.id;
    worker->round = assigned.round;
    msg::WorkForJob work;
    work.cluster = options_.cluster;
    work.master_epoch = assigned.master_epoch;
    work.data_token = assigned.data_token;
    work.job = assigned.job;
    work.artifact_path = *artifacts_.path_of(assigned.job.artifact);
    work.master_host = options_.join.host;
    work.master_port = assigned.master_port;
    work.node = listening_.text();
    work.host = listening_.host;
    work.insecure = options_.insecure;
    work.round = assigned.round;
    work.slots = assigned.slots;
    send(worker->actor, work);
    at = waiting_.erase(at);
    if (was_spare) {
      std::error_code error;  // a log under another name is a pity, and no reason to stop
      std::filesystem::rename(worker->log_file,
                              job_log_file(options_.work_dir / "logs", worker->job_id, std::to_string(worker->pid)),
                              error);
      start_spare();
    }
  }
}

void TaskManager::end_worker(const std::string& job_id, const std::string& reason) {
  waiting_.erase(job_id);
  Child* const worker = worker_of(job_id);
  if (worker == nullptr) return;
  spdlog::info("worker {} of job {} is ended: {}", worker->pid, job_id, reason);
  worker->told_to_end = true;
  children_.kill(worker->pid, SIGKILL);
}

void TaskManager::report_death(const std::string& job_id, std::uint32_t round, const std::string& reason,
                               bool crashed) {
  spdlog::warn("the worker of job {} is lost: {}", job_id, reason);
  if (accepted_) send(job_manager_, msg::WorkerDied{leader_epoch_, job_id, round, reason, crashed});
}

// ---- Processes ------------------------------------------------------------------------------------------------------

caf::message_handler TaskManager::child_messages() {
  return {
      [this](const msg::ChildHello& m) { take_child(m); },
      [this](const msg::ChildStarted& m) {
        const auto at = workers_.find(m.token);
        if (at == workers_.end()) return;
        at->second.pid = m.pid;
        if (m.pid == 0) child_ended(m.token, m.error, false);
      },
      [this](const msg::ChildEnded& m) { child_ended(m.token, m.how, m.crashed); },
      [this](const msg::WorkRefused& m) {
        report_death(m.job_id, m.round, m.reason, false);
        end_worker(m.job_id, m.reason);
      },
      [this](msg::SpareDue) {
        if (spare() == nullptr) start_spare();
      },
  };
}

void TaskManager::start_spare() {
  const std::uint64_t token = random_token();
  Child& child = workers_[token];
  child.log_file = options_.work_dir / "logs" / ("spare-" + std::to_string(++spares_started_) + ".log");
  const auto self = caf::actor_cast<caf::actor>(this);
  children_.start({
      .arguments = {"worker", "--parent", listening_.text(), "--cluster", options_.cluster},
      .environment = {{"DATAFLOW_CHILD_TOKEN", std::to_string(token)}},
      .log_file = child.log_file,
      .started =
          [self, token](const Result<pid_t>& pid) {
            caf::anon_send(self, msg::ChildStarted{{}, token, pid ? *pid : 0, pid ? "" : pid.error().message()});
          },
      .ended =
          [self, token](int status) {
            caf::anon_send(self, msg::ChildEnded{{}, token, describe_exit(status), has_crashed(status)});
          },
  });
}

void TaskManager::take_child(const msg::ChildHello& hello) {
  const auto at = workers_.find(hello.token);
  if (at == workers_.end()) return;
  at->second.actor = caf::actor_cast<caf::actor>(current_sender());
  at->second.pid = hello.pid;
  spare_failures_ = 0;
  send(at->second.actor, msg::NodeAnswer{true, {}, leader_epoch_, static_cast<std::uint64_t>(timeout_.count())});
  dispatch();
}

void TaskManager::child_ended(std::uint64_t token, const std::string& how, bool crashed) {
  const auto at = workers_.find(token);
  if (at == workers_.end()) return;
  const Child child = std::move(at->second);
  workers_.erase(at);
  if (!child.job_id.empty()) {
    if (!child.told_to_end) report_death(child.job_id, child.round, how, crashed);
    return;
  }
  spdlog::warn("a spare worker ended: {}", how);
  spare_failures_ = std::min(spare_failures_ + 1, max_spare_delays);
  delayed_send(this, spare_delay * spare_failures_, msg::SpareDue{});
}

/// One that has been told to end is as good as gone.
TaskManager::Child* TaskManager::worker_of(const std::string& job_id) {
  for (auto& [token, worker] : workers_) {
    if (worker.job_id == job_id && !worker.told_to_end) return &worker;
  }
  return nullptr;
}

TaskManager::Child* TaskManager::spare() {
  return worker_of({});
}

}  // namespace dataflow
