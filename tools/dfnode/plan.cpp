// dfnode plan: how a job will run, without running it.

#include <CLI/CLI.hpp>

#include <iostream>
#include <memory>
#include <vector>

#include <nlohmann/json.hpp>

#include "libdataflow/checkpoint/savepoint.hpp"
#include "libdataflow/checkpoint/state_fit.hpp"
#include "tools/dfnode/cluster_options.hpp"
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
  std::string from;
  bool allow_dropped_state = false;
};

/// "  totals groups: converted, 12 rows: loses x"
std::string state_as_text(const std::vector<StateFit>& states) {
  std::string out = "state\n";
  for (const StateFit& state : states) {
    out += "  " + (state.op.empty() ? "the job" : state.op) + (state.state.empty() ? "" : " " + state.state) + ": " +
           std::string{to_string(state.outcome)};
    if (state.rows != 0) out += ", " + std::to_string(state.rows) + " rows";
    if (!state.detail.empty()) out += ": " + state.detail;
    out += "\n";
  }
  return out;
}

nlohmann::ordered_json state_as_json(const std::vector<StateFit>& states) {
  auto all = nlohmann::ordered_json::array();
  for (const StateFit& state : states) {
    nlohmann::ordered_json one{{"operator", state.op}, {"outcome", to_string(state.outcome)}, {"rows", state.rows}};
    if (!state.state.empty()) one["state"] = state.state;
    if (!state.detail.empty()) one["detail"] = state.detail;
    all.push_back(std::move(one));
  }
  return all;
}

/// The plan is what the job is checked with; only what becomes of the state is shown.
int plan_state(const PlanOptions& options, const JobGraph& graph) {
  const auto savepoint = load_savepoint(options.from);
  if (!savepoint) {
    const bool absent = savepoint.error().code() == ErrorCode::not_found;
    return show_failure(absent ? Error{ErrorCode::invalid_argument, savepoint.error().message()} : savepoint.error(),
                        options.json);
  }
  const auto states = fit_state(**savepoint, graph);
  const bool good = fits(states, options.allow_dropped_state ? UnclaimedState::dropped : UnclaimedState::refused);
  if (options.json || options.format == "json") {
    std::cout << nlohmann::ordered_json{{"fits", good}, {"state", state_as_json(states)}}.dump() << "\n";
  } else {
    std::cout << state_as_text(states)
              << (good ? "the job can go on from this savepoint\n" : "the job cannot go on from this savepoint\n");
  }
  return good ? exit_done : exit_wrong;
}

int plan(const PlanOptions& options) {
  const bool json = options.json || options.format == "json";
  auto topology = load_job_or_explain(options.job, json, false);
  if (!topology) return exit_wrong;
  const auto graph = build_job_graph(std::make_shared<const StreamGraph>(std::move(topology->graph)),
                                     options.parallelism > 0 ? options.parallelism : default_parallelism());
  if (!graph) {
    explain_mistake(options.job.file, graph.error().message(), json);
    return exit_wrong;
  }
  if (!options.from.empty()) return plan_state(options, *graph);
  if (json) {
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
  command.add_option("--from", options->from, "Show instead what becomes of the state in this savepoint")
      ->type_name("SAVEPOINT");
  command.add_flag("--allow-dropped-state", options->allow_dropped_state,
                   "With --from: state of operators that the job does not have may be left out");
  command.footer(
      "Examples:\n  dfnode plan job.toml\n  dfnode plan job.toml --format mermaid >> README.md\n"
      "  dfnode plan job.toml --format dot | dot -Tsvg > plan.svg\n"
      "  dfnode plan new.toml --from /mnt/shared/savepoints/savepoint-job-0000000042");
  command.callback([options, &action] { action = [options] { return plan(*options); }; });
}

}  // namespace dataflow::cli
