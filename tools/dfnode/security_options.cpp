#include "tools/dfnode/security_options.hpp"

#include <CLI/CLI.hpp>

namespace dataflow::cli {

void add_security_options(CLI::App& command, SecurityOptions& options) {
  command.add_option("--cluster", options.cluster, "The cluster's name, default dataflow")->type_name("NAME");
  command.add_option("--tls-ca", options.authority, "The certificate of the cluster's authority (dfnode certs)")
      ->type_name("FILE")
      ->envname("DATAFLOW_TLS_CA");
  command.add_option("--tls-cert", options.certificate, "The certificate to show to others")
      ->type_name("FILE")
      ->envname("DATAFLOW_TLS_CERT");
  command.add_option("--tls-key", options.key, "Its private key")->type_name("FILE")->envname("DATAFLOW_TLS_KEY");
}

void add_insecure(CLI::App& command, SecurityOptions& options) {
  command.add_flag("--insecure", options.insecure,
                   "Listen on other than loopback addresses without certificates, where everybody is obeyed");
}

Result<ControlSettings> control_settings(const SecurityOptions& options) {
  ControlSettings settings{options.cluster, std::nullopt, options.insecure};
  const bool all = !options.authority.empty() && !options.certificate.empty() && !options.key.empty();
  const bool none = options.authority.empty() && options.certificate.empty() && options.key.empty();
  if (all) settings.tls = TlsSettings{options.authority, options.certificate, options.key};
  if (all || none) return settings;
  return fail(ErrorCode::invalid_argument, "TLS needs all of --tls-ca, --tls-cert and --tls-key");
}

}  // namespace dataflow::cli
