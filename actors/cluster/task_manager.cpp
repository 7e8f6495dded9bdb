#include "actors/cluster/task_manager.hpp"

#include <algorithm>
#include <csignal>

#include <spdlog/spdlog.h>
#include <caf/all.hpp>
#include <caf/io/all.hpp>

#include "actors/clock.hpp"
#include "actors/cluster/cluster_system.hpp"
#include "actors/cluster/crash_report.hpp"
#include "actors/cluster/job_logs.hpp"
#include "actors/cluster/own_messages.hpp"
#include "actors/state_home.hpp"

namespace dataflow {

namespace {

constexpr auto connect_deadline = std::chrono::seconds{5};
constexpr auto reconnect_interval = std::chrono::milliseconds{200};
constexpr auto fetch_deadline = std::chrono::seconds{5};
/// A spare that ends before it was of use is replaced more and more slowly.
constexpr auto spare_delay = std::chrono::milliseconds{200};
constexpr std::uint32_t max_spare_delays = 50;
/// Writing a report of a stack takes milliseconds.
constexpr auto stack_wait = std::chrono::seconds{1};

std::vector<std::string> worker_arguments(const Endpoint& parent, const TaskManagerOptions& options) {
  std::vector<std::string> arguments = child_arguments("worker", parent, options.control);
  arguments.insert(arguments.end(),
                   {"--data-host", options.listen.host, "--memory-limit", std::to_string(options.worker_memory)});
  return arguments;
}

bool needs(const msg::JobSpec& job, const std::string& artifact) {
  const auto all = artifacts_of(job);
  return std::find(all.begin(), all.end(), artifact) != all.end();
}

}  // namespace

TaskManager::TaskManager(caf::actor_config& config, TaskManagerOptions options, ChildProcesses& children,
                         caf::io::middleman_actor middleman, std::function<void(const Status&)> registered)
    : caf::event_based_actor{config},
      options_{std::move(options)},
      children_{children},
      middleman_{std::move(middleman)},
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
  middleman_ = nullptr;
  workers_.clear();
}

// ---- The JobManager -------------------------------------------------------------------------------------------------

caf::message_handler TaskManager::job_manager_messages() {
  return {
      [this](const msg::UseEndpoint& m) {
        listening_ = m.endpoint;
        reached_at_ = options_.advertise.value_or(listening_);
        if (reached_at_.port == 0) reached_at_.port = listening_.port;
        artifacts_.clear_partial();
        trim_artifacts();
        remove_old_local_copies(states(), {});
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
        if (m.leader_epoch != leader_epoch_) return;
        if (m.job_ended) return end_job(m.job_id, m.reason);
        end_worker(m.job_id, m.reason, m.stuck);
      },
  };
}

void TaskManager::connect() {
  request(middleman_, connect_deadline, caf::connect_atom::value, options_.join.host, options_.join.port)
      .then(
          [this](const caf::node_id&, caf::strong_actor_ptr& found, const std::set<std::string>&) {
            if (!found) return not_connected({ErrorCode::io, "nobody is there"});
            job_manager_ = caf::actor_cast<caf::actor>(found);
            monitor(job_manager_);
            register_node();
          },
          [this](const caf::error& error) { not_connected(connection_error(system(), error, options_.join)); });
}

/// One that is not there is waited for. One that refuses this node does so for good, unless it is another one by now.
void TaskManager::not_connected(const Error& error) {
  if (error.code() == ErrorCode::invalid_argument && registered_)
    return std::exchange(registered_, nullptr)(fail(error));
  if (error.message() != std::exchange(told_error_, error.message()))
    spdlog::warn("no way to the JobManager: {}; it is tried again", error.message());
  delayed_send(this, reconnect_interval, msg::Reconnect{});
}

