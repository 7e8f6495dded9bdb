#include "tools/dfnode/control.hpp"

#include <CLI/CLI.hpp>

#include <iostream>

#include "serialization/value.hpp"
#include "tools/dfnode/command.hpp"

namespace dataflow::cli {

void add_control_options(CLI::App& command, ControlCall& call) {
  command.add_option("--timeout", call.timeout_seconds, "How long to wait for the answer, default 10")
      ->type_name("SECONDS")
      ->check(CLI::PositiveNumber);
  command.add_flag("--json", call.json, "A mistake as JSON too; the answer always is");
  command.add_flag("--quiet,-q", call.quiet, "Print no answer");
}

int make_call(const ControlCall& call) {
  const Duration timeout{static_cast<std::int64_t>(call.timeout_seconds * 1e6)};
  const auto answer = call_local_job(call.job, call.request, timeout);
  if (answer) {
    if (!call.quiet) std::cout << *answer << "\n";
    return exit_done;
  }
  const Error& error = answer.error();
  if (call.json) {
    std::string out = "{\"error\":";
    append_json_string(error.message(), out);
    out += ",\"code\":";
    append_json_string(to_string(error.code()), out);
    std::cerr << out << "}\n";
  } else {
    std::cerr << "dfnode: " << error.message() << "\n";
  }
  switch (error.code()) {
    case ErrorCode::io:
    case ErrorCode::not_found: return exit_unreachable;
    case ErrorCode::invalid_argument: return exit_wrong;
    default: return exit_failed;
  }
}

}  // namespace dataflow::cli
