// dfnode check: all mistakes of a job at once, and nothing run.

#include <CLI/CLI.hpp>

#include <iostream>
#include <memory>

#include "libdataflow/graph/job_graph.hpp"
#include "tools/dfnode/command.hpp"
#include "tools/dfnode/job_file.hpp"

namespace dataflow::cli {

namespace {

struct CheckOptions {
  JobArguments job;
  bool json = false;
  bool quiet = false;
};

/// What is only seen when nodes are chained and spread: a parallelism beyond the maximum.
void check_plan(LoadedJob& loaded, const std::string& file) {
  if (!loaded.topology) return;
  const auto plan = build_job_graph(std::make_shared<const StreamGraph>(loaded.topology->graph), default_parallelism());
  if (plan) return;
  loaded.diagnostics.push_back({Severity::error, plan.error().message(), file, {0, 0, 0}, {}, {}});
  loaded.topology.reset();
}

std::string count(std::size_t n, const std::string& noun) {
  return std::to_string(n) + " " + noun + (n == 1 ? "" : "s");
}

void print_text(const LoadedJob& loaded, const CheckOptions& options) {
  std::size_t errors = 0;
  for (const Diagnostic& diagnostic : loaded.diagnostics) {
    errors += diagnostic.severity == Severity::error;
    if (diagnostic.severity == Severity::error || !options.quiet) std::cerr << render(diagnostic) << "\n";
  }
  if (errors > 0) {
    std::cerr << options.job.file << ": " << count(errors, "error") << "\n";
  } else if (loaded.topology && !options.quiet) {
    const Topology& topology = *loaded.topology;
    std::cout << options.job.file << ": ok (" << count(topology.graph.nodes.size(), "node");
    if (!topology.tests.empty()) std::cout << ", " << count(topology.tests.size(), "test");
    std::cout << ")\n";
  }
}

int check(const CheckOptions& options) {
  LoadedJob loaded = load_job(options.job);
  check_plan(loaded, options.job.file);
  if (options.json) {
    std::cout << diagnostics_as_json(loaded.topology.has_value(), loaded.diagnostics) << "\n";
  } else {
    print_text(loaded, options);
  }
  return loaded.topology ? exit_done : exit_wrong;
}

}  // namespace

void add_check(CLI::App& app, Action& action) {
  auto options = std::make_shared<CheckOptions>();
  CLI::App& command = *app.add_subcommand("check", "Show all mistakes in a job at once; run nothing");
  add_job_arguments(command, options->job);
  command.add_flag("--json", options->json, "Print a JSON object instead of text");
  command.add_flag("--quiet,-q", options->quiet, "Only errors, no warnings and no `ok`");
  command.footer(
      "Examples:\n  dfnode check job.toml\n  dfnode check job.toml --set sources.readings.path=other.csv\n"
      "  dfnode check job.toml --json | jq .diagnostics\n\nExits with 2 when there is an error.");
  command.callback([options, &action] { action = [options] { return check(*options); }; });
}

}  // namespace dataflow::cli
