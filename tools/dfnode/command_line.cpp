#include <CLI/CLI.hpp>

#include <algorithm>
#include <charconv>
#include <exception>
#include <iostream>
#include <memory>
#include <string_view>

#include "libdataflow/topology/did_you_mean.hpp"
#include "tools/dfnode/cluster_options.hpp"
#include "tools/dfnode/command.hpp"
#include "tools/dfnode/settings_file.hpp"
#include "tools/dfnode/version.hpp"

namespace dataflow::cli {

namespace {

constexpr const char* examples = R"(Examples:
  dfnode check job.toml                    all mistakes at once
  dfnode run job.toml                      run it here
  dfnode run job.toml --set operators.hot.where="temperature > 30"
  dfnode docs window                       what a node type takes

Exit codes: 0 done; 1 the job failed; 2 the file or the command line is wrong;
3 nothing answers there; 130 interrupted; 141 the reader of standard output left.)";

/// Whether the first argument names no command, and what is to be said then; CLI11 would only say that one is missing.
bool is_unknown_command(const CLI::App& app, const std::string& name, std::string& message) {
  std::vector<std::string> known;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    known.push_back(command->get_name());
  if (name.empty() || name[0] == '-' || std::count(known.begin(), known.end(), name) > 0) return false;
  const std::string suggestion = did_you_mean(name, known);
  message = "no command \"" + name + "\"" + (suggestion.empty() ? "" : ", " + suggestion);
  return true;
}

/// As far as it can be seen in a command line that is wrong.
bool wants_json(int argc, const char* const* argv) {
  for (int i = 1; i < argc && std::string_view{argv[i]} != "--"; ++i) {
    if (std::string_view{argv[i]} == "--json") return true;
  }
  return false;
}

int refuse_command_line(const std::string& message, bool json, const char* help) {
  if (json) return show_failure(Error{ErrorCode::invalid_argument, message}, true);
  std::cerr << "dfnode: " << message << "\n" << help;
  return exit_wrong;
}

int refuse_settings(const SettingsFile& settings, bool json) {
  std::string mistakes = settings.mistakes();
  if (!json) {
    std::cerr << mistakes;
    return exit_wrong;
  }
  while (mistakes.ends_with('\n')) mistakes.pop_back();
  return refuse_command_line(mistakes, true, "");
}

}  // namespace

void add_job_arguments(CLI::App& command, JobArguments& job) {
  const auto named = [](const std::string& file) { return file.empty() ? std::string{"it is empty"} : std::string{}; };
  command.add_option("FILE", job.file, "A topology (.toml) or a C++ job (.so)")
      ->check(CLI::Validator{named, ""})
      ->required();
  command.add_option("--set", job.overrides, "Override one key of the topology; may be given several times")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  command.add_option("ARGUMENTS", job.arguments, "After `--`: arguments of the job itself (C++ jobs)")->type_name("");
}

void add_parallelism(CLI::App& command, const std::string& names, std::uint32_t& into, const std::string& help) {
  const auto whole = [](const std::string& text) {
    std::uint32_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    const bool good = error == std::errc{} && end == text.data() + text.size() && number > 0;
    return good ? std::string{} : "\"" + text + "\" is no whole number from 1";
  };
  command.add_option(names, into, help)->check(CLI::Validator{whole, ""})->type_name("N");
}

void add_seconds(CLI::App& command, const std::string& name, double& into, const std::string& help) {
  const auto positive = [](const std::string& text) {
    constexpr double most = 1e9;  // some thirty years
    double seconds = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    const bool good = error == std::errc{} && end == text.data() + text.size() && seconds > 0 && seconds <= most;
    return good ? std::string{} : "\"" + text + "\" is no number of seconds, more than 0 and at most 1000000000";
  };
  command.add_option(name, into, help)->check(CLI::Validator{positive, ""})->type_name("SECONDS");
}

int run_command_line(int argc, const char* const* argv) {
  CLI::App app{"dataflow: stream processing on actors", "dfnode"};
  app.set_version_flag("--version", "dfnode " + std::string{version()});
  app.require_subcommand(1);
  app.footer(examples);
  app.set_config("--settings", "dfnode.toml", "A file with a table of options for each command; flags go over it");
  const auto settings = std::make_shared<SettingsFile>(app);
  app.config_formatter(settings);
  Action action;
  add_run(app, action);
  add_check(app, action);
  add_plan(app, action);
  add_test(app, action);
  add_simulate(app, action);
  add_infer(app, action);
  add_docs(app, action);
  add_send(app, action);
  add_ask(app, action);
  add_certs(app, action);
  add_completion(app, action);
  add_jobmanager(app, action);
  add_taskmanager(app, action);
  add_submit(app, action);
  add_nodes(app, action);
  add_list(app, action);
  add_show(app, action);
  add_cancel(app, action);
  add_stop(app, action);
  add_logs(app, action);
  add_savepoint(app, action);
  add_checkpoints(app, action);
  add_why(app, action);
  add_state(app, action);
  add_child_processes(app, action);
  const bool json = wants_json(argc, argv);
  std::string unknown;
  if (argc > 1 && is_unknown_command(app, argv[1], unknown)) {
    return refuse_command_line(unknown, json, "Try `dfnode --help`.\n");
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // --help and --version come this way too, with 0.
    if (error.get_exit_code() == 0) return app.exit(error);
    // What the file does not give may be missing only because nothing of it was taken.
    if (!settings->mistakes().empty()) return refuse_settings(*settings, json);
    return refuse_command_line(error.what(), json, "Try `dfnode --help`, or `dfnode COMMAND --help`.\n");
  }
  if (!settings->mistakes().empty()) return refuse_settings(*settings, json);
  try {
    return action ? action() : exit_wrong;
  } catch (const std::exception& error) {
    std::cerr << "dfnode: " << error.what() << " (this is a bug in dfnode)\n";
    return exit_failed;
  }
}

}  // namespace dataflow::cli
