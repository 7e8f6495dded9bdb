// dfnode taskmanager: a node of a cluster.

#include <unistd.h>

#include <CLI/CLI.hpp>

#include <iostream>
#include <memory>

#include "actors/cluster/processes.hpp"
#include "libdataflow/topology/checked_settings.hpp"
#include "tools/dfnode/cluster_options.hpp"
#include "tools/dfnode/command.hpp"
#include "tools/dfnode/job_file.hpp"
#include "tools/dfnode/security_options.hpp"

namespace dataflow::cli {

namespace {

struct TaskManagerCommand {
  std::string join = "127.0.0.1:6123";
  std::string listen = "127.0.0.1:0";
  std::string advertise;
  SecurityOptions security;
  std::string work_dir;
  std::uint32_t slots = default_parallelism();
  std::string worker_memory;
  std::string artifact_cache;
};

constexpr std::uint64_t least_worker_memory = 128ULL << 20;

std::uint64_t machine_memory() {
  return static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

int run(const TaskManagerCommand& command) {
  const auto join = parse_endpoint(command.join);
  if (!join) return show_failure(join.error().within("--join"), false);
  const auto listen = parse_endpoint(command.listen);
  if (!listen) return show_failure(listen.error().within("--listen"), false);
  const auto control = control_settings(command.security);
  if (!control) return show_failure(control.error(), false);
  TaskManagerOptions options;
  options.control = *control;
  options.join = *join;
  options.listen = *listen;
  if (!command.advertise.empty()) {
    const auto advertise = parse_endpoint(command.advertise, 0);
    if (!advertise) return show_failure(advertise.error().within("--advertise"), false);
    options.advertise = *advertise;
  }
  options.slots = command.slots;
  options.work_dir = command.work_dir;
  options.worker_memory = machine_memory();
  if (!command.worker_memory.empty()) {
    const auto memory = parse_size(command.worker_memory);
    if (!memory) return show_failure(memory.error().within("--worker-memory"), false);
    if (*memory < least_worker_memory) {
      return show_failure(Error{ErrorCode::invalid_argument, "--worker-memory: at least 128MiB"}, false);
    }
    options.worker_memory = *memory;
  }
  if (!command.artifact_cache.empty()) {
    const auto cache = parse_size(command.artifact_cache);
    if (!cache) return show_failure(cache.error().within("--artifact-cache"), false);
    options.artifact_cache = *cache;
  }
  const Status status = run_task_manager(options, [&](const Endpoint& at) {
    std::cout << "TaskManager " << at.text() << " with " << options.slots << " slots has joined " << options.join.text()
              << std::endl;
  });
  if (status) return exit_done;
  show_failure(status.error(), false);
  return status.error().code() == ErrorCode::invalid_argument ? exit_wrong : exit_failed;
}

}  // namespace

void add_taskmanager(CLI::App& app, Action& action) {
  auto options = std::make_shared<TaskManagerCommand>();
  CLI::App& command = *app.add_subcommand("taskmanager", "Run a node of a cluster");
  command.add_option("--join", options->join, "The JobManager, default 127.0.0.1:6123; it is waited for")
      ->type_name("HOST:PORT");
  command.add_option("--listen", options->listen, "Where this node listens, default 127.0.0.1 and any free port")
      ->type_name("HOST:PORT");
  command
      .add_option("--advertise", options->advertise,
                  "Where other nodes reach this one, if not where it listens: another name, or any at 0.0.0.0")
      ->type_name("HOST[:PORT]");
  add_parallelism(command, "--slots", options->slots, "How many subtasks of a node run here; default: cores");
  command.add_option("--work-dir", options->work_dir, "A folder for artifacts and logs")->required()->type_name("DIR");
  command
      .add_option("--worker-memory", options->worker_memory,
                  "What one worker process may have; its job fails when it needs more. Default: the machine's memory")
      ->type_name("SIZE");
  command
      .add_option("--artifact-cache", options->artifact_cache,
                  "What the files of jobs may take in the work folder, those that are not needed now go; default 1GiB")
      ->type_name("SIZE");
  add_security_options(command, options->security);
  add_insecure(command, options->security);
  command.footer("Example:\n  dfnode taskmanager --join 10.0.0.1:6123 --slots 4 --work-dir /var/lib/dataflow/tm1");
  command.callback([options, &action] { action = [options] { return run(*options); }; });
}

}  // namespace dataflow::cli
