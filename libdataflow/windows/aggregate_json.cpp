#include "libdataflow/windows/aggregate_json.hpp"

#include <array>

#include "libdataflow/windows/aggregation.hpp"

namespace dataflow::windows {

namespace {

constexpr std::string_view aggregate_prefix = "agg:";

/// "approx_percentile(price * 2, 0.99) FILTER (...)" becomes "approx_percentile(x, 0.99)": what remains is what decides
/// over the state's form, since records are not looked at any more.
std::optional<std::string> call_over_x(std::string_view call) {
  const std::size_t open = call.find('(');
  if (open == std::string_view::npos) return std::nullopt;
  int depth = 0;
  std::size_t close = open;
  std::size_t comma = std::string_view::npos;  // in front of the parameters
  for (bool quoted = false; close < call.size(); ++close) {
    const char c = call[close];
    if (c == '\'') quoted = !quoted;
    if (quoted) continue;
    if (c == '(') ++depth;
    if (c == ',' && depth == 1 && comma == std::string_view::npos) comma = close;
    if (c == ')' && --depth == 0) break;
  }
  if (close == call.size()) return std::nullopt;
  const std::string_view inside = call.substr(open + 1, close - open - 1);
  const std::size_t first = inside.find_first_not_of(" \t\n");
  std::string over{call.substr(0, open + 1)};
  if (first == std::string_view::npos || inside.substr(first, 1) == "*") return over + ")";
  constexpr std::string_view distinct = "distinct";
  const bool is_distinct =
      inside.size() > first + distinct.size() &&
      std::equal(distinct.begin(), distinct.end(), inside.begin() + static_cast<std::ptrdiff_t>(first),
                 [](char a, char b) { return a == std::tolower(static_cast<unsigned char>(b)); }) &&
      std::isspace(static_cast<unsigned char>(inside[first + distinct.size()])) != 0;
  over += is_distinct ? "distinct x" : "x";
  if (comma != std::string_view::npos) over += call.substr(comma, close - comma);
  return over + ")";
}

}  // namespace

std::optional<std::string> saved_aggregate_to_json(std::string_view column, std::string_view saved) {
  if (!column.starts_with(aggregate_prefix)) return std::nullopt;
  const auto call = call_over_x(column.substr(aggregate_prefix.size()));
  const auto type = Aggregation::saved_argument_type(saved);
  if (!call || !type) return std::nullopt;
  auto compiled = compile_aggregate(*call, Schema{{{"x", *type}}});
  if (!compiled || compiled->calls.size() != 1) return std::nullopt;
  Aggregation aggregation{{WindowAggregate{"value", std::move(*compiled)}}};
  std::vector<std::byte> states = aggregation.initial_states();
  std::optional<std::string> json;
  if (aggregation.load_only_call(saved, states.data())) {
    const auto results = aggregation.results(std::array<const std::byte*, 1>{states.data()}, Timestamp{});
    if (results.errors.empty()) append_json(*results.columns.front(), 0, json.emplace());
  }
  aggregation.release(states.data());
  return json;
}

}  // namespace dataflow::windows
