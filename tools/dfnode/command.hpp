#pragma once
// What the commands of dfnode share: how one is added to the command line, what it is given, how it ends. A command is
// one file with one function add_NAME, listed in command_line.cpp.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace dataflow::cli {

/// Exit codes of every command.
enum ExitCode : int {
  exit_done = 0,
  exit_failed = 1,       ///< the job, or a test, failed
  exit_wrong = 2,        ///< the file or the command line is wrong
  exit_unreachable = 3,  ///< no job or cluster answers there
  exit_interrupted = 130,
  exit_output_closed = 141,  ///< whoever read standard output has left; what a shell shows for other tools then
};

/// What the parsed command line asks for. Set by a command's callback, run after parsing is done.
using Action = std::function<int()>;

/// A job and how it is to be built.
struct JobArguments {
  std::string file;                    ///< a topology (.toml) or a C++ job (.so)
  std::vector<std::string> overrides;  ///< --set KEY=VALUE
  std::vector<std::string> arguments;  ///< after `--`: the job's own
};

/// Adds FILE, --set and the job's own arguments to a command.
void add_job_arguments(CLI::App& command, JobArguments& job);

/// Adds `--parallelism`: refuses what is no whole number from 1.
void add_parallelism(CLI::App& command, const std::string& names, std::uint32_t& into, const std::string& help);

/// Adds an option of SECONDS: refuses what is no number more than 0, or more than a clock counts.
void add_seconds(CLI::App& command, const std::string& name, double& into, const std::string& help);

void add_run(CLI::App& app, Action& action);
void add_check(CLI::App& app, Action& action);
void add_plan(CLI::App& app, Action& action);
void add_test(CLI::App& app, Action& action);
void add_simulate(CLI::App& app, Action& action);
void add_infer(CLI::App& app, Action& action);
void add_docs(CLI::App& app, Action& action);
void add_send(CLI::App& app, Action& action);
void add_ask(CLI::App& app, Action& action);
void add_certs(CLI::App& app, Action& action);
void add_completion(CLI::App& app, Action& action);
void add_jobmanager(CLI::App& app, Action& action);
void add_taskmanager(CLI::App& app, Action& action);
void add_submit(CLI::App& app, Action& action);
void add_nodes(CLI::App& app, Action& action);
void add_list(CLI::App& app, Action& action);
void add_show(CLI::App& app, Action& action);
void add_cancel(CLI::App& app, Action& action);
void add_stop(CLI::App& app, Action& action);
void add_logs(CLI::App& app, Action& action);
void add_savepoint(CLI::App& app, Action& action);
void add_checkpoints(CLI::App& app, Action& action);
void add_why(CLI::App& app, Action& action);
void add_state(CLI::App& app, Action& action);
/// The processes that a JobManager and a TaskManager start; not for people.
void add_child_processes(CLI::App& app, Action& action);

/// The whole of dfnode: parses, runs, returns the exit code.
int run_command_line(int argc, const char* const* argv);

}  // namespace dataflow::cli
