// JSON in text columns, by simdjson's DOM. Paths are literals of the common subset of JSONPath:
// $ .name ['name'] [0].

#include <simdjson.h>

#include "libdataflow/expressions/cast.hpp"
#include "libdataflow/expressions/registry.hpp"
#include "libdataflow/expressions/rowwise.hpp"
#include "libdataflow/formats/field_text.hpp"
#include "libdataflow/formats/json_text.hpp"

namespace dataflow::expr {

namespace {

using Text = std::string_view;
using Bound = tl::expected<Kernel, ArgumentError>;
namespace dom = simdjson::dom;

struct Step {
  std::optional<std::size_t> index;  ///< of an array; else `name` of an object's member
  std::string name;
};
using Path = std::vector<Step>;

/// `rest` starts at the bracket.
std::optional<Step> bracket(Text& rest) {
  rest.remove_prefix(1);
  if (rest.empty()) return std::nullopt;
  const char quote = rest[0];
  if (quote == '\'' || quote == '"') {
    const std::size_t close = rest.find(quote, 1);
    if (close == Text::npos || close + 1 >= rest.size() || rest[close + 1] != ']') return std::nullopt;
    Step step{std::nullopt, std::string{rest.substr(1, close - 1)}};
    rest.remove_prefix(close + 2);
    return step;
  }
  std::size_t digits = 0;
  std::size_t index = 0;
  while (digits < rest.size() && digits < 9 && rest[digits] >= '0' && rest[digits] <= '9') {
    index = index * 10 + static_cast<std::size_t>(rest[digits++] - '0');
  }
  if (digits == 0 || digits == rest.size() || rest[digits] != ']') return std::nullopt;
  rest.remove_prefix(digits + 1);
  return Step{index, {}};
}

std::optional<Path> parse_path(Text rest) {
  if (!rest.starts_with('$')) return std::nullopt;
  rest.remove_prefix(1);
  Path path;
  while (!rest.empty()) {
    if (rest[0] == '[') {
      auto step = bracket(rest);
      if (!step) return std::nullopt;
      path.push_back(std::move(*step));
      continue;
    }
    if (rest[0] != '.') return std::nullopt;
    rest.remove_prefix(1);
    const std::size_t end = std::min(rest.find_first_of(".["), rest.size());
    if (end == 0 || rest.substr(0, end).find_first_of("*?@ ") != Text::npos) return std::nullopt;
    path.push_back({std::nullopt, std::string{rest.substr(0, end)}});
    rest.remove_prefix(end);
  }
  return path;
}

tl::expected<Path, ArgumentError> path_of(const Binding& call) {
  const auto text = call.constant_text(1);
  auto path = text ? parse_path(*text) : std::nullopt;
  if (path) return std::move(*path);
  return tl::unexpected(ArgumentError{1, "the path must be a literal such as '$.user.tags[0]' or '$[''a b'']'"});
}

/// What the path leads to; nothing when the text is no JSON or has no such place, or has `large_numbers`, which are to
/// be looked at by find_among_large_numbers. Valid until the next call.
std::optional<dom::element> find(Text json, const Path& path, bool& large_numbers) {
  thread_local dom::parser parser;
  dom::element at;
  const auto error = parser.parse(json.data(), json.size(), true).get(at);
  large_numbers = error == simdjson::NUMBER_ERROR;
  if (error != simdjson::SUCCESS) return std::nullopt;
  for (const Step& step : path) {
    dom::element next;
    if (step.index) {
      dom::array array;
      if (at.get(array) != simdjson::SUCCESS || array.at(*step.index).get(next) != simdjson::SUCCESS)
        return std::nullopt;
    } else {
      dom::object object;
      if (at.get(object) != simdjson::SUCCESS || object.at_key(step.name).get(next) != simdjson::SUCCESS) {
        return std::nullopt;
      }
    }
    at = next;
  }
  return at;
}

/// Whether every number outside of strings is one by JSON's grammar, however large.
bool numbers_are_good(Text json) {
  bool in_string = false;
  for (std::size_t at = 0; at < json.size(); ++at) {
    const char c = json[at];
    if (in_string) {
      if (c == '\\') ++at;
      in_string = c != '"';
    } else if (c == '"') {
      in_string = true;
    } else if (c == '-' || dataflow::text::is_digit(c)) {
      const std::size_t end = std::min(json.find_first_of(",]} \t\r\n", at), json.size());
      if (!dataflow::text::is_json_number(json.substr(at, end - at))) return false;
      at = end - 1;
    }
  }
  return true;
}

/// What a path leads to in a text that has numbers beyond 64 bits, which simdjson's tree cannot hold.
struct FoundText {
  bool there = false;
  std::optional<std::string> scalar{};  ///< a number as it is written
};

FoundText find_among_large_numbers(Text json, const Path& path) {
  namespace ondemand = simdjson::ondemand;
  if (!numbers_are_good(json)) return {};
  thread_local ondemand::parser parser;
  const simdjson::padded_string text{json};
  ondemand::document document;
  ondemand::value at;
  if (parser.iterate(text).get(document) != simdjson::SUCCESS) return {};
  if (document.is_scalar().value_unsafe()) return {};  // one number alone: nothing is in it
  if (document.get_value().get(at) != simdjson::SUCCESS) return {};
  for (const Step& step : path) {
    ondemand::value next;
    const auto error = step.index ? at.get_array().at(*step.index).get(next)
                                  : at.get_object().find_field_unordered(step.name).get(next);
    if (error != simdjson::SUCCESS) return {};
    at = next;
  }
  FoundText found{.there = true};
  ondemand::json_type type{};
  if (at.type().get(type) != simdjson::SUCCESS) return {};
  if (type == ondemand::json_type::string) {
    std::string_view value;
    if (at.get_string().get(value) == simdjson::SUCCESS) found.scalar = value;
  } else if (type == ondemand::json_type::number || type == ondemand::json_type::boolean) {
    std::string_view token = at.raw_json_token();
    token = token.substr(0, token.find_last_not_of(" \t\r\n") + 1);
    found.scalar = token;
  }
  return found;
}

void append_scalar(TextResult& out, dom::element value) {
  switch (value.type()) {
    case dom::element_type::STRING: return out.append(value.get_string().value_unsafe());
    case dom::element_type::INT64: return out.append(std::to_string(value.get_int64().value_unsafe()));
    case dom::element_type::UINT64: return out.append(std::to_string(value.get_uint64().value_unsafe()));
    case dom::element_type::BOOL: return out.append(value.get_bool().value_unsafe() ? "true" : "false");
    case dom::element_type::DOUBLE: {
      std::string text;
      append_double(value.get_double().value_unsafe(), text);
      return out.append(text);
    }
    case dom::element_type::ARRAY:
    case dom::element_type::OBJECT:
    case dom::element_type::NULL_VALUE: break;
  }
  out.null();
}

Bound value(const Binding& call) {
  auto found = path_of(call);
  if (!found) return tl::unexpected(found.error());
  return text_rows<Text, Text>([path = std::move(*found)](TextResult& out, Text json, Text) {
    bool large_numbers = false;
    const auto element = find(json, path, large_numbers);
    if (element) return append_scalar(out, *element);
    const auto scalar = large_numbers ? find_among_large_numbers(json, path).scalar : std::nullopt;
    return scalar ? out.append(*scalar) : out.null();
  });
}

Bound exists(const Binding& call) {
  auto found = path_of(call);
  if (!found) return tl::unexpected(found.error());
  return try_rows<bool, Text, Text>([path = std::move(*found)](RowResult<bool>& out, Text json, Text) {
    bool large_numbers = false;
    const bool there = find(json, path, large_numbers).has_value();
    out.set(there || (large_numbers && find_among_large_numbers(json, path).there));
  });
}

}  // namespace

void add_json_functions(std::vector<Function>& table) {
  const std::vector<Parameter> parameters = {{"json", Accepts::string}, {"path", Accepts::string}};
  table.push_back(
      {"json_value",
       "json",
       "The string, number or bool at a path ($.a.b[0]) as text; NULL when there is none, when it is an array "
       "or object, or when the text is no JSON.",
       "json_value('{\"a\": [1, 2]}', '$.a[1]') = '2'",
       {{parameters, Kind::string, value}}});
  table.push_back({"json_exists",
                   "json",
                   "Whether the text is JSON that has something, even null, at the path.",
                   "json_exists('{\"a\": null}', '$.a')",
                   {{parameters, Kind::boolean, exists}}});
}

}  // namespace dataflow::expr
