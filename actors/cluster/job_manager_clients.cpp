// What clients ask of the JobManager: jobs to be taken, lists, and calls that go on to a job's master.

#include "actors/cluster/job_manager.hpp"

#include <algorithm>
#include <csignal>

#include <spdlog/spdlog.h>
#include <caf/all.hpp>
#include <nlohmann/json.hpp>

#include "actors/clock.hpp"
#include "actors/cluster/cluster_system.hpp"
#include "actors/cluster/job_json.hpp"
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

/// The answer to who tells a job to end.
std::string told(const std::string& job_id) {
  return ordered_json{{"id", job_id}}.dump();
}

}  // namespace

caf::message_handler JobManager::client_messages() {
  return {
      [this](const msg::PutArtifact& m) { return put_artifact(m); },
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
  if (hello.cluster != options_.control.cluster) {
    return fail(ErrorCode::invalid_argument, "this is the JobManager of the cluster \"" + options_.control.cluster +
                                                 "\", not of \"" + hello.cluster + "\"");
  }
  return {};
}

msg::Answer JobManager::put_artifact(const msg::PutArtifact& piece) {
  if (const Status status = check(piece.hello); !status) return msg::Answer{fail(status.error())};
  if (piece.bytes.empty() && store_.keep_artifact(piece.artifact))
    return msg::Answer{Result<std::string>{std::to_string(piece.total_bytes)}};
  const auto there = uploads_.append(piece.artifact, piece.offset, piece.total_bytes, piece.bytes);
  if (!there) return msg::Answer{fail(there.error())};
  if (uploads_.has(piece.artifact)) {
    const auto whole = uploads_.take(piece.artifact);
    if (!whole) return msg::Answer{fail(whole.error())};
    const auto kept = store_.put_artifact(*whole);
    if (!kept) return msg::Answer{fail(kept.error())};
  }
  return msg::Answer{Result<std::string>{std::to_string(*there)}};
}

std::string JobManager::describe(const StoredJob& job) const {
  // What is kept of a job that has ended has them.
  return job.shown.empty() ? with_master_losses(job_as_json(job), job.losses) : job_as_json(job);
}

Result<std::string> JobManager::find_job(const std::string& id_or_name) const {
  if (record(id_or_name) != nullptr) return id_or_name;
  std::vector<std::string> live;
  std::vector<std::string> ended;
  for (const StoredJob* job : all_jobs()) {
    if (job->name == id_or_name) (is_terminal(job->state) ? ended : live).push_back(job->id);
  }
  if (live.empty()) live = ended;
  if (live.size() == 1) return live.front();
  if (live.empty()) return fail(ErrorCode::not_found, "there is no job \"" + id_or_name + "\"");
  std::string message = "several jobs are called \"" + id_or_name + "\"; name one of:";
  for (const std::string& id : live) message += " " + id;
  return fail(ErrorCode::invalid_argument, message);
}

caf::result<msg::Answer> JobManager::call_job(const msg::CallJob& call) {
  if (const Status status = check(call.hello); !status) return msg::Answer{fail(status.error())};
  const auto id = find_job(call.job);
  if (!id) return msg::Answer{fail(id.error())};
  if (call.verb == msg::JobVerb::logs) return collect_logs(*id);
  const StoredJob& known = *record(*id);
  Running* const job = running(*id);
  const bool has_ended = is_terminal(known.state) || job == nullptr;
  if (call.verb == msg::JobVerb::show && (has_ended || !job->ready)) {
    return msg::Answer{Result<std::string>{describe(known)}};
  }
  if (has_ended) {
    return msg::Answer{
        fail(ErrorCode::unavailable, "job " + *id + " is " + std::string{to_string(known.state)} + " already")};
  }
  if (call.verb == msg::JobVerb::cancel) {
    if (const Status cancelled = cancel(*job); !cancelled) return msg::Answer{fail(cancelled.error())};
    if (running(*id) == nullptr || !job->ready) return msg::Answer{Result<std::string>{told(*id)}};
  }
  if (!job->ready) return msg::Answer{fail(ErrorCode::unavailable, "job " + *id + " is not running yet")};
  auto promise = make_response_promise<msg::Answer>();
  msg::CallJob named = call;
  named.job = *id;
  const std::uint64_t number = ++last_call_;
  calls_.emplace(number, OpenCall{*id, call.verb, promise});
  request(job->master, master_deadline, named)
      .then([this, number](const msg::Answer& answer) { answer_call(number, answer); },
            [this, number, id = *id](const caf::error&) {
              answer_call(number, msg::Answer{fail(ErrorCode::unavailable,
                                                   "the master of job " + id + " did not answer in time")});
            });
  return promise;
}

/// Nothing when it was answered without its master.
void JobManager::answer_call(std::uint64_t number, msg::Answer answer) {
  const auto at = calls_.find(number);
  if (at == calls_.end()) return;
  const Running* const asked = running(at->second.job_id);
  if (at->second.verb == msg::JobVerb::show && answer.ok && asked != nullptr)
    answer.json = with_slots(with_master_losses(answer.json, asked->record.losses), slots_.slots_of(at->second.job_id));
  at->second.promise.deliver(std::move(answer));
  calls_.erase(at);
}

/// CAF tells nobody that the receiver of a request has gone with its process.
void JobManager::answer_calls_of(const Running& job) {
  for (auto at = calls_.begin(); at != calls_.end();) {
    OpenCall& call = at->second;
    if (call.job_id != job.record.id) {
      ++at;
      continue;
    }
    // A master that was told ends with its job, perhaps before its answer is here.
    const bool stops = call.verb == msg::JobVerb::stop || call.verb == msg::JobVerb::drain;
    if (call.verb == msg::JobVerb::show) {
      call.promise.deliver(msg::Answer{Result<std::string>{describe(job.record)}});
    } else if ((call.verb == msg::JobVerb::cancel && job.cancelled) ||
               (stops && job.record.state == JobState::finished)) {
      call.promise.deliver(msg::Answer{Result<std::string>{told(job.record.id)}});
    } else {
      call.promise.deliver(msg::Answer{
          fail(ErrorCode::unavailable, "the master of job " + job.record.id + " ended before it answered")});
    }
    at = calls_.erase(at);
  }
}

/// Kept before it is passed on: a JobManager that is started later does not run the job again.
Status JobManager::cancel(Running& job) {
  StoredJob cancelling = job.record;
  cancelling.state = JobState::cancelling;
  if (Status saved = save(cancelling); !saved)
    return fail(saved.error().within("the job goes on: it was not cancelled"));
  job.cancelled = true;
  job.record = std::move(cancelling);
  if (job.token == 0) {
    cancel_without_master(job);
  } else if (!job.ready && job.pid != 0) {
    children_.kill(job.pid, SIGKILL);
  }
  return {};
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
    request(node.task_manager, logs_deadline, msg::ReadLogs{store_.epoch(), job_id})
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
  const StoredJob* const known = record(request_.job);
  if (known == nullptr) {
    nothing.failure = Error{ErrorCode::not_found, "there is no job \"" + request_.job + "\""};
    return nothing;
  }
  nothing.ended = is_terminal(known->state);
  nothing.json = describe(*known);
  Running* const job = running(request_.job);
  if (job == nullptr || !job->master || !job->ready) return nothing;
  auto promise = make_response_promise<msg::Followed>();
  request(job->master, master_deadline, request_)
      .then(
          [this, promise, id = request_.job](const msg::Followed& followed) mutable {
            const Running* const asked = running(id);
            msg::Followed told = followed;
            if (asked != nullptr) told.json = with_master_losses(told.json, asked->record.losses);
            promise.deliver(std::move(told));
          },
          [promise, nothing](const caf::error&) mutable {
            // It has ended meanwhile; the next request sees what came of it.
            promise.deliver(nothing);
          });
  return promise;
}

std::vector<const StoredJob*> JobManager::all_jobs() const {
  std::vector<const StoredJob*> jobs;
  for (const auto& [id, job] : store_.jobs()) jobs.push_back(record(id));
  for (const auto& [id, job] : running_) {
    if (store_.jobs().count(id) == 0) jobs.push_back(&job.record);  // out of the history already
  }
  std::sort(jobs.begin(), jobs.end(), [](const StoredJob* a, const StoredJob* b) {
    return std::tie(a->submitted_at, a->id) < std::tie(b->submitted_at, b->id);
  });
  return jobs;
}

std::string JobManager::list_jobs() const {
  ordered_json list = ordered_json::array();
  for (const StoredJob* job : all_jobs()) {
    ordered_json one{{"id", job->id},
                     {"name", job->name},
                     {"state", to_string(job->state)},
                     {"slots", job->slots},
                     {"submitted", to_iso8601(job->submitted_at)}};
    if (job->ended_at) one["ended"] = to_iso8601(*job->ended_at);
    if (job->error) one["error"] = job->error->message();
    if (const std::string reason = slots_.waiting_reason(job->id); !reason.empty()) one["waits_for"] = reason;
    list.push_back(std::move(one));
  }
  return list.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

std::string JobManager::list_nodes() const {
  ordered_json list = ordered_json::array();
  for (const auto& [name, node] : nodes_) {
    list.push_back({{"node", name},
                    {"slots", node.slots},
                    {"used", slots_.used_slots({name, node.incarnation})},
                    {"silent", liveness_.state(name) == NodeState::suspect}});
  }
  return list.dump();
}

}  // namespace dataflow
