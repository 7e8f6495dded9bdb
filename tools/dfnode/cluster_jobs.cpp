// dfnode nodes, list, show, logs, cancel: a cluster and its jobs, asked and told.

#include <CLI/CLI.hpp>

#include <iostream>
#include <memory>

#include <nlohmann/json.hpp>

#include "tools/dfnode/cluster_options.hpp"
#include "tools/dfnode/command.hpp"
#include "tools/dfnode/job_text.hpp"

namespace dataflow::cli {

namespace {

using Ask = std::function<Result<std::string>(ClusterClient&)>;
using Render = std::string (*)(const nlohmann::json&);

int print_answer(const ClusterOptions& options, const Ask& ask, Render render) {
  return with_cluster(options, [&](ClusterClient& client) -> Result<int> {
    const auto answer = ask(client);
    if (!answer) return fail(answer.error());
    if (options.json) {
      std::cout << *answer << "\n";
    } else if (render != nullptr) {
      std::cout << render(nlohmann::json::parse(*answer, nullptr, false));
    }
    return exit_done;
  });
}

void add_question(CLI::App& app, Action& action, const std::string& name, const std::string& help, const Ask& ask,
                  Render render) {
  auto options = std::make_shared<ClusterOptions>();
  CLI::App& command = *app.add_subcommand(name, help);
  add_cluster_options(command, *options);
  command.footer("Example:\n  dfnode " + name + " --to 10.0.0.1:6123");
  command.callback([=, &action] { action = [=] { return print_answer(*options, ask, render); }; });
}

struct JobCommand {
  ClusterOptions cluster;
  std::string job;
};

CLI::App& add_job_command(CLI::App& app, const std::string& name, const std::string& help, JobCommand& options) {
  CLI::App& command = *app.add_subcommand(name, help);
  command.add_option("JOB", options.job, "The job's id, or its name")->required();
  add_cluster_options(command, options.cluster);
  command.footer("Example:\n  dfnode " + name + " temperature-spikes --to 10.0.0.1:6123");
  return command;
}

}  // namespace

void add_nodes(CLI::App& app, Action& action) {
  add_question(
      app, action, "nodes", "The nodes of a cluster and their slots",
      [](ClusterClient& client) { return client.list_nodes(); }, nodes_as_text);
}

void add_list(CLI::App& app, Action& action) {
  add_question(
      app, action, "list", "The jobs of a cluster, those that have ended too",
      [](ClusterClient& client) { return client.list_jobs(); }, jobs_as_text);
}

void add_show(CLI::App& app, Action& action) {
  auto options = std::make_shared<JobCommand>();
  CLI::App& command = add_job_command(app, "show", "A job's subtasks, numbers and failures", *options);
  command.callback([options, &action] {
    action = [options] {
      return print_answer(
          options->cluster,
          [&](ClusterClient& client) {
            return client.call({options->job, JobCall::Verb::show});
          },
          job_as_text);
    };
  });
}

void add_logs(CLI::App& app, Action& action) {
  auto options = std::make_shared<JobCommand>();
  CLI::App& command = add_job_command(app, "logs", "What a job's processes have logged on all nodes", *options);
  command.callback([options, &action] {
    action = [options] {
      return with_cluster(options->cluster, [&](ClusterClient& client) -> Result<int> {
        const auto lines = client.call({options->job, JobCall::Verb::logs});
        if (!lines) return fail(lines.error());
        std::cout << (options->cluster.json ? nlohmann::json{{"lines", *lines}}.dump() + "\n" : *lines);
        return exit_done;
      });
    };
  });
}

void add_cancel(CLI::App& app, Action& action) {
  auto options = std::make_shared<JobCommand>();
  CLI::App& command = add_job_command(app, "cancel", "End a job; what is not committed is undone", *options);
  command.callback([options, &action] {
    action = [options] {
      return print_answer(
          options->cluster,
          [&](ClusterClient& client) {
            return client.call({options->job, JobCall::Verb::cancel});
          },
          nullptr);
    };
  });
}

}  // namespace dataflow::cli
