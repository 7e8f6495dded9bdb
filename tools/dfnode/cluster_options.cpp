#include "tools/dfnode/cluster_options.hpp"

#include <CLI/CLI.hpp>

#include <filesystem>
#include <iostream>

#include "serialization/value.hpp"
#include "tools/dfnode/command.hpp"

namespace dataflow::cli {

void add_cluster_options(CLI::App& command, ClusterOptions& options) {
  command.add_option("--to", options.to, "The cluster's JobManager, default 127.0.0.1:6123")->type_name("HOST:PORT");
  add_security_options(command, options.security);
  add_seconds(command, "--timeout", options.timeout_seconds, "How long to wait for an answer, default 10");
  command.add_flag("--json", options.json, "JSON instead of text, mistakes included");
  command.add_flag("--quiet,-q", options.quiet, "Only errors on standard error");
}

Duration from_seconds(double seconds) {
  return Duration{static_cast<std::int64_t>(seconds * 1e6)};
}

int with_cluster(const ClusterOptions& options, const std::function<Result<int>(ClusterClient&)>& work) {
  const auto endpoint = parse_endpoint(options.to);
  if (!endpoint) return show_failure(endpoint.error().within("--to"), options.json);
  const Duration timeout = from_seconds(options.timeout_seconds);
  const auto control = control_settings(options.security);
  if (!control) return show_failure(control.error(), options.json);
  auto client = ClusterClient::connect(*endpoint, *control, timeout);
  if (!client) return show_failure(client.error(), options.json);
  const auto code = work(**client);
  if (code) return *code;
  return (*client)->lost() ? show_failure(code.error(), options.json) : show_refusal(code.error(), options.json);
}

std::string absolute_path(const std::string& path) {
  if (path.empty() || path.find("://") != std::string::npos) return path;
  std::error_code error;
  const auto absolute = std::filesystem::absolute(path, error);
  return error ? path : absolute.lexically_normal().string();
}

namespace {

void say_failure(const Error& error, bool json) {
  if (json) {
    std::string out = "{\"error\":";
    append_json_string(error.message(), out);
    out += ",\"code\":";
    append_json_string(to_string(error.code()), out);
    std::cerr << out << "}\n";
  } else {
    std::cerr << "dfnode: " << error.message() << "\n";
  }
}

}  // namespace

int show_refusal(const Error& error, bool json) {
  say_failure(error, json);
  switch (error.code()) {
    case ErrorCode::not_found:
    case ErrorCode::invalid_argument:
    case ErrorCode::unsupported: return exit_wrong;
    default: return exit_failed;
  }
}

int show_failure(const Error& error, bool json) {
  say_failure(error, json);
  switch (error.code()) {
    case ErrorCode::io:
    case ErrorCode::not_found: return exit_unreachable;
    case ErrorCode::invalid_argument:
    case ErrorCode::unsupported: return exit_wrong;
    default: return exit_failed;
  }
}

}  // namespace dataflow::cli
