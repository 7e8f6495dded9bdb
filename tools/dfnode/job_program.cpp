#include "tools/dfnode/job_program.hpp"

#include <CLI/CLI.hpp>

#include <iostream>

#include "tools/dfnode/command.hpp"
#include "tools/dfnode/run_job.hpp"
#include "tools/dfnode/standard_streams.hpp"
#include "tools/dfnode/version.hpp"

namespace dataflow::cli {

std::vector<std::string> arguments_of_job(int argc, const char* const* argv) {
  RunSettings settings;
  CLI::App app;
  app.allow_extras();
  add_run_settings(app, settings);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError&) {
    return {};  // --help or a mistake: run_job_program answers, and nothing runs
  }
  std::vector<std::string> arguments = app.remaining();
  std::erase(arguments, "--");
  return arguments;
}

int run_job_program(int argc, const char* const* argv, const std::string& name, const GraphBuilder& build) {
  prepare_standard_streams();
  RunSettings settings;
  CLI::App app{"The job " + name + ", run here with dataflow " + std::string{version()}, name};
  app.allow_extras();
  add_run_settings(app, settings);
  app.footer("Other arguments are the job's own; those behind `--` always are.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    std::cerr << name << ": " << error.what() << "\n";
    return exit_wrong;
  }
  std::vector<std::string> arguments = app.remaining();
  std::erase(arguments, "--");
  auto graph = build(std::move(arguments));
  if (!graph) {
    std::cerr << "error: " << graph.error().message() << "\n";
    return exit_wrong;
  }
  return run_job(std::move(*graph), Secrets{}, settings);
}

}  // namespace dataflow::cli
