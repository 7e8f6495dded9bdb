// The JobManager's jobs: it starts a master process for each, and says what becomes of the job when that ends.

#include <algorithm>
#include <csignal>
#include <set>

#include <spdlog/spdlog.h>
#include <caf/all.hpp>
#include <nlohmann/json.hpp>

#include "actors/clock.hpp"
#include "actors/cluster/cluster_system.hpp"
#include "actors/cluster/crash_report.hpp"
#include "actors/cluster/job_logs.hpp"
#include "actors/cluster/job_manager.hpp"
#include "actors/cluster/own_messages.hpp"
#include "libdataflow/master/job_id.hpp"

namespace dataflow {

namespace {

/// Masters of one JobManager have epochs that begin with its own.
constexpr unsigned master_start_bits = 24;
/// How many losses of its masters a job's history keeps.
constexpr std::size_t most_losses = 16;

std::string without_secrets(const StoredJob& job, const std::string& text) {
  Secrets secrets;
  for (const auto& [name, value] : job.environment) secrets.add(value, "${" + name + "}");
  return secrets.redact(text);
}

void add_loss(StoredJob& job, MasterLoss loss) {
  if (job.losses.size() == most_losses) job.losses.erase(job.losses.begin());
  job.losses.push_back(std::move(loss));
}

/// A master that crashes, which may be the job's own doing, is started again a few times and then not any more. One
/// that was killed by somebody is always started again.
constexpr RestartSettings crash_settings{.strategy = RestartSettings::Strategy::failure_rate,
                                         .delay = std::chrono::milliseconds{200},
                                         .max_failures = 3,
                                         .interval = std::chrono::minutes{1}};

Error half_committed() {
  return {
      ErrorCode::unavailable,
      "its master was lost while its output was made visible: a part of it may be, and to write it again might double "
      "it; a job with [checkpoint] would go on here"};
}

}  // namespace

JobManager::Running::Running(StoredJob job)
    : record{std::move(job)}, after_crash{crash_settings}, after_kill{RestartSettings{}} {}

caf::message_handler JobManager::master_messages() {
  return {
      [this](const msg::ChildHello& m) { return welcome(m); },
      [this](const msg::ChildStarted& m) {
        Running* const job = running(m.job_id);
        if (job == nullptr || job->token != m.token) return;
        job->pid = m.pid;
        if (m.pid == 0) master_exited({m.job_id, m.token, m.error, false});
        // It was cancelled before there was a process to end.
        if (job->cancelled && m.pid != 0) children_.kill(m.pid, SIGKILL);
      },
      [this](const msg::ChildEnded& m) { master_exited(m); },
      [this](const msg::MasterDue& m) {
        if (const Running* const job = running(m.job_id); job != nullptr && job->token == 0) start_master(m.job_id);
      },
      [this](const msg::MasterReady& m) { take_ready(m); },
      [this](const msg::MasterState& m) {
        if (Running* const job = job_of_sender(); job != nullptr && !is_terminal(job->record.state))
          job->record.state = m.state;
      },
      [this](msg::CommitBegins) { return keep_commit(); },
      [this](const msg::MasterEnded& m) { take_ended(m); },
      [this](const msg::RequestSlots& m) { request_slots(m); },
      [this](const msg::KillWorker& m) {
        const auto node = nodes_.find(m.node);
        const Running* const job = job_of_sender();
        if (node == nodes_.end() || job == nullptr) return;
        send(node->second.task_manager, msg::EndWorker{store_.epoch(), job->record.id, m.reason, m.stuck, false});
      },
  };
}

/// In the order in which they came, which is that in which they get slots. One that was being cancelled is not run
/// again for that: nothing of it was committed.
void JobManager::recover_jobs() {
  std::vector<StoredJob> jobs;
  for (const auto& [id, record] : store_.jobs()) {
    if (!is_terminal(record.state)) jobs.push_back(record);
  }
  std::sort(jobs.begin(), jobs.end(), [](const StoredJob& a, const StoredJob& b) {
    return std::tie(a.submitted_at, a.id) < std::tie(b.submitted_at, b.id);
  });
  for (const StoredJob& record : jobs) {
    const auto [at, added] = running_.emplace(record.id, Running{record});
    if (record.state == JobState::cancelling) {
      end_job(record.id, JobState::canceled, std::nullopt, {});
      running_.erase(at);
      continue;
    }
    if (record.committing) {
      end_job(record.id, JobState::failed, half_committed(), {});
      running_.erase(at);
      continue;
    }
    spdlog::info("job {} {} begins again", record.id, record.name);
    at->second.recovered = true;
    at->second.record.state = JobState::created;
    if (record.slots > 0) apply(slots_.request(record.id, record.slots, SlotPlacement::spread, steady_clock_now()));
    start_master(record.id);
  }
}

caf::result<msg::Answer> JobManager::submit(const msg::SubmitJob& request) {
  if (const Status status = check(request.hello); !status) return msg::Answer{fail(status.error())};
  const msg::JobSpec& spec = request.job;
  for (const std::string& artifact : artifacts_of(spec)) {
    if (!store_.keep_artifact(artifact))
      return msg::Answer{fail(ErrorCode::not_found, "the JobManager does not have all of the job's artifacts")};
  }
  StoredJob record;
  record.id = random_job_id();
  record.name = spec.file_name;
  record.artifact = spec.artifact;
  record.file_name = spec.file_name;
  record.base_folder = spec.base_folder;
  record.libraries = spec.libraries;
  record.overrides = spec.overrides;
  record.environment = spec.environment;
  record.arguments = spec.arguments;
  record.parallelism = spec.parallelism == 0 ? std::max(1U, slots_.slots_in_all()) : spec.parallelism;
  record.followed = spec.followed;
  record.from = spec.from;
  record.drop_unclaimed = spec.drop_unclaimed;
  record.submitted_at = wall_clock_now();
  if (const Status status = save(record); !status) return msg::Answer{fail(status.error())};
  spdlog::info("job {} ({}) was submitted", record.id, record.file_name);
  auto promise = make_response_promise<msg::Answer>();
  const std::string id = record.id;
  const auto [at, added] = running_.emplace(id, Running{std::move(record)});
  at->second.submitter = promise;
  start_master(id);
  return promise;
}

msg::JobSpec JobManager::job_spec(const StoredJob& record) {
  return {record.id,          record.file_name, record.artifact,    record.base_folder,
          record.libraries,   record.overrides, record.environment, record.arguments,
          record.parallelism, record.followed,  record.from,        record.drop_unclaimed};
}

void JobManager::start_master(const std::string& job_id) {
  Running& job = running_.at(job_id);
  job.token = random_token();
  job.data_token = random_token();
  job.epoch = (store_.epoch() << master_start_bits) + job.starts;
  ++job.starts;
  job.ready = false;
  job.pid = 0;
  const auto self = caf::actor_cast<caf::actor>(this);
  const std::uint64_t token = job.token;
  children_.start({
      .arguments = child_arguments("job-master", listening_, options_.control),
      .environment = child_environment(token, options_.control),
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
    if (job.token != hello.token || hello.token == 0) continue;
    job.master = caf::actor_cast<caf::actor>(current_sender());
    monitor(job.master);
    const auto artifact = artifacts_.path_of(job.record.artifact);
    return msg::MasterJob{job.epoch,
                          job_spec(job.record),
                          artifact ? artifact->string() : "",
                          listening_.host,
                          static_cast<std::uint64_t>(options_.silence_timeout.count()),
                          static_cast<std::uint64_t>(options_.cancel_timeout.count()),
                          job.recovered || job.starts > 1};
  }
  return caf::make_error(caf::sec::invalid_argument, "no process with this token was started");
}

void JobManager::take_ready(const msg::MasterReady& ready) {
  Running* const job = job_of_sender();
  if (job == nullptr) return;
  if (!ready.ok) return end_job(job->record.id, JobState::failed, ready.failure.error(), {});
  job->ready = true;
  job->was_ready = true;
  job->port = ready.port;
  const bool same = job->record.name == ready.name && job->record.slots == ready.slots;
  job->record.name = ready.name;
  job->record.slots = ready.slots;
  if (!same) save_or_log(job->record);
  if (!job->submitter) return;
  const nlohmann::ordered_json answer{{"id", job->record.id}, {"name", ready.name}};
  job->submitter->deliver(msg::Answer{Result<std::string>{answer.dump()}});
  job->submitter.reset();
}

caf::result<msg::CommitMayBegin> JobManager::keep_commit() {
  Running* const job = job_of_sender();
  if (job == nullptr) return caf::make_error(caf::sec::invalid_argument, "this is not the job's master");
  job->record.committing = true;
  if (const Status saved = save(job->record); !saved)
    return caf::make_error(caf::sec::runtime_error, saved.error().message());
  return msg::CommitMayBegin{};
}

void JobManager::take_ended(const msg::MasterEnded& ended) {
  const Running* const job = job_of_sender();
  if (job == nullptr) return;
  const bool failed = !ended.failure.message.empty();
  end_job(job->record.id, ended.state, failed ? std::optional{ended.failure.error()} : std::nullopt, ended.json);
}

/// The master may live on until the last output has been taken.
void JobManager::end_job(const std::string& job_id, JobState state, std::optional<Error> error, std::string json) {
  Running* const job = running(job_id);
  if (job == nullptr || is_terminal(job->record.state)) return;
  job->record.state = state;
  job->record.ended_at = wall_clock_now();
  job->record.error = std::move(error);
  job->record.shown = with_master_losses(json.empty() ? job_as_json(job->record) : std::move(json), job->record.losses);
  job->record.shown = with_slots(job->record.shown, slots_.slots_of(job_id));
  spdlog::info("job {} ({}) is {}{}", job_id, job->record.name, to_string(state),
               job->record.error ? ": " + job->record.error->message() : "");
  save_or_log(job->record);
  job->wanted.reset();
  end_workers(job_id, "its job has ended", true);
  if (job->submitter) {
    const bool failed = job->record.error.has_value();
    job->submitter->deliver(
        msg::Answer{fail(failed ? *job->record.error : Error{ErrorCode::cancelled, "the job was cancelled"})});
    job->submitter.reset();
  }
  std::set<std::string> live;
  for (const auto& [id, one] : running_) {
    if (!is_terminal(one.record.state)) live.insert(id);
  }
  prune_job_logs(options_.storage / "logs", live);
  apply(slots_.release(job_id, steady_clock_now()));
}

void JobManager::master_exited(const msg::ChildEnded& ended) {
  Running* const job = running(ended.job_id);
  if (job == nullptr || job->token != ended.token) return;
  const std::string id = job->record.id;
  answer_calls_of(*job);
  if (is_terminal(job->record.state)) {
    running_.erase(id);
    return;
  }
  end_workers(id, "its master has ended", false);
  const bool was_told = job->cancelled;
  const std::string how = was_told ? ended.how : note_loss(*job, ended.how);
  job->wanted.reset();
  job->master = nullptr;
  job->token = 0;
  job->pid = 0;
  job->ready = false;
  if (job->record.committing) {
    end_job(id, JobState::failed, half_committed(), {});
    running_.erase(id);
    return;
  }
  if (job->cancelled) return cancel_without_master(*job);
  const bool may_try_again = job->was_ready || !ended.crashed;
  RestartStrategy& strategy = ended.crashed ? job->after_crash : job->after_kill;
  const auto delay = may_try_again ? strategy.on_failure(steady_clock_now()) : std::nullopt;
  if (!delay) {
    const std::string when = may_try_again ? "; " + strategy.exhausted_reason() : " while it built the job's graph";
    const std::size_t frames = std::min(how.find('\n'), how.size());
    end_job(id, JobState::failed,
            Error{ErrorCode::user_code,
                  "the job's master process ended: " + how.substr(0, frames) + when + how.substr(frames)},
            {});
    running_.erase(id);
    return;
  }
  job->record.state = JobState::restarting;
  save_or_log(job->record);
  spdlog::warn("the master of job {} ended: {}; it is started again", id, how.substr(0, how.find('\n')));
  delayed_send(this, *delay, msg::MasterDue{id});
}

std::string JobManager::note_loss(Running& job, const std::string& how) {
  std::string reason = how;
  auto report = read_crash_report(job_log_file(options_.storage / "logs", job.record.id, "master"), job.pid);
  if (report) {
    name_artifacts(*report, file_names_of(job_spec(job.record)));
    reason = "killed by " + to_text(*report);
  }
  // It may hold what an exception said.
  reason = without_secrets(job.record, reason);
  add_loss(job.record, {wall_clock_now(), job.starts - 1, "the job's master ended: " + reason});
  return reason;
}

/// The job may have ended meanwhile: what is known of its end then gets this failure, too.
void JobManager::note_stuck(const std::string& job_id, const std::string& node, const std::string& where) {
  Running* const job = running(job_id);
  const StoredJob* const known = job != nullptr ? &job->record : record(job_id);
  if (known == nullptr) return;
  StoredJob changed = *known;
  const MasterLoss loss{wall_clock_now(), no_master,
                        "the worker on " + node + " was " + without_secrets(changed, where)};
  add_loss(changed, loss);
  if (is_terminal(changed.state)) changed.shown = with_master_losses(changed.shown, {loss});
  if (job != nullptr) job->record = changed;
  save_or_log(changed);
}

void JobManager::cancel_without_master(Running& job) {
  const std::string id = job.record.id;
  end_job(id, JobState::canceled, std::nullopt, {});
  running_.erase(id);
}

/// On all nodes: one that has no slots for the job any more may still have the worker of an earlier attempt.
void JobManager::end_workers(const std::string& job_id, const std::string& reason, bool job_ended) {
  for (const auto& [name, node] : nodes_)
    send(node.task_manager, msg::EndWorker{store_.epoch(), job_id, reason, false, job_ended});
}

Status JobManager::save(const StoredJob& record) {
  Status saved = store_.put(record);
  leave_if_deposed(saved);
  return saved;
}

void JobManager::leave_if_deposed(const Status& status) {
  if (status || status.error().code() != ErrorCode::unavailable) return;
  spdlog::error("{}; this one ends", status.error().message());
  children_.stop(1);
}

/// What has happened has happened, whether the disk takes it or not: it is tried again.
void JobManager::save_or_log(const StoredJob& record) {
  if (const Status saved = save(record); !saved) {
    spdlog::error("{}", saved.error().message());
    unsaved_.insert_or_assign(record.id, record);
  } else {
    unsaved_.erase(record.id);
  }
}

void JobManager::save_again() {
  for (const auto& [id, record] : std::map{unsaved_}) {
    if (!save(record)) return;
    unsaved_.erase(id);
  }
}

JobManager::Running* JobManager::running(const std::string& job_id) {
  const auto at = running_.find(job_id);
  return at == running_.end() ? nullptr : &at->second;
}

const StoredJob* JobManager::record(const std::string& job_id) const {
  if (const auto live = running_.find(job_id); live != running_.end()) return &live->second.record;
  if (const auto unsaved = unsaved_.find(job_id); unsaved != unsaved_.end()) return &unsaved->second;
  const auto stored = store_.jobs().find(job_id);
  return stored == store_.jobs().end() ? nullptr : &stored->second;
}

JobManager::Running* JobManager::job_of_sender() {
  const auto from = caf::actor_cast<caf::actor_addr>(current_sender());
  for (auto& [id, job] : running_) {
    if (job.master && job.master.address() == from) return &job;
  }
  return nullptr;
}

}  // namespace dataflow
