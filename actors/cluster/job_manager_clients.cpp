// What clients ask of the JobManager: jobs to be taken, lists, and calls that go on to a job's master.

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

}  // namespace dataflow
