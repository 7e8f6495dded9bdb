#pragma once
// HOST:PORT as people write it.

#include <cstdint>
#include <string>
#include <string_view>

#include "serialization/result.hpp"

namespace dataflow {

struct Endpoint {
  std::string host;
  std::uint16_t port = 0;
  /// As parse_endpoint reads it.
  [[nodiscard]] std::string text() const;
};

/// Errors: invalid_argument. "localhost:6123", "10.0.0.2:0", "[::1]:6123".
Result<Endpoint> parse_endpoint(std::string_view text);
/// The port may be missing, and is `port` then: "node2.example.org", "::1". Errors: invalid_argument.
Result<Endpoint> parse_endpoint(std::string_view text, std::uint16_t port);

}  // namespace dataflow
