#include <CLI/CLI.hpp>

#include <exception>
#include <iostream>

#include "tools/dfnode/command.hpp"
#include "tools/dfnode/version.hpp"

namespace dataflow::cli {

namespace {

constexpr const char* examples = R"(Examples:
  dfnode check job.toml                    all mistakes at once
  dfnode run job.toml                      run it here
  dfnode run job.toml --set operators.hot.where="temperature > 30"
  dfnode docs window                       what a node type takes

Exit codes: 0 done; 1 the job failed; 2 the file or the command line is wrong;
3 nothing answers there; 130 interrupted.)";

}  // namespace

void add_job_arguments(CLI::App& command, JobArguments& job) {
  command.add_option("FILE", job.file, "A topology (.toml) or a C++ job (.so)")->required();
  command.add_option("--set", job.overrides, "Override one key of the topology; may be given several times")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  command.add_option("ARGUMENTS", job.arguments, "After `--`: arguments of the job itself (C++ jobs)")->type_name("");
}

int run_command_line(int argc, const char* const* argv) {
  CLI::App app{"dataflow: stream processing on actors", "dfnode"};
  app.set_version_flag("--version", "dfnode " + std::string{version()});
  app.require_subcommand(1);
  app.footer(examples);
  Action action;
  add_run(app, action);
  add_check(app, action);
  add_plan(app, action);
  add_test(app, action);
  add_infer(app, action);
  add_docs(app, action);
  add_completion(app, action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // --help and --version come this way too, with 0.
    if (error.get_exit_code() == 0) return app.exit(error);
    std::cerr << "dfnode: " << error.what() << "\n"
              << "Try `dfnode --help`, or `dfnode COMMAND --help`.\n";
    return exit_wrong;
  }
  try {
    return action ? action() : exit_wrong;
  } catch (const std::exception& error) {
    std::cerr << "dfnode: " << error.what() << " (this is a bug in dfnode)\n";
    return exit_failed;
  }
}

}  // namespace dataflow::cli
