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

using nlohmann::ordered_json;

/// A master answers from its own thread; longer than it gives its workers.
constexpr auto master_deadline = std::chrono::seconds{12};
/// Of a TaskManager.
constexpr auto logs_deadline = std::chrono::seconds{5};
/// A master that crashes while its job runs is started again so often; the job's own code may be the reason.
constexpr std::uint32_t max_master_starts = 3;

/// What `show` says of a job that has no master to ask.
std::string describe(const JobRecord& job) {
  ordered_json json{{"id", job.spec.id},
                    {"name", job.name},
                    {"state", to_string(job.state)},
                    {"submitted", to_iso8601(job.submitted)}};
  if (!job.failure.message.empty()) {
    json["error"] = job.failure.message;
    json["error_code"] = to_string(job.failure.code);
  }
  return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace

JobManager::JobManager(caf::actor_config& config, JobManagerOptions options, ChildProcesses& children,
                       JobRecords records)
    : caf::event_based_actor{config},
      options_{std::move(options)},
      children_{children},
      artifacts_{options_.storage / "artifacts"},
      records_{std::move(records)} {}

caf::behavior JobManager::make_behavior() {
  set_down_handler([this](const caf::down_msg& down) {
    for (const auto& [name, node] : nodes_) {
      if (node.task_manager.address() == down.source) return lose_node(name, "the connection to it was lost");
    }
    for (auto& [id, job] : running_) {
      if (job.master && job.master.address() == down.source) job.master = nullptr;  // its process's end comes, too
    }
  });
  return node_messages().or_else(master_messages()).or_else(client_messages());
}

void JobManager::on_exit() {
  nodes_.clear();
  running_.clear();
}

// ---- Nodes ----------------------------------------------------------------------------------------------------------

caf::message_handler JobManager::node_messages() {
  return {
      [this](const msg::UseEndpoint& m) {
        listening_ = m.endpoint;
        recover_jobs();
        delayed_send(this, heartbeat(), msg::LookAround{});
      },
      [this](msg::LookAround) {
        look_at_nodes();
        serve_queue();
        delayed_send(this, heartbeat(), msg::LookAround{});
      },
      [this](const msg::RegisterNode& m) { return register_node(m); },
      [this](const msg::NodeHeartbeat& m) {
        const auto at = nodes_.find(m.name);
        const bool known = m.leader_epoch == records_.epoch() && at != nodes_.end() &&
                           at->second.incarnation == m.incarnation &&
                           at->second.task_manager == caf::actor_cast<caf::actor>(current_sender());
        if (known) at->second.heard = std::chrono::steady_clock::now();
        return msg::HeartbeatAnswer{records_.epoch(), known};
      },
      [this](const msg::WorkerDied& m) {
        Running* const job = running(m.job_id);
        if (m.leader_epoch != records_.epoch() || job == nullptr || !job->master) return;
        const auto sender_address = caf::actor_cast<caf::actor_addr>(current_sender());
        for (const auto& [name, node] : nodes_) {
          if (node.task_manager.address() == sender_address)
            send(job->master, msg::WorkerLost{m.round, name, m.reason, m.crashed});
        }
      },
      [this](const msg::ReadArtifact& m) -> caf::result<msg::ArtifactPiece> {
        const auto size = artifacts_.size(m.artifact);
        auto bytes = artifacts_.read(m.artifact, m.offset);
        if (!size || !bytes) return caf::make_error(caf::sec::invalid_argument, "no such artifact");
        return msg::ArtifactPiece{*size, std::move(*bytes)};
      },
  };
}

msg::NodeAnswer JobManager::register_node(const msg::RegisterNode& node) {
  if (const Status status = check(node.hello); !status) {
    spdlog::warn("refused TaskManager {}: {}", node.name, status.error().message());
    return {false, status.error().message(), records_.epoch(), 0};
  }
  if (nodes_.count(node.name) > 0) lose_node(node.name, "it was started again");
  auto task_manager = caf::actor_cast<caf::actor>(current_sender());
  monitor(task_manager);
  nodes_[node.name] = Node{std::move(task_manager), node.incarnation, std::chrono::steady_clock::now()};
  slots_.add_node(node.name, node.slots);
  spdlog::info("TaskManager {} has joined with {} slots", node.name, node.slots);
  // After the answer, which the TaskManager waits for.
  send(this, msg::ServeQueue{});
  return {true, {}, records_.epoch(), static_cast<std::uint64_t>(options_.silence_timeout.count())};
}

void JobManager::lose_node(const std::string& name, const std::string& reason) {
  // The caller's may be the map's own. NOLINTNEXTLINE(performance-unnecessary-copy-initialization)
  const std::string lost = name;
  spdlog::warn("TaskManager {} is lost: {}", lost, reason);
  nodes_.erase(lost);
  for (const std::string& job_id : slots_.remove_node(lost)) {
    Running* const job = running(job_id);
    if (job != nullptr && job->master) {
      send(job->master, msg::WorkerLost{job->round, lost, "TaskManager " + lost + " is lost: " + reason, false});
    }
  }
}

void JobManager::look_at_nodes() {
  const auto now = std::chrono::steady_clock::now();
  std::vector<std::string> silent;
  for (const auto& [name, node] : nodes_) {
    if (now - node.heard > options_.silence_timeout) silent.push_back(name);
  }
  for (const std::string& name : silent) {
    lose_node(name,
              "it was silent for " + std::to_string(options_.silence_timeout / std::chrono::milliseconds{1}) + " ms");
  }
}

// ---- Jobs and their masters -----------------------------------------------------------------------------------------

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
  job->submitter->deliver(msg::Answer{Result<std::string>{ordered_json{{"id", id}, {"name", ready.name}}.dump()}});
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

// ---- Slots ----------------------------------------------------------------------------------------------------------

void JobManager::request_slots(const msg::RequestSlots& request) {
  const std::string id = job_of_sender();
  Running* const job = running(id);
  if (job == nullptr) return;
  slots_.release(id, request.slots);
  std::erase(queue_, id);
  job->wanted = request;
  job->wanted_since = std::chrono::steady_clock::now();
  job->told_reason.clear();
  queue_.push_back(id);
  serve_queue();
}

void JobManager::serve_queue() {
  const auto now = std::chrono::steady_clock::now();
  std::deque<std::string> left;
  for (const std::string& id : std::exchange(queue_, {})) {
    Running& job = running_.at(id);
    if (!job.master) continue;
    const auto count = static_cast<std::uint32_t>(job.wanted->slots.size());
    // One that waits for nodes that do not exist does not keep the others waiting; among those that could be served it
    // is first come first served.
    const bool first = std::all_of(left.begin(), left.end(), [&](const std::string& other) {
      return running_.at(other).wanted->slots.size() > slots_.total();
    });
    if (first && slots_.free() >= count) {
      grant(id);
      continue;
    }
    std::string reason = "needs " + std::to_string(count) + " slots, ";
    reason += count > slots_.total()
                  ? std::to_string(slots_.total()) + " exist; start " + std::to_string(count - slots_.total()) + " more"
                  : std::to_string(slots_.free()) + " of " + std::to_string(slots_.total()) +
                        " are free; it waits for other jobs";
    if (now - job.wanted_since > options_.slot_timeout) {
      send(job.master,
           msg::SlotsRefused{job.wanted->round, "no slots within " +
                                                    std::to_string(options_.slot_timeout / std::chrono::seconds{1}) +
                                                    " s: the job " + reason});
      job.wanted.reset();
      continue;
    }
    if (reason != job.told_reason) send(job.master, msg::SlotsAwaited{job.wanted->round, reason});
    job.told_reason = reason;
    left.push_back(id);
  }
  queue_ = std::move(left);
}

void JobManager::grant(const std::string& job_id) {
  Running& job = running_.at(job_id);
  const auto slots = slots_.allocate(job_id, job.wanted->slots);
  job.round = job.wanted->round;
  job.wanted.reset();
  for (const auto& [name, numbers] : *slots) {
    send(nodes_.at(name).task_manager, msg::AssignSlots{records_.epoch(), records_.find(job_id)->spec, job.epoch,
                                                        job.data_token, job.port, job.round, numbers});
  }
  send(job.master, msg::SlotsGranted{job.round});
}

// ---- Clients --------------------------------------------------------------------------------------------------------

caf::message_handler JobManager::client_messages() {
  return {
      [this](const msg::PutArtifact& m) {
        if (const Status status = check(m.hello); !status) return msg::Answer{fail(status.error())};
        if (m.bytes.empty() && artifacts_.has(m.artifact))
          return msg::Answer{Result<std::string>{std::to_string(m.total_bytes)}};
        const auto there = artifacts_.append(m.artifact, m.offset, m.total_bytes, m.bytes);
        if (!there) return msg::Answer{fail(there.error())};
        return msg::Answer{Result<std::string>{std::to_string(*there)}};
      },
      [this](const msg::SubmitJob& m) { return submit(m); },
      [this](const msg::ListNodes& m) {
        if (const Status status = check(m.hello); !status) return msg::Answer{fail(status.error())};
        return msg::Answer{Result<std::string>{list_nodes()}};
      },
      [this](const msg::ListJobs& m) {
        if (const Status status = check(m.hello); !status) return msg::Answer{fail(status.error())};
        return msg::Answer{Result<std::string>{list_jobs()}};
      },
      [this](const msg::CallJob& m) { return call_job(m); },
      [this](const msg::FollowJob& m) { return follow(m); },
  };
}

Status JobManager::check(const msg::Hello& hello) const {
  if (hello.protocol != msg::protocol_version) {
    return fail(ErrorCode::unsupported, "this JobManager speaks protocol " + std::to_string(msg::protocol_version) +
                                            ", and who calls speaks " + std::to_string(hello.protocol) +
                                            ": use the same version of dfnode everywhere");
  }
  if (hello.cluster != options_.cluster) {
    return fail(ErrorCode::invalid_argument,
                "this is the JobManager of the cluster \"" + options_.cluster + "\", not of \"" + hello.cluster + "\"");
  }
  return {};
}

Result<std::string> JobManager::find_job(const std::string& id_or_name) const {
  if (records_.find(id_or_name) != nullptr) return id_or_name;
  std::vector<std::string> live;
  std::vector<std::string> ended;
  for (const auto& [id, job] : records_.all()) {
    if (job.name == id_or_name) (is_terminal(job.state) ? ended : live).push_back(id);
  }
  if (live.empty()) live = ended;
  if (live.size() == 1) return live.front();
  if (live.empty()) return fail(ErrorCode::not_found, "there is no job \"" + id_or_name + "\"");
  std::string message = "several jobs are called \"" + id_or_name + "\"; name one of:";
  for (const std::string& id : live) message += " " + id;
  return fail(ErrorCode::not_found, message);
}

caf::result<msg::Answer> JobManager::call_job(const msg::CallJob& call) {
  if (const Status status = check(call.hello); !status) return msg::Answer{fail(status.error())};
  const auto id = find_job(call.job);
  if (!id) return msg::Answer{fail(id.error())};
  const JobRecord& record = *records_.find(*id);
  Running* const job = running(*id);
  if (call.verb == msg::JobVerb::logs) return collect_logs(*id);
  if (call.verb == msg::JobVerb::show && (is_terminal(record.state) || job == nullptr || !job->ready)) {
    return msg::Answer{Result<std::string>{record.json.empty() ? describe(record) : record.json}};
  }
  if (is_terminal(record.state) || job == nullptr) {
    return msg::Answer{
        fail(ErrorCode::not_found, "job " + *id + " is " + std::string{to_string(record.state)} + " already")};
  }
  if (!job->ready) {
    if (call.verb != msg::JobVerb::cancel)
      return msg::Answer{fail(ErrorCode::not_found, "job " + *id + " is not running yet")};
    job->cancelled = true;
    if (job->pid != 0) children_.kill(job->pid, SIGKILL);
    return msg::Answer{Result<std::string>{ordered_json{{"id", *id}}.dump()}};
  }
  auto promise = make_response_promise<msg::Answer>();
  msg::CallJob named = call;
  named.job = *id;
  request(job->master, master_deadline, named)
      .then([promise](const msg::Answer& answer) mutable { promise.deliver(answer); },
            [promise, id = *id](const caf::error&) mutable {
              promise.deliver(msg::Answer{fail(ErrorCode::io, "the master of job " + id + " did not answer in time")});
            });
  return promise;
}

/// From this folder and from all nodes; one that does not answer is left out, and said so.
caf::result<msg::Answer> JobManager::collect_logs(const std::string& job_id) {
  struct Gathering {
    std::string lines;
    std::size_t missing = 0;
  };
  auto gathering = std::make_shared<Gathering>();
  gathering->lines = read_job_logs(options_.storage / "logs", job_id);
  gathering->missing = nodes_.size();
  if (nodes_.empty()) return msg::Answer{Result<std::string>{sort_log_lines(gathering->lines)}};
  auto promise = make_response_promise<msg::Answer>();
  const auto take = [gathering, promise](const std::string& lines) {
    gathering->lines += lines;
    if (--gathering->missing != 0) return;
    auto gathered = promise;
    gathered.deliver(msg::Answer{Result<std::string>{sort_log_lines(gathering->lines)}});
  };
  for (const auto& [name, node] : nodes_) {
    request(node.task_manager, logs_deadline, msg::ReadLogs{records_.epoch(), job_id})
        .then([take](const msg::Answer& answer) { take(answer.json); },
              [take, late = name](const caf::error&) { take("TaskManager " + late + " did not answer\n"); });
  }
  return promise;
}

caf::result<msg::Followed> JobManager::follow(const msg::FollowJob& request_) {
  msg::Followed nothing;
  if (const Status status = check(request_.hello); !status) {
    nothing.failure = status.error();
    return nothing;
  }
  const JobRecord* const record = records_.find(request_.job);
  if (record == nullptr) {
    nothing.failure = Error{ErrorCode::not_found, "there is no job \"" + request_.job + "\""};
    return nothing;
  }
  nothing.ended = is_terminal(record->state);
  nothing.json = record->json.empty() ? describe(*record) : record->json;
  Running* const job = running(request_.job);
  if (job == nullptr || !job->master || !job->ready) return nothing;
  auto promise = make_response_promise<msg::Followed>();
  request(job->master, master_deadline, request_)
      .then([promise](const msg::Followed& followed) mutable { promise.deliver(followed); },
            [promise, nothing](const caf::error&) mutable {
              // It has ended meanwhile; the next request sees what came of it.
              promise.deliver(nothing);
            });
  return promise;
}

std::string JobManager::list_jobs() const {
  std::vector<const JobRecord*> jobs;
  for (const auto& [id, job] : records_.all()) jobs.push_back(&job);
  std::sort(jobs.begin(), jobs.end(), [](const JobRecord* a, const JobRecord* b) {
    return std::tie(a->submitted, a->spec.id) < std::tie(b->submitted, b->spec.id);
  });
  ordered_json list = ordered_json::array();
  for (const JobRecord* job : jobs) {
    ordered_json one{{"id", job->spec.id},
                     {"name", job->name},
                     {"state", to_string(job->state)},
                     {"slots", job->slots},
                     {"submitted", to_iso8601(job->submitted)}};
    if (job->ended) one["ended"] = to_iso8601(*job->ended);
    if (!job->failure.message.empty()) one["error"] = job->failure.message;
    const auto running_job = running_.find(job->spec.id);
    if (running_job != running_.end() && !running_job->second.told_reason.empty() && running_job->second.wanted)
      one["waits_for"] = running_job->second.told_reason;
    list.push_back(std::move(one));
  }
  return list.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

std::string JobManager::list_nodes() const {
  ordered_json list = ordered_json::array();
  for (const auto& [name, node] : nodes_) {
    list.push_back({{"node", name}, {"slots", slots_.slots_of(name)}, {"used", slots_.used_of(name)}});
  }
  return list.dump();
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
