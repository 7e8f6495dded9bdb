#pragma once
// Runs a built job in this process until it ends or is interrupted: what `dfnode run` and a program with a job inside
// have in common.

#include <cstdint>
#include <string>

#include "libdataflow/graph/stream_graph.hpp"
#include "libdataflow/topology/substitution.hpp"

namespace CLI {
class App;
}

namespace dataflow::cli {

struct RunSettings {
  std::uint32_t slots = 0;           ///< 0: the number of cores
  bool quiet = false;                ///< only errors on standard error
  bool json = false;                 ///< the summary on standard error is one JSON object
  bool resume = false;               ///< go on from the checkpoints of the job's last run here
  std::string from;                  ///< a savepoint to begin from; empty: none
  bool allow_dropped_state = false;  ///< state of operators that the job does not have is left out
  bool drain = false;                ///< when interrupted, open windows fire as if the input had ended
};

/// Adds --slots, --quiet, --json, --drain, --resume, --from and --allow-dropped-state to a command.
void add_run_settings(CLI::App& command, RunSettings& settings);

/// Blocks until the end; returns the exit code. Errors are shown on standard error with `secrets` hidden.
int run_job(StreamGraph graph, const Secrets& secrets, const RunSettings& settings);

}  // namespace dataflow::cli
