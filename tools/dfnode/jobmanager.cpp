// dfnode jobmanager, and the job master processes that it starts.

#include <CLI/CLI.hpp>

#include <cstdlib>
#include <iostream>
#include <memory>

#include "actors/cluster/processes.hpp"
#include "tools/dfnode/cluster_options.hpp"
#include "tools/dfnode/command.hpp"
#include "tools/dfnode/security_options.hpp"

namespace dataflow::cli {

namespace {

struct JobManagerCommand {
  std::string listen = "127.0.0.1:6123";
  std::string storage;
  SecurityOptions security;
  double silence_seconds = 8;
  double slot_seconds = 300;
  double cancel_seconds = 30;
};

int run_job_manager_command(const JobManagerCommand& command) {
  const auto listen = parse_endpoint(command.listen);
  if (!listen) return show_failure(listen.error().within("--listen"), false);
  const auto control = control_settings(command.security);
  if (!control) return show_failure(control.error(), false);
  JobManagerOptions options;
  options.control = *control;
  options.listen = *listen;
  options.storage = command.storage;
  options.silence_timeout = from_seconds(command.silence_seconds);
  options.slot_timeout = from_seconds(command.slot_seconds);
  options.cancel_timeout = from_seconds(command.cancel_seconds);
  const Status status =
      run_job_manager(options, [](const Endpoint& at) { std::cout << "JobManager at " << at.text() << std::endl; });
  if (status) return exit_done;
  show_failure(status.error(), false);
  return status.error().code() == ErrorCode::invalid_argument ? exit_wrong : exit_failed;
}

struct ChildCommand {
  std::string parent;
  SecurityOptions security;
  std::string data_host;
  std::uint64_t memory_limit = 0;
};

/// The token is not on the command line, which every user of the machine can read.
int run_child(const ChildCommand& command, Status (*run)(const ChildOptions&)) {
  const char* const token = std::getenv("DATAFLOW_CHILD_TOKEN");
  const auto parent = parse_endpoint(command.parent);
  const auto control = control_settings(command.security);
  if (token == nullptr || !parent || !control) {
    std::cerr << "dfnode: this command is for processes that dfnode starts itself\n";
    return exit_wrong;
  }
  const Status status =
      run({*control, *parent, std::strtoull(token, nullptr, 10), command.data_host, command.memory_limit});
  return status ? exit_done : show_failure(status.error(), false);
}

void add_child(CLI::App& app, Action& action, const std::string& name, Status (*run)(const ChildOptions&)) {
  auto options = std::make_shared<ChildCommand>();
  CLI::App& command = *app.add_subcommand(name, "Started by dfnode itself");
  command.group("");  // not in the help
  command.add_option("--parent", options->parent)->required();
  add_security_options(command, options->security);
  add_insecure(command, options->security);
  command.add_option("--data-host", options->data_host);
  command.add_option("--memory-limit", options->memory_limit);
  command.callback([options, run, &action] { action = [options, run] { return run_child(*options, run); }; });
}

}  // namespace

void add_jobmanager(CLI::App& app, Action& action) {
  auto options = std::make_shared<JobManagerCommand>();
  CLI::App& command = *app.add_subcommand("jobmanager", "Run a cluster's JobManager");
  command.add_option("--listen", options->listen, "Where, default 127.0.0.1:6123; port 0 takes any free one")
      ->type_name("HOST:PORT");
  command
      .add_option("--storage", options->storage, "A folder for jobs and artifacts, which a later start goes on with")
      ->required()
      ->type_name("DIR");
  add_security_options(command, options->security);
  add_insecure(command, options->security);
  command
      .add_option("--silence-timeout", options->silence_seconds,
                  "A node or worker that is silent for so long is lost, default 8")
      ->type_name("SECONDS")
      ->check(CLI::Range(1.0, 3600.0));
  add_seconds(command, "--slot-timeout", options->slot_seconds, "Jobs wait for slots at most so long, default 300");
  add_seconds(command, "--cancel-timeout", options->cancel_seconds,
              "A worker whose subtasks do not end within this when told to is killed, default 30");
  command.footer("Example:\n  dfnode jobmanager --listen 127.0.0.1:6123 --storage /var/lib/dataflow/jm");
  command.callback([options, &action] { action = [options] { return run_job_manager_command(*options); }; });
}

void add_child_processes(CLI::App& app, Action& action) {
  add_child(app, action, "job-master", run_job_master);
  add_child(app, action, "worker", run_worker);
}

}  // namespace dataflow::cli
