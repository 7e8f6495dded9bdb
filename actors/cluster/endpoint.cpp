#include "actors/cluster/endpoint.hpp"

#include <algorithm>
#include <charconv>

namespace dataflow {

std::string Endpoint::text() const {
  const bool is_v6 = host.find(':') != std::string::npos;
  return (is_v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

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

Result<Endpoint> parse_endpoint(std::string_view text, std::uint16_t port) {
  const bool in_brackets = text.starts_with('[') && text.ends_with(']');
  const bool is_bare_v6 = !text.starts_with('[') && std::count(text.begin(), text.end(), ':') > 1;
  const bool has_port = !in_brackets && !is_bare_v6 && text.find(':') != std::string_view::npos;
  if (has_port) return parse_endpoint(text);
  if (in_brackets) text = text.substr(1, text.size() - 2);
  if (text.empty()) return fail(ErrorCode::invalid_argument, "the host is missing");
  return Endpoint{std::string{text}, port};
}

}  // namespace dataflow
