#pragma once
// The files of mutual TLS, for the data plane and for the control plane alike. `dfnode certs` makes them.

#include <filesystem>

namespace dataflow {

/// PEM files. A peer must show a certificate that this authority signed.
struct TlsSettings {
  std::filesystem::path ca;           ///< the cluster's authority
  std::filesystem::path certificate;  ///< this node's, signed by it
  std::filesystem::path key;          ///< its private key
};

}  // namespace dataflow
