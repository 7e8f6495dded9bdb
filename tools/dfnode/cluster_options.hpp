#pragma once
// What the commands that speak to a cluster share: where it is, how a mistake is shown, and how they end.

#include <functional>
#include <memory>
#include <string>

#include "actors/cluster/client.hpp"
#include "tools/dfnode/security_options.hpp"

namespace CLI {
class App;
}

namespace dataflow::cli {

struct ClusterOptions {
  std::string to = "127.0.0.1:6123";
  SecurityOptions security;
  double timeout_seconds = 10;
  bool json = false;
  bool quiet = false;
};

/// Adds --to, --cluster, --tls-..., --timeout, --json and --quiet.
void add_cluster_options(CLI::App& command, ClusterOptions& options);

/// Connects and hands the client to `work`. Shows its error, or that of connecting, and returns the exit code.
int with_cluster(const ClusterOptions& options, const std::function<Result<int>(ClusterClient&)>& work);

/// Of an option in seconds.
Duration from_seconds(double seconds);

/// A path as another process understands it; a URI stays what it is.
std::string absolute_path(const std::string& path);

/// On standard error, as text or as JSON; returns the exit code that goes with it, which is exit_unreachable where
/// something does not answer or is not there.
int show_failure(const Error& error, bool json);
/// The same for what a job or a cluster answers: it has been reached.
int show_refusal(const Error& error, bool json);

}  // namespace dataflow::cli