void TaskManager::register_node() {
  msg::RegisterNode node;
  node.hello.cluster = options_.control.cluster;
  node.name = reached_at_.text();
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
  told_error_.clear();
  spdlog::info("joined {} as {}, epoch {}", options_.join.text(), reached_at_.text(), leader_epoch_);
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
  request(job_manager_, timeout_, msg::NodeHeartbeat{leader_epoch_, reached_at_.text(), incarnation_})
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
  for (const std::string& artifact : artifacts_of(assigned.job)) {
    artifacts_.touch(artifact);
    fetch(artifact);
  }
  dispatch();
}

std::set<std::string> TaskManager::artifacts_in_use() const {
  std::set<std::string> all;
  for (const auto& [job_id, assigned] : waiting_) {
    for (const std::string& artifact : artifacts_of(assigned.job)) all.insert(artifact);
  }
  for (const auto& [token, worker] : workers_) {
    for (const auto& [artifact, name] : worker.file_names) all.insert(artifact);
  }
  return all;
}

void TaskManager::trim_artifacts() const {
  const std::size_t removed = artifacts_.trim(options_.artifact_cache, artifacts_in_use());
  if (removed > 0) spdlog::info("removed {} artifacts that no job here needs", removed);
}

void TaskManager::fetch(const std::string& artifact) {
  if (!artifacts_.has(artifact) && fetching_.insert(artifact).second) ask_for_piece(artifact, 0);
}

/// A piece that does not come in time is asked for again, as long as a job waits for it here.
void TaskManager::ask_for_piece(const std::string& artifact, std::uint64_t offset) {
  request(job_manager_, fetch_deadline, msg::ReadArtifact{artifact, offset})
      .then([this, artifact, offset](const msg::ArtifactPiece& piece) { take_piece(artifact, offset, piece); },
            [this, artifact, offset](const caf::error& error) {
              if (fetching_.count(artifact) == 0 || !accepted_) return;
              if (!is_wanted(artifact)) {
                fetching_.erase(artifact);
              } else if (error == caf::sec::request_timeout) {
                spdlog::warn("a piece of artifact {} did not come in time; it is asked for again", artifact);
                ask_for_piece(artifact, offset);
              } else {
                give_up_artifact(artifact, system().render(error));
              }
            });
}

void TaskManager::take_piece(const std::string& artifact, std::uint64_t offset, const msg::ArtifactPiece& piece) {
  if (fetching_.count(artifact) == 0 || !accepted_) return;
  const auto there = artifacts_.append(artifact, offset, piece.total_bytes, piece.bytes);
  if (!there) return give_up_artifact(artifact, there.error().message());
  if (*there >= piece.total_bytes) {
    fetching_.erase(artifact);
    dispatch();
    return trim_artifacts();
  }
  if (*there == offset) return give_up_artifact(artifact, "the JobManager does not have all of it");
  ask_for_piece(artifact, *there);
}

void TaskManager::give_up_artifact(const std::string& artifact, const std::string& reason) {
  fetching_.erase(artifact);
  spdlog::error("cannot fetch artifact {}: {}", artifact, reason);
  for (const auto& [job_id, assigned] : std::map{waiting_}) {
    if (!needs(assigned.job, artifact)) continue;
    waiting_.erase(job_id);
    report_death(job_id, assigned.round, "its artifact could not be fetched: " + reason, false);
  }
}

bool TaskManager::is_wanted(const std::string& artifact) const {
  return std::any_of(waiting_.begin(), waiting_.end(),
                     [&](const auto& waiting) { return needs(waiting.second.job, artifact); });
}

