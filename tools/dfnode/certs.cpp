// dfnode certs: a cluster's certificate authority, and the certificates of its nodes.

#include <CLI/CLI.hpp>

#include <algorithm>
#include <iostream>
#include <memory>

#include "actors/exchange/certificates.hpp"
#include "tools/dfnode/command.hpp"

namespace dataflow::cli {

namespace {

constexpr std::uint32_t default_days = 365;
/// The authority outlives what it signs; replacing it means replacing everything.
constexpr std::uint32_t authority_days = 3650;
/// Clocks of nodes differ.
constexpr std::chrono::minutes clock_tolerance{10};

struct CertsOptions {
  std::string folder;
  std::string node;
  std::vector<std::string> hosts;
  std::string cluster = "dataflow";
  std::uint32_t days = default_days;
};

Validity from_now_for(std::uint32_t days) {
  const auto now = std::chrono::system_clock::now();
  return {now - clock_tolerance, now + std::chrono::days{days}};
}

/// A node's name is a part of a file's name.
bool is_node_name(const std::string& name) {
  return !name.empty() && name != "ca" && name[0] != '.' && name[0] != '-' && name.size() <= 64 &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
                  c == '.';
         });
}

int report(const Status& status) {
  if (status) return exit_done;
  std::cerr << "error: " << status.error().message() << "\n";
  return status.error().code() == ErrorCode::invalid_argument ? exit_wrong : exit_failed;
}

int certs(const CertsOptions& options) {
  if (!options.node.empty() && !is_node_name(options.node)) {
    std::cerr << "error: \"" << options.node
              << "\" cannot be a node's name: letters, digits, '-', '_' and '.', at most 64, and not \"ca\"\n";
    return exit_wrong;
  }
  if (options.node.empty() && !options.hosts.empty()) {
    std::cerr << "error: --host belongs to a node's certificate; name the node behind the folder\n";
    return exit_wrong;
  }
  std::error_code error;
  std::filesystem::create_directories(options.folder, error);
  if (error) {
    std::cerr << "error: cannot make the folder " << options.folder << ": " << error.message() << "\n";
    return exit_failed;
  }
  const CertificateFiles authority = authority_files(options.folder);
  if (options.node.empty() || !std::filesystem::exists(authority.certificate)) {
    const auto made = make_authority(authority, options.cluster + " cluster", from_now_for(authority_days));
    if (!made) return report(made);
    std::cout << "made " << authority.certificate.string() << " (give it to every node) and " << authority.key.string()
              << " (keep it to yourself)\n";
  }
  if (options.node.empty()) return exit_done;
  std::vector<std::string> hosts = options.hosts;
  for (const char* own : {"localhost", "127.0.0.1", "::1"}) {
    if (std::find(hosts.begin(), hosts.end(), own) == hosts.end()) hosts.emplace_back(own);
  }
  const CertificateFiles files = node_files(options.folder, options.node);
  const auto made = make_node_certificate(files, authority, options.node, hosts, from_now_for(options.days));
  if (!made) return report(made);
  std::cout << "made " << files.certificate.string() << " and " << files.key.string() << ", good for " << options.days
            << " days\n";
  return exit_done;
}

}  // namespace

void add_certs(CLI::App& app, Action& action) {
  auto options = std::make_shared<CertsOptions>();
  CLI::App& command =
      *app.add_subcommand("certs", "Make a cluster's certificate authority and its nodes' certificates");
  command.add_option("FOLDER", options->folder, "Where the authority's files are, or will be made")->required();
  command.add_option("NODE", options->node, "Make this node's certificate; without, the authority alone");
  command
      .add_option("--host", options->hosts, "A name or address under which the node is connected to; may be repeated")
      ->type_name("HOST")
      ->allow_extra_args(false);
  command.add_option("--days", options->days, "How long the node's certificate is good (365)")
      ->check(CLI::Range(1, 3650))
      ->type_name("N");
  command.add_option("--cluster", options->cluster, "The name in the authority's certificate (dataflow)")
      ->type_name("NAME");
  command.footer(
      "Makes FOLDER/ca.pem and ca-key.pem unless they are there, then FOLDER/NODE.pem and NODE-key.pem, all with mode\n"
      "0600. A node needs ca.pem and its own two files; ca-key.pem stays where certificates are made.\n\n"
      "Examples:\n  dfnode certs /etc/dataflow/certs node1 --host node1.example.org --host 10.0.0.1\n"
      "  dfnode certs /etc/dataflow/certs node2 --host 10.0.0.2 --days 90");
  command.callback([options, &action] { action = [options] { return certs(*options); }; });
}

}  // namespace dataflow::cli
