#pragma once
// A call to a running job: what `dfnode send` and `dfnode ask` share.

#include <optional>
#include <string>

#include "actors/control_socket.hpp"
#include "tools/dfnode/security_options.hpp"

namespace CLI {
class App;
}

namespace dataflow::cli {

struct ControlCall {
  std::string job;
  ControlRequest request;
  std::string to;  ///< a JobManager; empty: the job runs in a process of this machine
  SecurityOptions security;
  double timeout_seconds = 10;
  bool json = false;
  bool quiet = false;
};

/// What a job of that name in a process of this machine answers; nothing: there is none.
std::optional<Result<std::string>> ask_job_here(const std::string& job, ControlRequest::Kind kind,
                                                const std::string& json, Duration patience);

/// Adds --to, --cluster, --tls-..., --timeout, --json and --quiet.
void add_control_options(CLI::App& command, ControlCall& call);

/// Makes the call and prints the answer. Exits with exit_unreachable when no job or cluster answers, with exit_wrong
/// when there is no such operator, message or state.
int make_call(const ControlCall& call);

}  // namespace dataflow::cli
