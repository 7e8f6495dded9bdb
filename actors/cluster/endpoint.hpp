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
  [[nodiscard]] std::string text() const { return host + ":" + std::to_string(port); }
};

/// Errors: invalid_argument. "localhost:6123", "10.0.0.2:0", "[::1]:6123".
Result<Endpoint> parse_endpoint(std::string_view text);

}  // namespace dataflow
