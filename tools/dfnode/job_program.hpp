#pragma once
// The main of a program that is a C++ job: `./fraud` has the options of `dfnode run`; what it does not know is the
// job's own.

#include <functional>
#include <string>
#include <vector>

#include "libdataflow/graph/stream_graph.hpp"
#include "serialization/result.hpp"

namespace dataflow::cli {

/// What is left for the job when the options of run are taken out. Empty when they are wrong, which run_job_program
/// then says.
std::vector<std::string> arguments_of_job(int argc, const char* const* argv);

using GraphBuilder = std::function<Result<StreamGraph>(std::vector<std::string> arguments)>;

/// Runs the job that `build` declares, which gets the arguments that are no options of run. Returns the exit code.
int run_job_program(int argc, const char* const* argv, const std::string& name, const GraphBuilder& build);

}  // namespace dataflow::cli
