#include "actors/cluster/client.hpp"

#include <algorithm>
#include <thread>

#include <nlohmann/json.hpp>

#include "actors/cluster/artifact_store.hpp"
#include "actors/cluster/cluster_system.hpp"
#include "actors/wire/cluster_messages.hpp"
#include "libdataflow/artifact/job_artifact.hpp"
#include "libdataflow/master/job_store.hpp"

namespace dataflow {

namespace {

/// Building a job's graph is part of submitting it.
constexpr auto submit_deadline = std::chrono::seconds{60};
constexpr std::size_t client_threads = 1;
/// What follows a job is answered within a fraction of a second by a JobManager that lives.
constexpr Duration follow_deadline = std::chrono::seconds{3};
/// How often who waits for a savepoint looks.
constexpr std::chrono::milliseconds look_interval{50};

}  // namespace

struct ClusterClient::Impl {
  Impl(std::string cluster_name, Duration deadline)
      : config{client_threads}, system{config}, cluster{std::move(cluster_name)}, timeout{deadline} {}

  /// One that was lost, or is silent, may have been started again: it is looked up anew then.
  Status connect() {
    if (job_manager) return {};
    auto connected = control->connect(at);
    if (!connected) return fail(connected.error().within("no JobManager answers at " + at.text()));
    job_manager = std::move(*connected);
    return {};
  }

  template <class Answer, class Message>
  Result<Answer> ask(const Message& message, std::chrono::milliseconds deadline) {
    lost = true;
    if (Status connected = connect(); !connected) return fail(connected.error());
    lost = false;
    caf::scoped_actor self{system};
    Result<Answer> result = fail(ErrorCode::io, "no answer");
    self->request(job_manager, deadline, message)
        .receive([&](const Answer& answer) { result = answer; },
                 [&](const caf::error& error) {
                   job_manager = nullptr;
                   lost = true;
                   const bool late = error == caf::sec::request_timeout;
                   result = fail(ErrorCode::io,
                                 "the JobManager at " + at.text() +
                                     (late ? " did not answer in time" : " is lost: " + system.render(error)));
                 });
    return result;
  }

  template <class Message>
  Result<std::string> ask_json(const Message& message, std::chrono::milliseconds deadline) {
    const auto answer = ask<msg::Answer>(message, deadline);
    if (!answer) return fail(answer.error());
    return answer->result();
  }

  template <class Message>
  Result<std::string> ask_json(const Message& message) {
    return ask_json(message, std::chrono::duration_cast<std::chrono::milliseconds>(timeout));
  }

  [[nodiscard]] msg::Hello hello() const { return {msg::protocol_version, cluster}; }

  Status upload(const std::string& hash, const std::string& content) {
    std::uint64_t there = 0;
    for (bool first = true; first || there < content.size(); first = false) {
      msg::PutArtifact piece{hello(), hash, there, content.size(), {}};
      // The first only asks.
      if (!first) piece.bytes = content.substr(there, artifact_piece_bytes);
      const auto answer = ask_json(piece);
      if (!answer) return fail(answer.error());
      const std::uint64_t now = std::stoull(*answer);
      if (!first && now <= there) return fail(ErrorCode::io, "the JobManager does not take the job's file");
      there = now;
    }
    return {};
  }

