#pragma once
// What the commands of a cluster share: which one it is, and the certificates to speak to it with.

#include <string>

#include "actors/cluster/control_settings.hpp"
#include "serialization/result.hpp"

namespace CLI {
class App;
}

namespace dataflow::cli {

struct SecurityOptions {
  std::string cluster = default_cluster_name;
  std::string authority;
  std::string certificate;
  std::string key;
  bool insecure = false;
};

/// Adds --cluster, --tls-ca, --tls-cert and --tls-key, which the environment may give too: DATAFLOW_TLS_CA, ...
void add_security_options(CLI::App& command, SecurityOptions& options);
/// Adds --insecure, for processes that listen.
void add_insecure(CLI::App& command, SecurityOptions& options);

/// Errors: invalid_argument when there is a part of what TLS needs.
Result<ControlSettings> control_settings(const SecurityOptions& options);

}  // namespace dataflow::cli
