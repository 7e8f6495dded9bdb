// The JobManager's jobs: it starts a master process for each, and says what becomes of the job when that ends.

#include "actors/cluster/job_manager.hpp"

#include <algorithm>
#include <csignal>

#include <spdlog/spdlog.h>
#include <caf/all.hpp>
#include <nlohmann/json.hpp>

#include "actors/clock.hpp"
#include "actors/cluster/cluster_system.hpp"
#include "actors/cluster/job_logs.hpp"
#include "actors/cluster/own_messages.hpp"
#include "libdataflow/master/job_id.hpp"

namespace dataflow {

namespace {

/// A master that crashes while its job runs is started again so often; the job's own code may be the reason.
constexpr std::uint32_t max_master_starts = 3;

}  // namespace

caf::message_handler JobManager::master_messages() {
  return {
      [this](const msg::ChildHello& m) { return welcome(m); },
      [this](const msg::ChildStarted& m) {
        Running* const job = running(m.job_id);
        if (job == nullptr || job->token != m.token) return;
        job->pid = m.pid;
        if (m.pid == 0) master_exited(m.job_id, m.token, m.error);
        // It was cancelled before there was a process to end.
        if (job->cancelled && m.pid != 0) children_.kill(m.pid, SIGKILL);
      },
      [this](const msg::ChildEnded& m) { master_exited(m.job_id, m.token, m.how); },
      [this](const msg::MasterReady& m) { take_ready(m); },
      [this](const msg::MasterState& m) {
        if (JobRecord* const job = records_.find(job_of_sender()); job != nullptr && !is_terminal(job->state))
          job->state = m.state;
      },
      [this](const msg::MasterEnded& m) { take_ended(m); },
      [this](const msg::RequestSlots& m) { request_slots(m); },
      [this](msg::ServeQueue) { serve_queue(); },
      [this](const msg::KillWorker& m) {
        const auto node = nodes_.find(m.node);
        if (node == nodes_.end()) return;
        send(node->second.task_manager, msg::EndWorker{records_.epoch(), job_of_sender(), m.reason});
      },
  };
}

void JobManager::recover_jobs() {
  for (const auto& [id, record] : records_.all()) {
    if (is_terminal(record.state)) continue;
    spdlog::info("job {} {} begins again", id, record.name);
    running_[id] = Running{};
    running_[id].recovered = true;
    start_master(id);
  }
}

caf::result<msg::Answer> JobManager::submit(const msg::SubmitJob& request) {
  if (const Status status = check(request.hello); !status) return msg::Answer{fail(status.error())};
  if (!artifacts_.has(request.job.artifact)) {
    return msg::Answer{fail(ErrorCode::not_found, "the JobManager does not have the job's artifact")};
  }
  JobRecord record;
  record.spec = request.job;
  record.spec.id = random_job_id();
  record.name = request.job.file_name;
  record.submitted = wall_clock_now();
  if (record.spec.parallelism == 0) record.spec.parallelism = std::max(1U, slots_.total());
  const std::string id = record.spec.id;
  if (const Status status = records_.add(std::move(record)); !status) return msg::Answer{fail(status.error())};
  spdlog::info("job {} ({}) was submitted", id, request.job.file_name);
  auto promise = make_response_promise<msg::Answer>();
  running_[id] = Running{};
  running_[id].submitter = promise;
  start_master(id);
  return promise;
}

void JobManager::start_master(const std::string& job_id) {
  Running& job = running_.at(job_id);
  job.token = random_token();
  job.data_token = random_token();
  job.epoch = (records_.epoch() << 16) + job.starts;
  ++job.starts;
  job.ready = false;
  job.pid = 0;
  const auto self = caf::actor_cast<caf::actor>(this);
  const std::uint64_t token = job.token;
  Endpoint parent = listening_;
  if (parent.host == "0.0.0.0") parent.host = "127.0.0.1";
  children_.start({
      .arguments = {"job-master", "--parent", parent.text(), "--cluster", options_.cluster},
      .environment = {{"DATAFLOW_CHILD_TOKEN", std::to_string(token)}},
      .log_file = job_log_file(options_.storage / "logs", job_id, "master"),
      .started =
          [self, job_id, token](const Result<pid_t>& pid) {
            caf::anon_send(self, msg::ChildStarted{job_id, token, pid ? *pid : 0, pid ? "" : pid.error().message()});
          },
      .ended =
          [self, job_id, token](int status) {
            caf::anon_send(self, msg::ChildEnded{job_id, token, describe_exit(status), has_crashed(status)});
          },
  });
}

caf::result<msg::MasterJob> JobManager::welcome(const msg::ChildHello& hello) {
  for (auto& [id, job] : running_) {
    if (job.token != hello.token) continue;
    job.master = caf::actor_cast<caf::actor>(current_sender());
    monitor(job.master);
    const JobRecord& record = *records_.find(id);
    const auto artifact = artifacts_.path_of(record.spec.artifact);
    return msg::MasterJob{job.epoch,
                          record.spec,
                          artifact ? artifact->string() : "",
                          listening_.host,
                          static_cast<std::uint64_t>(options_.silence_timeout.count()),
                          job.recovered || job.starts > 1};
  }
  return caf::make_error(caf::sec::invalid_argument, "no process with this token was started");
}

void JobManager::take_ready(const msg::MasterReady& ready) {
  const std::string id = job_of_sender();
  Running* const job = running(id);
  if (job == nullptr) return;
  if (!ready.ok) return end_job(id, JobState::failed, ready.failure, {});
  JobRecord& record = *records_.find(id);
  record.name = ready.name;
  record.slots = ready.slots;
  job->port = ready.port;
  job->ready = true;
  if (const Status saved = records_.save(id); !saved) spdlog::error("{}", saved.error().message());
  if (!job->submitter) return;
  job->submitter->deliver(
      msg::Answer{Result<std::string>{nlohmann::ordered_json{{"id", id}, {"name", ready.name}}.dump()}});
  job->submitter.reset();
}

void JobManager::take_ended(const msg::MasterEnded& ended) {
  end_job(job_of_sender(), ended.state, ended.failure, ended.json);
}

/// The master may live on until the last output has been taken.
void JobManager::end_job(const std::string& job_id, JobState state, const msg::Failure& failure, std::string json) {
  JobRecord* const record = records_.find(job_id);
  if (record == nullptr || is_terminal(record->state)) return;
  record->state = state;
  record->ended = wall_clock_now();
  record->failure = failure;
  record->json = std::move(json);
  spdlog::info("job {} ({}) is {}{}", job_id, record->name, to_string(state),
               failure.message.empty() ? "" : ": " + failure.message);
  if (const Status saved = records_.save(job_id); !saved) spdlog::error("{}", saved.error().message());
  release_slots(job_id, "its job has ended");
  std::erase(queue_, job_id);
  if (Running* const job = running(job_id); job != nullptr && job->submitter) {
    job->submitter->deliver(msg::Answer{fail(failure.error())});
    job->submitter.reset();
  }
  serve_queue();
}

void JobManager::master_exited(const std::string& job_id, std::uint64_t token, const std::string& how) {
  Running* const job = running(job_id);
  if (job == nullptr || job->token != token) return;
  const JobRecord& record = *records_.find(job_id);
  if (is_terminal(record.state)) {
    running_.erase(job_id);
    return;
  }
  release_slots(job_id, "its master has ended");
  std::erase(queue_, job_id);
  job->wanted.reset();
  job->master = nullptr;
  if (job->cancelled) {
    end_job(job_id, JobState::canceled, {}, {});
  } else if (!job->ready || job->starts >= max_master_starts) {
    end_job(
        job_id, JobState::failed,
        Error{ErrorCode::user_code, "the job's master process ended: " + how +
                                        (job->ready ? ", the last of " + std::to_string(job->starts) + " starts of it"
                                                    : " while it built the job's graph")},
        {});
  } else {
    spdlog::warn("the master of job {} ended: {}; it is started again", job_id, how);
    start_master(job_id);
    return;
  }
  running_.erase(job_id);
}

void JobManager::release_slots(const std::string& job_id, const std::string& reason) {
  slots_.release(job_id);
  // All nodes: one that has no slots for the job any more may still have the worker of an earlier attempt.
  for (const auto& [name, node] : nodes_) send(node.task_manager, msg::EndWorker{records_.epoch(), job_id, reason});
}

JobManager::Running* JobManager::running(const std::string& job_id) {
  const auto at = running_.find(job_id);
  return at == running_.end() ? nullptr : &at->second;
}

std::string JobManager::job_of_sender() {
  const auto from = caf::actor_cast<caf::actor_addr>(current_sender());
  for (const auto& [id, job] : running_) {
    if (job.master && job.master.address() == from) return id;
  }
  return {};
}

}  // namespace dataflow