  ClusterConfig config;
  caf::actor_system system;
  std::unique_ptr<ControlPlane> control;
  std::string cluster;
  Duration timeout;
  bool lost = false;
  Endpoint at;
  caf::actor job_manager;
};

ClusterClient::ClusterClient(std::unique_ptr<Impl> impl) : impl_{std::move(impl)} {}

ClusterClient::~ClusterClient() = default;

Result<std::unique_ptr<ClusterClient>> ClusterClient::connect(const Endpoint& job_manager,
                                                              const ControlSettings& settings, Duration timeout) {
  auto impl = std::make_unique<Impl>(settings.cluster, timeout);
  impl->at = job_manager;
  auto control = ControlPlane::open(impl->system, settings);
  if (!control) return fail(control.error());
  impl->control = std::move(*control);
  if (Status connected = impl->connect(); !connected) return fail(connected.error());
  return std::unique_ptr<ClusterClient>(new ClusterClient(std::move(impl)));
}

Result<std::string> ClusterClient::submit(const Submission& submission) {
  const auto bytes = read_artifact(submission.file);
  if (!bytes) return fail(bytes.error());
  msg::SubmitJob request{impl_->hello(), {}};
  msg::JobSpec& spec = request.job;
  spec.file_name = submission.file.filename();
  spec.artifact = content_hash(*bytes);
  std::error_code error;
  // Relative paths in a C++ job start where it is submitted.
  const bool is_library = submission.file.extension() == ".so";
  spec.base_folder = is_library ? std::filesystem::current_path(error)
                                : std::filesystem::absolute(submission.file, error).parent_path();
  spec.overrides = submission.overrides;
  spec.environment = submission.environment;
  spec.arguments = submission.arguments;
  spec.parallelism = submission.parallelism;
  spec.followed = submission.follow;
  spec.from = submission.from;
  spec.drop_unclaimed = submission.drop_unclaimed;
  if (const Status uploaded = impl_->upload(spec.artifact, *bytes); !uploaded) return fail(uploaded.error());
  for (const std::string& path : submission.libraries) {
    const auto library = read_artifact(path);
    if (!library) return fail(library.error());
    const std::string hash = content_hash(*library);
    if (const Status uploaded = impl_->upload(hash, *library); !uploaded) return fail(uploaded.error());
    spec.libraries.emplace(path, hash);
  }
  return impl_->ask_json(request, submit_deadline);
}

bool ClusterClient::lost() const {
  return impl_->lost;
}

Result<std::string> ClusterClient::list_jobs() {
  return impl_->ask_json(msg::ListJobs{impl_->hello()});
}

Result<std::string> ClusterClient::list_nodes() {
  return impl_->ask_json(msg::ListNodes{impl_->hello()});
}

Result<std::string> ClusterClient::call(const JobCall& call) {
  return impl_->ask_json(msg::CallJob{impl_->hello(), call.job, static_cast<msg::JobVerb>(call.verb), call.node,
                                      call.name, call.json, call.key_json});
}

/// The job's master may be started again meanwhile, or the job be at its end: `show` answers in all cases.
Result<std::string> ClusterClient::take_savepoint(const std::string& job, const std::string& folder,
                                                  std::optional<EndOfData> stop, Duration patience) {
  const nlohmann::json wanted{{"dir", folder}, {"stop", stop.has_value()}, {"drain", stop && stop->drain}};
  auto asked = call({.job = job, .verb = JobCall::Verb::savepoint, .json = wanted.dump()});
  if (!asked) return asked;
  const auto told = nlohmann::json::parse(*asked);
  const std::string id = told.at("id");
  const std::uint64_t request = told.at("request");
  const auto lost = [&](const std::string& why) {
    return fail(ErrorCode::unavailable, "the savepoint of job " + id + " was not taken: " + why);
  };
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (std::chrono::steady_clock::now() < deadline) {
    const auto shown = call({.job = id, .verb = JobCall::Verb::show});
    if (shown) {
      const auto now = nlohmann::json::parse(*shown, nullptr, false);
      const auto checkpoints = now.value("checkpoints", nlohmann::json::object());
      const auto savepoints = checkpoints.value("savepoints", nlohmann::json::array());
      const auto mine = std::find_if(savepoints.begin(), savepoints.end(),
                                     [&](const auto& one) { return one.value("request", 0ULL) == request; });
      if (mine == savepoints.end()) return lost("the job's master was started again, and nobody knows of it any more");
      const std::string state = mine->value("state", "");
      if (state == "completed") return mine->value("path", "");
      if (state == "failed") return lost(mine->value("error", ""));
    } else if (const ErrorCode code = shown.error().code();
               code != ErrorCode::io && code != ErrorCode::not_found && code != ErrorCode::unavailable) {
      return fail(shown.error());
    }
    std::this_thread::sleep_for(look_interval);
  }
  return lost("it takes too long; `dfnode checkpoints` shows what becomes of it");
}

Result<JobNews> ClusterClient::follow(const std::string& job_id) {
  const Duration deadline = std::min<Duration>(impl_->timeout, follow_deadline);
  auto followed = impl_->ask<msg::Followed>(msg::FollowJob{impl_->hello(), job_id},
                                            std::chrono::duration_cast<std::chrono::milliseconds>(deadline));
  if (!followed) return fail(followed.error());
  if (!followed->failure.message.empty()) return fail(followed->failure.error());
  return JobNews{std::move(followed->output), followed->ended, std::move(followed->json)};
}

}  // namespace dataflow
