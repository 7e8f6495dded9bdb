#pragma once
// A cluster's own certificate authority and the certificates of its nodes, for mutual TLS: X.509, keys on the curve
// P-256. Who holds the authority's key decides who belongs to the cluster; nodes need only its certificate.

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "actors/exchange/tls_settings.hpp"
#include "serialization/result.hpp"

namespace dataflow {

/// When a certificate is good.
struct Validity {
  std::chrono::system_clock::time_point from;
  std::chrono::system_clock::time_point until;
};

/// The two files of a certificate. Both are made with mode 0600, and never over a file that is there.
struct CertificateFiles {
  std::filesystem::path certificate;
  std::filesystem::path key;
};

/// `folder`/ca.pem and ca-key.pem.
CertificateFiles authority_files(const std::filesystem::path& folder);
/// `folder`/NODE.pem and NODE-key.pem.
CertificateFiles node_files(const std::filesystem::path& folder, const std::string& node);

/// Makes an authority with the common name `name`. Errors: invalid_argument when a file is there, io.
Status make_authority(const CertificateFiles& files, const std::string& name, const Validity& validity);

/// Makes the certificate of the node `name`, good for connecting from and to it under each of `hosts`: names ("*" may
/// stand for the first label) or addresses. Errors: invalid_argument for a host that is neither, for an authority whose
/// files cannot be used, when a file is there; io.
Status make_node_certificate(const CertificateFiles& files, const CertificateFiles& authority, const std::string& name,
                             const std::vector<std::string>& hosts, const Validity& validity);

}  // namespace dataflow
