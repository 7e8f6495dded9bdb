#include "actors/cluster/job_master.hpp"

#include <spdlog/spdlog.h>
#include <caf/all.hpp>
#include <nlohmann/json.hpp>

#include "actors/cluster/artifact_store.hpp"
#include "actors/cluster/cluster_system.hpp"
#include "actors/cluster/job_json.hpp"
#include "actors/cluster/own_messages.hpp"
#include "actors/job_supervisor.hpp"

namespace dataflow {

namespace {

constexpr auto welcome_deadline = std::chrono::seconds{10};
constexpr auto supervisor_deadline = std::chrono::seconds{10};
/// A follower with nothing to hear asks again after this.
constexpr auto follow_wait = std::chrono::milliseconds{250};
/// After the job's end its output waits so long for the one who follows it.
constexpr auto linger = std::chrono::seconds{30};
/// A follower that asks no more within this has left.
constexpr auto follower_patience = std::chrono::seconds{10};
constexpr auto look_interval = std::chrono::seconds{1};
constexpr std::size_t max_output_bytes = 256 * 1024;

/// Of a topology the client has said so already; one that a C++ job embeds is seen only here.
Status check_sources(const StreamGraph& graph) {
  for (const StreamNode& node : graph.nodes) {
    if (!node.is_source() || node.type != "stdin") continue;
    return fail(ErrorCode::invalid_argument, node.defined_at + ": \"" + node.name +
                                                 "\" reads standard input, which a cluster's processes do not have; "
                                                 "run it with `dfnode run`, or read a file");
  }
  return {};
}

}  // namespace

JobMaster::JobMaster(caf::actor_config& config, caf::actor job_manager, ControlPlane& control, std::uint64_t token,
                     std::function<void()> ended)
    : caf::event_based_actor{config},
      job_manager_{std::move(job_manager)},
      control_{control},
      token_{token},
      ended_{std::move(ended)} {}

caf::behavior JobMaster::make_behavior() {
  set_down_handler([this](const caf::down_msg& down) {
    if (supervisor_ && down.source == supervisor_.address()) {
      spdlog::error("the job's supervisor died: {}", to_string(down.reason));
    } else {
      spdlog::warn("the JobManager is gone: {}", to_string(down.reason));
    }
    ended_();
  });
  monitor(job_manager_);
  request(job_manager_, welcome_deadline, msg::ChildHello{token_, getpid()})
      .then([this](const msg::MasterJob& job) { begin(job); },
            [this](const caf::error& error) {
              spdlog::error("the JobManager does not know this process: {}", system().render(error));
              ended_();
            });
  return {
      // From the JobSupervisor.
      [this](const msg::RequestSlots& m) { send(job_manager_, m); },
      [this](const msg::KillWorker& m) { send(job_manager_, m); },
      [this](const msg::JobStateChanged& m) { send(job_manager_, msg::MasterState{m.state}); },
      [this](const msg::CommitBegins& m) { return tell_commit(m); },
      [this](const msg::JobEnded& m) { end(m); },
      [this](const msg::PrintOutput& m) { return keep_output(m); },
      // From the JobManager.
      [this](const msg::SlotsGranted& m) { send(supervisor_, m); },
      [this](const msg::SlotsAwaited& m) { send(supervisor_, m); },
      [this](const msg::SlotsRefused& m) { send(supervisor_, m); },
      [this](const msg::WorkerLost& m) { send(supervisor_, m); },
      [this](const msg::CallJob& m) { return call(m); },
      [this](const msg::FollowJob&) { return follow(); },
      // Its own.
      [this](const msg::FollowDue& m) {
        if (m.request == follow_request_) answer_follower();
      },
      [this](msg::LookAround) { look_for_follower(); },
      [this](msg::LingerDue) { ended_(); },
  };
}

void JobMaster::on_exit() {
  job_manager_ = nullptr;
  supervisor_ = nullptr;
  output_.clear();
  follower_.reset();
}

void JobMaster::begin(const msg::MasterJob& job) {
  spec_ = job.job;
  followed_ = spec_.followed;
  followed_at_ = std::chrono::steady_clock::now();
  if (followed_) delayed_send(this, look_interval, msg::LookAround{});
  // Where the file is, its libraries are.
  const ArtifactStore artifacts{std::filesystem::path{job.artifact_path}.parent_path()};
  auto built = build_artifact({.file_name = spec_.file_name,
                               .file = job.artifact_path,
                               .base_folder = spec_.base_folder,
                               .libraries = artifacts.libraries_of(spec_),
                               .overrides = spec_.overrides,
                               .environment = spec_.environment,
                               .arguments = spec_.arguments,
                               .parallelism = spec_.parallelism});
  if (!built) return refuse(built.error());
  built_ = std::move(*built);
  if (const Status status = check_sources(*built_.graph->stream); !status) return refuse(status.error());
  SupervisionSettings settings;
  settings.leader_epoch = job.master_epoch;
  if (!spec_.from.empty() && !built_.graph->stream->settings.checkpoint) {
    return refuse(Error{ErrorCode::invalid_argument,
                        "a job that takes no checkpoints cannot go on from a savepoint; give it [checkpoint] interval "
                        "= \"10s\", storage = \"file:///FOLDER\""});
  }
  const bool goes_on = job.again && built_.graph->stream->settings.checkpoint.has_value();
  // Jobs of the same name may run beside it.
  settings.start_from = {goes_on ? StartFrom::own_run : StartFrom::nothing, spec_.from,
                         spec_.drop_unclaimed ? UnclaimedState::dropped : UnclaimedState::refused};
  settings.graph_hash = graph_hash(*built_.graph);
  settings.secrets = built_.secrets;
  settings.worker_timeout = std::chrono::microseconds{job.worker_timeout_us};
  settings.deadlines.cancel = std::chrono::microseconds{job.cancel_timeout_us};
  supervisor_ =
      spawn<JobSupervisor, caf::detached>(caf::actor_cast<caf::actor>(this), spec_.id, built_.graph, settings);
  monitor(supervisor_);
  const auto listening = control_.publish(supervisor_, {job.host, 0});
  if (!listening) return refuse(listening.error());
  spdlog::info("job {} ({}): {} slots", spec_.id, built_.graph->stream->name, built_.graph->slots_needed());
  // Before the JobSupervisor's first request, which comes through this actor's mailbox.
  send(job_manager_,
       msg::MasterReady{true, {}, built_.graph->stream->name, built_.graph->slots_needed(), listening->port});
}

void JobMaster::refuse(const Error& error) {
  spdlog::error("{}", error.message());
  msg::MasterReady refused;
  refused.failure = error;
  send(job_manager_, refused);
  delayed_send(this, std::chrono::milliseconds{100}, msg::LingerDue{});
}

caf::result<msg::CommitMayBegin> JobMaster::tell_commit(const msg::CommitBegins& begins) {
  auto promise = make_response_promise<msg::CommitMayBegin>();
  request(job_manager_, supervisor_deadline, begins)
      .then([promise](msg::CommitMayBegin) mutable { promise.deliver(msg::CommitMayBegin{}); },
            [promise](const caf::error& error) mutable { promise.deliver(error); });
  return promise;
}

void JobMaster::end(const msg::JobEnded& ended) {
  request(supervisor_, supervisor_deadline, msg::GetJob{}).then([this, ended](const msg::JobViewPtr& view) {
    final_json_ = job_as_json(spec_.id, *built_.graph, *view, built_.secrets);
    msg::MasterEnded message{ended.state, {}, *final_json_};
    if (ended.error) {
      message.failure = Error{ended.error->code(), built_.secrets.redact(ended.error->message())};
    }
    send(job_manager_, message);
    delayed_send(this, followed_ ? linger : std::chrono::milliseconds{100}, msg::LingerDue{});
    if (follower_) answer_follower();
  });
}

caf::result<msg::OutputTaken> JobMaster::keep_output(const msg::PrintOutput& output) {
  if (!followed_) return msg::OutputTaken{output.text.size()};
  auto taken = make_response_promise<msg::OutputTaken>();
  output_.push_back({output.text, taken});
  if (follower_) answer_follower();
  return taken;
}

caf::result<msg::Followed> JobMaster::follow() {
  followed_at_ = std::chrono::steady_clock::now();
  if (follower_) answer_follower();  // one follower; an earlier request of it has timed out
  follower_ = make_response_promise<msg::Followed>();
  ++follow_request_;
  if (!output_.empty() || final_json_) {
    auto promise = *follower_;
    answer_follower();
    return promise;
  }
  delayed_send(this, follow_wait, msg::FollowDue{follow_request_});
  return *follower_;
}

void JobMaster::look_for_follower() {
  if (std::chrono::steady_clock::now() - followed_at_ < follower_patience) {
    return delayed_send(this, look_interval, msg::LookAround{});
  }
  spdlog::info("nobody follows job {} any more", spec_.id);
  followed_ = false;
  for (PieceOfOutput& piece : output_) piece.taken.deliver(msg::OutputTaken{piece.text.size()});
  output_.clear();
}

void JobMaster::answer_follower() {
  if (!follower_) return;
  auto promise = std::move(*follower_);
  follower_.reset();
  msg::Followed answer;
  while (!output_.empty() && answer.output.size() < max_output_bytes) {
    PieceOfOutput piece = std::move(output_.front());
    output_.pop_front();
    answer.output += piece.text;
    piece.taken.deliver(msg::OutputTaken{piece.text.size()});
  }
  if (final_json_) {
    answer.json = *final_json_;
    answer.ended = output_.empty();
    if (answer.ended) delayed_send(this, std::chrono::milliseconds{100}, msg::LingerDue{});
    return promise.deliver(std::move(answer));
  }
  if (!answer.output.empty()) return promise.deliver(std::move(answer));
  request(supervisor_, supervisor_deadline, msg::GetJob{})
      .then([this, promise, answer](const msg::JobViewPtr& view) mutable {
        answer.json = job_as_json(spec_.id, *built_.graph, *view, built_.secrets);
        promise.deliver(std::move(answer));
      });
}

caf::result<msg::Answer> JobMaster::show() {
  auto promise = make_response_promise<msg::Answer>();
  request(supervisor_, supervisor_deadline, msg::GetJob{})
      .then(
          [this, promise](const msg::JobViewPtr& view) mutable {
            promise.deliver(
                msg::Answer{Result<std::string>{job_as_json(spec_.id, *built_.graph, *view, built_.secrets)}});
          },
          [promise](const caf::error&) mutable {
            promise.deliver(msg::Answer{fail(ErrorCode::io, "the job's supervisor did not answer in time")});
          });
  return promise;
}

caf::result<msg::Answer> JobMaster::take_savepoint(const std::string& json) {
  const auto wanted = nlohmann::json::parse(json, nullptr, false);
  if (!wanted.is_object()) return msg::Answer{fail(ErrorCode::malformed_data, "that is no request for a savepoint")};
  auto promise = make_response_promise<msg::Answer>();
  request(supervisor_, supervisor_deadline,
          msg::TakeSavepoint{wanted.value("dir", ""), wanted.value("stop", false),
                             EndOfData{.drain = wanted.value("drain", false)}})
      .then(
          [this, promise](const msg::Answer& answer) mutable {
            msg::Answer told = answer;
            if (told.ok) {
              auto reply = nlohmann::json::parse(told.json);
              reply["id"] = spec_.id;
              told.json = reply.dump();
            }
            promise.deliver(std::move(told));
          },
          [promise](const caf::error&) mutable {
            promise.deliver(msg::Answer{fail(ErrorCode::io, "the job's supervisor did not answer in time")});
          });
  return promise;
}

caf::result<msg::Answer> JobMaster::call(const msg::CallJob& call) {
  if (!supervisor_) return msg::Answer{fail(ErrorCode::not_found, "the job is not running yet")};
  const msg::Answer told{Result<std::string>{nlohmann::json{{"id", spec_.id}}.dump()}};
  switch (call.verb) {
    case msg::JobVerb::show: return show();
    case msg::JobVerb::cancel: send(supervisor_, msg::CancelJob{}); return told;
    case msg::JobVerb::stop: send(supervisor_, msg::StopJob{EndOfData{false}}); return told;
    case msg::JobVerb::drain: send(supervisor_, msg::StopJob{EndOfData{true}}); return told;
    case msg::JobVerb::savepoint: return take_savepoint(call.json);
    case msg::JobVerb::logs:  // the JobManager's matter
    case msg::JobVerb::send:
    case msg::JobVerb::ask: break;
  }
  const bool is_query = call.verb == msg::JobVerb::ask;
  auto promise = make_response_promise<msg::Answer>();
  request(supervisor_, supervisor_deadline, msg::AskOperator{call.node, call.name, call.json, call.key_json, is_query})
      .then([promise](const msg::Answer& answer) mutable { promise.deliver(answer); },
            [promise](const caf::error&) mutable {
              promise.deliver(msg::Answer{fail(ErrorCode::io, "the job's supervisor did not answer in time")});
            });
  return promise;
}

}  // namespace dataflow
