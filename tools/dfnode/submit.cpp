// dfnode submit: a job to a cluster, followed until its end or left there.

#include <CLI/CLI.hpp>

#include <iostream>
#include <map>
#include <memory>
#include <set>
#include <thread>

#include <nlohmann/json.hpp>

#include "libdataflow/artifact/job_files.hpp"
#include "tools/dfnode/cluster_options.hpp"
#include "tools/dfnode/command.hpp"
#include "tools/dfnode/interrupt.hpp"
#include "tools/dfnode/job_file.hpp"
#include "tools/dfnode/job_text.hpp"

namespace dataflow::cli {

namespace {

struct SubmitCommand {
  JobArguments job;
  ClusterOptions cluster;
  std::uint32_t parallelism = 0;
  bool detach = false;
  std::string from;
  bool allow_dropped_state = false;
};

/// A restarted JobManager is waited for.
constexpr std::chrono::minutes restart_patience{1};
constexpr std::chrono::milliseconds retry_interval{250};

int exit_code(const nlohmann::json& job) {
  const std::string state = job.value("state", "");
  if (state == "FINISHED") return exit_done;
  return job.value("error_code", "") == to_string(ErrorCode::invalid_argument) ? exit_wrong : exit_failed;
}

int show_end(const std::string& text, const ClusterOptions& options) {
  const auto job = nlohmann::json::parse(text, nullptr, false);
  std::cout.flush();
  if (options.json) {
    std::cerr << text << "\n";
  } else {
    if (job.contains("error")) std::cerr << "error: " << job.value("error", "") << "\n";
    if (!options.quiet) std::cerr << summary_of_job(job);
  }
  return exit_code(job);
}

/// Tells once for each reason why the job has no slots yet.
class SlotNews {
 public:
  void tell(const std::string& text) {
    const auto job = nlohmann::json::parse(text, nullptr, false);
    if (!job.is_object()) return;
    const std::string reason = job.value("waits_for", "");
    if (!reason.empty() && reason != told_) std::cerr << "the job waits for slots: it " << reason << std::endl;
    told_ = reason;
  }

 private:
  std::string told_;
};

Result<int> follow(ClusterClient& client, const std::string& id, const ClusterOptions& options) {
  std::optional<std::chrono::steady_clock::time_point> silent_since;
  SlotNews slots;
  for (;;) {
    const auto news = client.follow(id);
    if (interrupts() > 0) {
      std::cerr << "detached: the job goes on; `dfnode cancel " << id << " --to " << options.to << "` ends it\n";
      return exit_interrupted;
    }
    if (!news) {
      const auto now = std::chrono::steady_clock::now();
      if (news.error().code() != ErrorCode::io) return fail(news.error());
      if (!silent_since && !options.quiet) std::cerr << news.error().message() << "; it is waited for\n";
      if (!silent_since) silent_since = now;
      if (now - *silent_since > restart_patience) return fail(news.error());
      std::this_thread::sleep_for(retry_interval);
      continue;
    }
    silent_since.reset();
    std::cout << news->output << std::flush;
    if (!std::cout) return exit_output_closed;
    if (news->ended) return show_end(news->json, options);
    if (!options.quiet && !options.json && !news->json.empty()) slots.tell(news->json);
  }
}

Result<int> submit(ClusterClient& client, const SubmitCommand& command, std::map<std::string, std::string> environment,
                   std::set<std::string> files) {
  Submission submission;
  submission.file = command.job.file;
  submission.libraries = std::move(files);
  submission.overrides = command.job.overrides;
  submission.environment = std::move(environment);
  submission.arguments = command.job.arguments;
  submission.parallelism = command.parallelism;
  submission.follow = !command.detach;
  // Relative paths are the client's.
  if (!command.from.empty()) submission.from = absolute_path(command.from);
  submission.drop_unclaimed = command.allow_dropped_state;
  const auto accepted = client.submit(submission);
  if (!accepted) return fail(accepted.error());
  const std::string id = nlohmann::json::parse(*accepted, nullptr, false).value("id", "");
  if (command.detach) {
    std::cout << (command.cluster.json ? *accepted : id) << "\n";
    return exit_done;
  }
  if (!command.cluster.quiet && !command.cluster.json) std::cerr << "job " << id << "\n";
  return follow(client, id, command.cluster);
}

int run(const SubmitCommand& command) {
  std::map<std::string, std::string> environment;
  std::set<std::string> files;
  if (command.job.file.ends_with(".so")) {
    JobNeeds needs = needs_of_job(command.job.file, command.job.arguments);
    environment = std::move(needs.environment);
    files = std::move(needs.files);
  } else {
    LoadOptions options;
    options.runs_elsewhere = true;
    options.environment = [&, look_up = process_environment()](const std::string& name) {
      auto value = look_up(name);
      if (value) environment[name] = *value;
      return value;
    };
    if (!load_job_or_explain(command.job, command.cluster.json, command.cluster.quiet, std::move(options)))
      return exit_wrong;
    files = named_job_files();
  }
  catch_interrupts();
  return with_cluster(command.cluster, [&](ClusterClient& client) {
    return submit(client, command, std::move(environment), std::move(files));
  });
}

}  // namespace

void add_submit(CLI::App& app, Action& action) {
  auto options = std::make_shared<SubmitCommand>();
  CLI::App& command = *app.add_subcommand("submit", "Run a job in a cluster");
  add_job_arguments(command, options->job);
  add_cluster_options(command, options->cluster);
  add_parallelism(command, "--parallelism", options->parallelism,
                  "Subtasks of a node that says none; default: the cluster's slots");
  command.add_flag("--detach", options->detach, "Print the job's id and leave it there");
  command.add_option("--from", options->from, "Begin with the state of this savepoint; all nodes must reach it")
      ->type_name("SAVEPOINT");
  command.add_flag("--allow-dropped-state", options->allow_dropped_state,
                   "Leave out state of operators that the job does not have any more");
  command.footer(
      "Follows the job: what its print sinks write comes to standard output. Ctrl-C leaves the job running.\n\n"
      "Examples:\n  dfnode submit job.toml --to 10.0.0.1:6123\n"
      "  dfnode submit fraud.so --to 10.0.0.1:6123 --detach -- --city=Basel\n"
      "  dfnode submit new.toml --to 10.0.0.1:6123 --from /mnt/shared/savepoints/savepoint-job-0000000042");
  command.callback([options, &action] { action = [options] { return run(*options); }; });
}

}  // namespace dataflow::cli
