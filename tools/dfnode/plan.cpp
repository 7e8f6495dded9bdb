// dfnode plan: how a job will run, without running it.

#include <CLI/CLI.hpp>

#include <iostream>
#include <memory>

#include "tools/dfnode/command.hpp"
#include "tools/dfnode/job_file.hpp"
#include "tools/dfnode/plan_text.hpp"

namespace dataflow::cli {

namespace {

struct PlanOptions {
  JobArguments job;
  std::string format = "text";
  std::uint32_t parallelism = 0;  ///< 0: the number of cores
  bool json = false;
};

int plan(const PlanOptions& options) {
  auto topology = load_job_or_explain(options.job, options.json, false);
  if (!topology) return exit_wrong;
  const auto graph = build_job_graph(std::make_shared<const StreamGraph>(std::move(topology->graph)),
                                     options.parallelism > 0 ? options.parallelism : default_parallelism());
  if (!graph) {
    std::cerr << "error: " << graph.error().message() << "\n";
    return exit_wrong;
  }
  if (options.json || options.format == "json") {
    std::cout << plan_as_json(*graph);
  } else if (options.format == "mermaid") {
    std::cout << plan_as_mermaid(*graph);
  } else if (options.format == "dot") {
    std::cout << plan_as_dot(*graph);
  } else {
    std::cout << plan_as_text(*graph);
  }
  return exit_done;
}

}  // namespace

void add_plan(CLI::App& app, Action& action) {
  auto options = std::make_shared<PlanOptions>();
  CLI::App& command = *app.add_subcommand("plan", "Show how a job will run: tasks, exchanges, schemas");
  add_job_arguments(command, options->job);
  command.add_option("--format", options->format, "text, mermaid, dot or json")
      ->check(CLI::IsMember({"text", "mermaid", "dot", "json"}))
      ->type_name("FORMAT");
  add_parallelism(command, "--parallelism", options->parallelism,
                  "Where neither node nor job says one; default: cores");
  command.add_flag("--json", options->json, "The same as --format json");
  command.footer(
      "Examples:\n  dfnode plan job.toml\n  dfnode plan job.toml --format mermaid >> README.md\n"
      "  dfnode plan job.toml --format dot | dot -Tsvg > plan.svg");
  command.callback([options, &action] { action = [options] { return plan(*options); }; });
}

}  // namespace dataflow::cli
