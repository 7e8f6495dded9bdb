// dfnode why: why a job gives nothing. A running one is asked; a file is run here, its sinks taking every row and
// forgetting it.

#include <CLI/CLI.hpp>

#include <chrono>
#include <iostream>
#include <memory>

#include <nlohmann/json.hpp>

#include "actors/local_run.hpp"
#include "libdataflow/sinks/discard_sink.hpp"
#include "tools/dfnode/cluster_options.hpp"
#include "tools/dfnode/command.hpp"
#include "tools/dfnode/control.hpp"
#include "tools/dfnode/job_file.hpp"
#include "tools/dfnode/job_text.hpp"

namespace dataflow::cli {

namespace {

struct WhyOptions {
  ClusterOptions cluster;
  const CLI::Option* to = nullptr;
  std::string job;
  std::vector<std::string> overrides;
  std::vector<std::string> arguments;
  double run_seconds = 10;
};

bool is_file(const std::string& job) {
  return job.ends_with(".toml") || job.ends_with(".so");
}

int print(const std::string& job, bool json) {
  std::cout << (json ? job + "\n" : why_as_text(nlohmann::json::parse(job, nullptr, false)));
  return exit_done;
}

/// Runs the job to its end, or for a while. Nothing of it is seen outside.
int run_and_explain(const WhyOptions& options) {
  const bool json = options.cluster.json;
  auto topology = load_job_or_explain({options.job, options.overrides, options.arguments}, json, true);
  if (!topology) return exit_wrong;
  StreamGraph graph = std::move(topology->graph);
  graph.settings.checkpoint.reset();
  for (StreamNode& node : graph.nodes) {
    if (node.is_sink()) node.factory = make_discard_sink();
  }
  auto job = LocalJob::start(std::move(graph));
  if (!job) return show_failure(job.error(), json);
  static_cast<void>((*job)->wait(from_seconds(options.run_seconds)));
  const auto shown = (*job)->show(topology->secrets);
  return shown ? print(*shown, json) : show_failure(shown.error(), json);
}

int why(const WhyOptions& options) {
  if (is_file(options.job)) return run_and_explain(options);
  if (options.to->count() == 0) {
    const Duration patience = from_seconds(options.cluster.timeout_seconds);
    if (const auto here = ask_job_here(options.job, ControlRequest::Kind::show, "{}", patience)) {
      return *here ? print(**here, options.cluster.json) : show_failure(here->error(), options.cluster.json);
    }
  }
  return with_cluster(options.cluster, [&](ClusterClient& client) -> Result<int> {
    const auto shown = client.call({options.job, JobCall::Verb::show});
    if (!shown) return fail(shown.error());
    return print(*shown, options.cluster.json);
  });
}

}  // namespace

void add_why(CLI::App& app, Action& action) {
  auto options = std::make_shared<WhyOptions>();
  CLI::App& command = *app.add_subcommand("why", "Why a job gives nothing: who holds back time, where records went");
  command
      .add_option("JOB", options->job,
                  "A running job's name, in a cluster also its id; or a FILE (.toml, .so), which is run here without "
                  "its sinks")
      ->required();
  command.add_option("--set", options->overrides, "Override one key of FILE; may be given several times")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  command.add_option("ARGUMENTS", options->arguments, "After `--`: arguments of the job in FILE itself (C++ jobs)")
      ->type_name("");
  add_seconds(command, "--for", options->run_seconds, "How long FILE runs at most, default 10");
  add_cluster_options(command, options->cluster);
  options->to = command.get_option("--to");
  command.footer("Examples:\n  dfnode why payments --to 10.0.0.1:6123\n  dfnode why job.toml --for 3");
  command.callback([options, &action] { action = [options] { return why(*options); }; });
}

}  // namespace dataflow::cli
