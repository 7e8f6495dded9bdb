#include "tools/dfnode/run_job.hpp"

#include <CLI/CLI.hpp>

#include <chrono>
#include <iostream>
#include <memory>
#include <optional>

#include <nlohmann/json.hpp>

#include "actors/checkpoint_json.hpp"
#include "actors/control_socket.hpp"
#include "actors/local_run.hpp"
#include "tools/dfnode/command.hpp"
#include "tools/dfnode/interrupt.hpp"
#include "tools/dfnode/job_file.hpp"
#include "tools/dfnode/progress.hpp"

namespace dataflow::cli {

namespace {

/// How soon an interrupt is seen.
constexpr std::chrono::milliseconds look_interval{100};

void show_error(const Error& error, const Secrets& secrets) {
  std::cerr << "error: " << secrets.redact(error.message()) << std::endl;
}

JobStatus wait_for_end(LocalJob& job, const Secrets& secrets, const RunSettings& settings, Progress& progress) {
  bool stopping = false;
  for (;;) {
    if (auto ended = job.wait(look_interval)) return std::move(*ended);
    if (interrupts() > 0 && !stopping) {
      stopping = true;
      progress.clear();
      if (!settings.quiet && !settings.json)
        std::cerr << "stopping: sources end, records in flight finish (Ctrl-C again ends at once)\n";
      job.stop({settings.drain});
    }
    if (settings.quiet || settings.json) continue;
    if (const auto status = job.status()) {
      if (!is_terminal(status->state)) progress.show_failures(*status, secrets);
      progress.show(*status);
    }
  }
}

Result<std::string> answer_call(LocalJob& job, const Secrets& secrets, const ControlRequest& request) {
  const auto options = nlohmann::json::parse(request.json, nullptr, false);
  const auto flag = [&](const char* name) { return options.is_object() && options.value(name, false); };
  switch (request.kind) {
    case ControlRequest::Kind::send: return job.send(request.node, request.name, request.json, request.key_json);
    case ControlRequest::Kind::ask: return job.ask(request.node, request.name, request.key_json);
    case ControlRequest::Kind::stop: job.stop({.drain = flag("drain")}); return std::string{"{}"};
    case ControlRequest::Kind::savepoint: {
      const std::optional<EndOfData> stop = flag("stop") ? std::optional{EndOfData{flag("drain")}} : std::nullopt;
      return job.take_savepoint(options.is_object() ? options.value("dir", "") : "", stop);
    }
    case ControlRequest::Kind::checkpoints: {
      const auto status = job.status();
      if (!status) return fail(status.error());
      return checkpoints_as_json(status->checkpoints, secrets);
    }
    case ControlRequest::Kind::show: return job.show(secrets);
  }
  return fail(ErrorCode::unsupported, "unknown kind of request");
}

/// The commands that speak to a job reach it through this. A job runs without it too.
std::unique_ptr<ControlSocket> listen_for_calls(LocalJob& job, const Secrets& secrets, const RunSettings& settings) {
  auto socket = ControlSocket::listen(job.graph()->stream->name, [&job, &secrets](const ControlRequest& request) {
    return answer_call(job, secrets, request);
  });
  if (socket) return std::move(*socket);
  if (!settings.quiet && !settings.json)
    std::cerr << "warning: no send and ask: " << secrets.redact(socket.error().message()) << "\n";
  return nullptr;
}

/// `dfnode run job.toml | head -1`: the job ends early and quietly, as other tools do.
bool output_was_closed(const JobStatus& status) {
  return status.error && status.error->code() == ErrorCode::cancelled;
}

int exit_code(const JobStatus& status) {
  if (interrupts() > 0) return exit_interrupted;
  if (status.state == JobState::finished) return exit_done;
  if (output_was_closed(status)) return exit_output_closed;
  // What was wrong before anything ran is a matter of the file, not of the run.
  const bool file_is_wrong = status.error && status.error->code() == ErrorCode::invalid_argument;
  return file_is_wrong ? exit_wrong : exit_failed;
}

}  // namespace

void add_run_settings(CLI::App& command, RunSettings& settings) {
  add_parallelism(command, "--slots,--parallelism", settings.slots,
                  "Subtasks of a node that says none; default: cores");
  command.add_flag("--quiet,-q", settings.quiet, "Only errors on standard error");
  command.add_flag("--json", settings.json, "The summary, and mistakes, as JSON on standard error");
  CLI::Option* const resume =
      command.add_flag("--resume", settings.resume,
                       "Go on from the newest checkpoint of the job's last run; from the beginning when there is none");
  command.add_option("--from", settings.from, "Begin with the state of this savepoint")
      ->type_name("SAVEPOINT")
      ->excludes(resume);
  command.add_flag("--allow-dropped-state", settings.allow_dropped_state,
                   "Leave out state of operators that the job does not have any more");
  command.add_flag("--drain", settings.drain, "When interrupted, open windows fire as if the input had ended");
}

int run_job(StreamGraph graph, const Secrets& secrets, const RunSettings& settings) {
  catch_interrupts();
  const auto started = Progress::Clock::now();
  auto job = LocalJob::start(
      std::move(graph), {.slots = settings.slots,
                         .start = {settings.resume ? StartFrom::last_run : StartFrom::nothing, settings.from,
                                   settings.allow_dropped_state ? UnclaimedState::dropped : UnclaimedState::refused}});
  if (!job) {
    if (settings.json) {
      explain_mistake({}, secrets.redact(job.error().message()), true);
    } else {
      show_error(job.error(), secrets);
    }
    return job.error().code() == ErrorCode::invalid_argument ? exit_wrong : exit_failed;
  }
  const JobGraph& plan = *(*job)->graph();
  const auto control = listen_for_calls(**job, secrets, settings);
  Progress progress{plan, started};
  JobStatus status = wait_for_end(**job, secrets, settings, progress);
  progress.clear();
  std::cout.flush();
  if (status.error) status.error = Error{status.error->code(), secrets.redact(status.error->message())};
  const double seconds = std::chrono::duration<double>(Progress::Clock::now() - started).count();
  if (settings.json) {
    if (!settings.quiet || status.error) std::cerr << summary_as_json(plan, status, seconds, secrets) << "\n";
    return exit_code(status);
  }
  if (output_was_closed(status)) return exit_code(status);
  // The summary names the job; where there is none, the error does.
  if (status.error) show_error(settings.quiet ? status.error->within(plan.stream->name) : *status.error, secrets);
  if (!settings.quiet) std::cerr << summary_as_text(plan, status, seconds);
  return exit_code(status);
}

}  // namespace dataflow::cli
