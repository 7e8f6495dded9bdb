#include "actors/cluster/endpoint.hpp"

#include <charconv>

namespace dataflow {

Result<Endpoint> parse_endpoint(std::string_view text) {
  const auto wrong = [&] { return fail(ErrorCode::invalid_argument, "\"" + std::string{text} + "\" is no HOST:PORT"); };
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return wrong();
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  if (host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  Endpoint endpoint{std::string{host}, 0};
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), endpoint.port);
  if (host.empty() || error != std::errc{} || end != port.data() + port.size()) return wrong();
  return endpoint;
}

}  // namespace dataflow
