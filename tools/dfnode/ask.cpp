// dfnode ask: a state, of a key or of each subtask, in a job that runs in another process of this machine, or in a
// cluster.

#include <CLI/CLI.hpp>

#include <memory>

#include "tools/dfnode/command.hpp"
#include "tools/dfnode/control.hpp"

namespace dataflow::cli {

void add_ask(CLI::App& app, Action& action) {
  auto call = std::make_shared<ControlCall>();
  call->request.kind = ControlRequest::Kind::ask;
  CLI::App& command = *app.add_subcommand("ask", "Read a state of a running operator");
  command
      .add_option("JOB", call->job,
                  "The running job's name, or name-pid when several of that name run; in a cluster its id or name")
      ->required();
  command.add_option("OPERATOR", call->request.node, "The operator's name")->required();
  command.add_option("STATE", call->request.name, "A state that it declares")->required();
  command
      .add_option("--key", call->request.key_json,
                  "The key whose state it is, as JSON: a text needs its quotes; none for a function without key")
      ->type_name("JSON");
  add_control_options(command, *call);
  command.footer(
      "With a key its state is printed, without one a JSON array of each subtask's.\n\n"
      "Examples:\n  dfnode ask fraud small_then_large small --key '\"4711\"'\n  dfnode ask imports counted total");
  command.callback([call, &action] { action = [call] { return make_call(*call); }; });
}

}  // namespace dataflow::cli
