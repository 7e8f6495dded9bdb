#pragma once
// The program that dataflow_add_job builds beside the library: the job with `dfnode run`'s options.

#include "dataflow/job.hpp"

namespace dataflow {

/// Runs the job until its input ends or until Ctrl-C; the exit code is `dfnode run`'s. Needs dataflow::cli.
int run_program(int argc, const char* const* argv, const JobDescriptor& job);

}  // namespace dataflow
