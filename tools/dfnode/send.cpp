// dfnode send: a message to an operator of a job that runs in another process of this machine, or in a cluster.

#include <CLI/CLI.hpp>

#include <memory>

#include "tools/dfnode/command.hpp"
#include "tools/dfnode/control.hpp"

namespace dataflow::cli {

void add_send(CLI::App& app, Action& action) {
  auto call = std::make_shared<ControlCall>();
  call->request.kind = ControlRequest::Kind::send;
  CLI::App& command = *app.add_subcommand("send", "Send a message to a running operator");
  command
      .add_option("JOB", call->job,
                  "The running job's name, or name-pid when several of that name run; in a cluster its id or name")
      ->required();
  command.add_option("OPERATOR", call->request.node, "The operator's name")->required();
  command.add_option("MESSAGE", call->request.name, "A message that it takes, such as a key that may be changed")
      ->required();
  command.add_option("JSON", call->request.json, "What the message says, a JSON object")->required();
  command.add_option("--key", call->request.key_json, "Only to the subtask that owns this key")->type_name("JSON");
  add_control_options(command, *call);
  command.footer(
      "Every subtask takes the message between two batches; their answers are printed as a JSON array.\n\n"
      "Examples:\n  dfnode send temperature-spikes hot set '{\"where\": \"temperature > 30\"}'\n"
      "  dfnode send fraud small_then_large set_limit '{\"value\": 900}'");
  command.callback([call, &action] { action = [call] { return make_call(*call); }; });
}

}  // namespace dataflow::cli
