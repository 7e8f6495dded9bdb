#pragma once
// What all processes of a cluster agree on before they speak to each other.

#include <optional>
#include <string>

#include "actors/exchange/tls_settings.hpp"

namespace dataflow {

inline constexpr const char* default_cluster_name = "dataflow";

struct ControlSettings {
  std::string cluster = default_cluster_name;
  std::optional<TlsSettings> tls;  ///< nothing: plain TCP
  bool insecure = false;           ///< allows plain TCP on other than loopback addresses, where everybody is obeyed
};

}  // namespace dataflow
