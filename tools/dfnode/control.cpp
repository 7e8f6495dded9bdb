#include "tools/dfnode/control.hpp"

#include <CLI/CLI.hpp>

#include <iostream>

#include "tools/dfnode/cluster_options.hpp"
#include "tools/dfnode/command.hpp"

namespace dataflow::cli {

void add_control_options(CLI::App& command, ControlCall& call) {
  command.add_option("--to", call.to, "A cluster's JobManager; without it the job runs in a process of this machine")
      ->type_name("HOST:PORT");
  add_security_options(command, call.security);
  add_seconds(command, "--timeout", call.timeout_seconds, "How long to wait for the answer, default 10");
  command.add_flag("--json", call.json, "A mistake as JSON too; the answer always is");
  command.add_flag("--quiet,-q", call.quiet, "Print no answer");
}

std::optional<Result<std::string>> ask_job_here(const std::string& job, ControlRequest::Kind kind,
                                                const std::string& json, Duration patience) {
  ControlRequest request;
  request.kind = kind;
  request.json = json;
  auto answer = call_local_job(job, request, patience);
  if (!answer && answer.error().code() == ErrorCode::not_found) return std::nullopt;
  return answer;
}

int make_call(const ControlCall& call) {
  if (!call.to.empty()) {
    const ClusterOptions options{call.to, call.security, call.timeout_seconds, call.json, call.quiet};
    return with_cluster(options, [&](ClusterClient& client) -> Result<int> {
      const bool is_query = call.request.kind == ControlRequest::Kind::ask;
      const auto answer = client.call({.job = call.job,
                                       .verb = is_query ? JobCall::Verb::ask : JobCall::Verb::send,
                                       .node = call.request.node,
                                       .name = call.request.name,
                                       .json = call.request.json,
                                       .key_json = call.request.key_json});
      if (!answer) return fail(answer.error());
      if (!call.quiet) std::cout << *answer << "\n";
      return exit_done;
    });
  }
  const Duration timeout = from_seconds(call.timeout_seconds);
  bool answered = false;
  const auto answer = call_local_job(call.job, call.request, timeout, &answered);
  if (!answer) return answered ? show_refusal(answer.error(), call.json) : show_failure(answer.error(), call.json);
  if (!call.quiet) std::cout << *answer << "\n";
  return exit_done;
}

}  // namespace dataflow::cli
