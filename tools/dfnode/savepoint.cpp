// dfnode savepoint, stop, checkpoints: what a running job keeps of itself. The job runs in a cluster, or, without --to,
// in a process of this machine; only when there is none of that name here the default cluster is asked.

#include <CLI/CLI.hpp>

#include <iostream>
#include <memory>
#include <optional>

#include <nlohmann/json.hpp>

#include "actors/control_socket.hpp"
#include "tools/dfnode/cluster_options.hpp"
#include "tools/dfnode/command.hpp"
#include "tools/dfnode/control.hpp"
#include "tools/dfnode/job_text.hpp"

namespace dataflow::cli {

namespace {

struct JobCommand {
  ClusterOptions cluster;
  const CLI::Option* to = nullptr;
  std::string job;
  std::string folder;
  bool wants_savepoint = false;
  bool drain = false;
  double patience_seconds = 600;
};

CLI::App& add_job_command(CLI::App& app, const std::string& name, const std::string& help, JobCommand& options) {
  CLI::App& command = *app.add_subcommand(name, help);
  command.add_option("JOB", options.job, "The job's id, or its name")->required();
  add_cluster_options(command, options.cluster);
  options.to = command.get_option("--to");
  return command;
}

void add_patience(CLI::App& command, JobCommand& options) {
  add_seconds(command, "--wait", options.patience_seconds, "How long to wait for the savepoint, default 600");
}

std::optional<Result<std::string>> ask_here(const JobCommand& command, ControlRequest::Kind kind,
                                            const nlohmann::json& options, Duration patience) {
  if (command.to->count() > 0) return std::nullopt;
  return ask_job_here(command.job, kind, options.dump(), patience);
}

int show_savepoint(const ClusterOptions& options, const std::string& path) {
  if (options.json) {
    std::cout << nlohmann::json{{"path", path}}.dump() << "\n";
  } else {
    std::cout << path << "\n";
  }
  return exit_done;
}

int take_savepoint(const JobCommand& command, std::optional<EndOfData> stop) {
  const Duration patience = from_seconds(command.patience_seconds);
  const std::string folder = absolute_path(command.folder);
  const nlohmann::json wanted{{"dir", folder}, {"stop", stop.has_value()}, {"drain", stop && stop->drain}};
  if (const auto here = ask_here(command, ControlRequest::Kind::savepoint, wanted, patience)) {
    return *here ? show_savepoint(command.cluster, **here) : show_failure(here->error(), command.cluster.json);
  }
  return with_cluster(command.cluster, [&](ClusterClient& client) -> Result<int> {
    const auto path = client.take_savepoint(command.job, folder, stop, patience);
    if (!path) return fail(path.error());
    return show_savepoint(command.cluster, *path);
  });
}

int stop(const JobCommand& command) {
  if (command.wants_savepoint) return take_savepoint(command, EndOfData{.drain = command.drain});
  const Duration patience = from_seconds(command.cluster.timeout_seconds);
  Result<std::string> told{std::string{}};
  if (auto here = ask_here(command, ControlRequest::Kind::stop, {{"drain", command.drain}}, patience)) {
    if (!*here) return show_failure(here->error(), command.cluster.json);
    if (command.cluster.json) std::cout << **here << "\n";
    return exit_done;
  }
  return with_cluster(command.cluster, [&](ClusterClient& client) -> Result<int> {
    const auto verb = command.drain ? JobCall::Verb::drain : JobCall::Verb::stop;
    const auto answer = client.call({command.job, verb});
    if (!answer) return fail(answer.error());
    if (command.cluster.json) std::cout << *answer << "\n";
    return exit_done;
  });
}

int show_checkpoints(const ClusterOptions& options, const nlohmann::json& checkpoints) {
  if (options.json) {
    std::cout << checkpoints.dump() << "\n";
  } else {
    std::cout << checkpoints_as_text(checkpoints);
  }
  return exit_done;
}

int checkpoints(const JobCommand& command) {
  const Duration patience = from_seconds(command.cluster.timeout_seconds);
  if (const auto here = ask_here(command, ControlRequest::Kind::checkpoints, nlohmann::json::object(), patience)) {
    if (!*here) return show_failure(here->error(), command.cluster.json);
    return show_checkpoints(command.cluster, nlohmann::json::parse(**here, nullptr, false));
  }
  return with_cluster(command.cluster, [&](ClusterClient& client) -> Result<int> {
    const auto job = client.call({command.job, JobCall::Verb::show});
    if (!job) return fail(job.error());
    const auto shown = nlohmann::json::parse(*job, nullptr, false);
    if (!shown.contains("checkpoints")) {
      return fail(ErrorCode::invalid_argument,
                  "nothing is known of checkpoints of \"" + command.job + "\": it takes none, or has not begun to run");
    }
    return show_checkpoints(command.cluster, shown.at("checkpoints"));
  });
}

}  // namespace

void add_savepoint(CLI::App& app, Action& action) {
  auto options = std::make_shared<JobCommand>();
  CLI::App& command = add_job_command(app, "savepoint", "Take a savepoint of a running job, which goes on", *options);
  command.add_option("--dir", options->folder, "Where its folder is made; default: beside the job's checkpoints")
      ->type_name("DIR");
  add_patience(command, *options);
  command.footer(
      "Prints the savepoint's path once it is complete. Without --to: of a job that `dfnode run` runs on this "
      "machine.\n\n"
      "Examples:\n  dfnode savepoint payments --to 10.0.0.1:6123 --dir /mnt/shared/savepoints\n"
      "  dfnode savepoint payments");
  command.callback([options, &action] { action = [options] { return take_savepoint(*options, std::nullopt); }; });
}

void add_stop(CLI::App& app, Action& action) {
  auto options = std::make_shared<JobCommand>();
  CLI::App& command =
      add_job_command(app, "stop", "Stop a job's sources; what is in flight finishes, sinks commit", *options);
  CLI::Option* const savepoint =
      command.add_option("--savepoint", options->folder, "Keep its state, open windows too, in a savepoint below DIR")
          ->type_name("DIR");
  command.add_flag("--drain", options->drain, "Open windows fire as if the input had ended");
  add_patience(command, *options);
  command.footer(
      "With --savepoint it prints the savepoint's path once that is complete.\n\n"
      "Examples:\n  dfnode stop temperature-spikes --to 10.0.0.1:6123\n"
      "  dfnode stop payments --to 10.0.0.1:6123 --savepoint /mnt/shared/savepoints");
  command.callback([options, savepoint, &action] {
    options->wants_savepoint = savepoint->count() > 0;
    action = [options] { return stop(*options); };
  });
}

void add_checkpoints(CLI::App& app, Action& action) {
  auto options = std::make_shared<JobCommand>();
  CLI::App& command =
      add_job_command(app, "checkpoints", "A job's newest checkpoints: sizes, durations, failures", *options);
  command.footer(
      "SIZE is all of the state, NEW what no checkpoint before had stored. Durations are the longest of any subtask:\n"
      "ALIGN waiting for barriers, SYNC standing still, UPLOAD writing meanwhile.\n\n"
      "Examples:\n  dfnode checkpoints payments --to 10.0.0.1:6123\n"
      "  dfnode checkpoints payments --json | jq '.newest[-1]'");
  command.callback([options, &action] { action = [options] { return checkpoints(*options); }; });
}

}  // namespace dataflow::cli