/// Gives every job whose artifacts are here to its worker, or to the spare one.
void TaskManager::dispatch() {
  for (auto at = waiting_.begin(); at != waiting_.end();) {
    const msg::AssignSlots& assigned = at->second;
    if (!artifacts_.has_all(artifacts_of(assigned.job))) {
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
    worker->file_names = file_names_of(assigned.job);
    msg::WorkForJob work;
    work.master_epoch = assigned.master_epoch;
    work.data_token = assigned.data_token;
    work.job = assigned.job;
    work.artifact_path = *artifacts_.path_of(assigned.job.artifact);
    work.master_host = options_.join.host;
    work.master_port = assigned.master_port;
    work.node = reached_at_.text();
    work.host = reached_at_.host;
    work.round = assigned.round;
    work.slots = assigned.slots;
    send(worker->actor, work);
    at = waiting_.erase(at);
    if (was_spare) {
      const auto named = job_log_file(options_.work_dir / "logs", worker->job_id, std::to_string(worker->pid));
      std::error_code error;  // a log under another name is a pity, and no reason to stop
      std::filesystem::rename(worker->log_file, named, error);
      if (!error) worker->log_file = named;
      prune_job_logs(options_.work_dir / "logs", live_jobs());
      start_spare();
    }
  }
}

/// A stuck one is asked for its stack by the signal that ends it, and is killed if it does not answer.
void TaskManager::end_worker(const std::string& job_id, const std::string& reason, bool stuck) {
  waiting_.erase(job_id);
  Child* const worker = worker_of(job_id);
  if (worker == nullptr) return;
  spdlog::info("worker {} of job {} is ended: {}", worker->pid, job_id, reason);
  worker->told_to_end = true;
  worker->stuck = stuck;
  if (!stuck) return children_.kill(worker->pid, SIGKILL);
  children_.kill(worker->pid, SIGABRT);
  for (const auto& [token, child] : workers_) {
    if (&child == worker) delayed_send(this, stack_wait, msg::KillDue{token});
  }
}

/// Its worker adds to the local copies until it is gone.
void TaskManager::end_job(const std::string& job_id, const std::string& reason) {
  if (Child* const worker = worker_of(job_id))
    worker->job_ended = true;
  else
    remove_local_copies(states(), job_id);
  end_worker(job_id, reason);
}

void TaskManager::report_death(const std::string& job_id, std::uint32_t round, const std::string& reason,
                               bool crashed) {
  spdlog::warn("the worker of job {} is lost: {}", job_id, reason.substr(0, reason.find('\n')));
  if (accepted_) send(job_manager_, msg::WorkerDied{leader_epoch_, job_id, round, reason, crashed, false});
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
      [this](const msg::KillDue& m) {
        if (const auto at = workers_.find(m.token); at != workers_.end()) children_.kill(at->second.pid, SIGKILL);
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
  auto environment = child_environment(token, options_.control);
  environment.emplace_back(state_folder_variable, states().string());
  children_.start({
      .arguments = worker_arguments(listening_, options_),
      .environment = std::move(environment),
      .log_file = child.log_file,
      .memory_limit = options_.worker_memory,
      .expendable = true,
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
    trim_artifacts();
    if (child.job_ended) remove_local_copies(states(), child.job_id);
    remove_old_local_copies(states(), live_jobs());
    if (child.told_to_end && !child.stuck) return;
    auto report = read_crash_report(child.log_file, child.pid);
    if (report) name_artifacts(*report, child.file_names);
    if (!child.stuck) {
      return report_death(child.job_id, child.round, report ? "killed by " + to_text(*report) : how, crashed);
    }
    if (report && accepted_) {
      const std::string where = "stuck and ended by " + to_text(*report);
      send(job_manager_, msg::WorkerDied{leader_epoch_, child.job_id, child.round, where, false, true});
    }
    return;
  }
  spdlog::warn("a spare worker ended: {}", how);
  spare_failures_ = std::min(spare_failures_ + 1, max_spare_delays);
  delayed_send(this, spare_delay * spare_failures_, msg::SpareDue{});
}

std::filesystem::path TaskManager::states() const {
  return std::filesystem::absolute(options_.work_dir / "state");
}

std::set<std::string> TaskManager::live_jobs() const {
  std::set<std::string> live;
  for (const auto& [token, worker] : workers_) live.insert(worker.job_id);
  live.erase(std::string{});
  return live;
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
