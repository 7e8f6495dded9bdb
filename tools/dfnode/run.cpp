// dfnode run: a job here, with the same actors as in a cluster.

#include <CLI/CLI.hpp>

#include <memory>

#include "tools/dfnode/command.hpp"
#include "tools/dfnode/job_file.hpp"
#include "tools/dfnode/run_job.hpp"

namespace dataflow::cli {

namespace {

struct RunOptions {
  JobArguments job;
  RunSettings settings;
};

int run(const RunOptions& options) {
  auto topology = load_job_or_explain(options.job, options.settings.json, options.settings.quiet);
  if (!topology) return exit_wrong;
  return run_job(std::move(topology->graph), topology->secrets, options.settings);
}

}  // namespace

void add_run(CLI::App& app, Action& action) {
  auto options = std::make_shared<RunOptions>();
  CLI::App& command = *app.add_subcommand("run", "Run a job here until its input ends, or until Ctrl-C");
  add_job_arguments(command, options->job);
  add_run_settings(command, options->settings);
  command.footer(
      "Examples:\n  dfnode run job.toml\n  dfnode run job.toml --quiet | jq .temperature\n"
      "  dfnode run job.toml --set sources.readings.path=other.csv --parallelism 4\n"
      "  dfnode run fraud.so -- --city=Basel\n\n"
      "Ctrl-C: sources stop, records in flight finish, sinks commit, exit code 130; a second one ends at once.");
  command.callback([options, &action] { action = [options] { return run(*options); }; });
}

}  // namespace dataflow::cli
