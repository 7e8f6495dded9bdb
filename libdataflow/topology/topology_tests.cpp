#include "libdataflow/topology/topology_tests.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "libdataflow/topology/did_you_mean.hpp"
#include "libdataflow/topology/file_node_builder.hpp"

namespace dataflow {

namespace {

using Kind = TomlValue::Kind;

tl::unexpected<Error> not_a(const DataType& type, const TomlValue& literal) {
  return fail(ErrorCode::invalid_argument,
              "expected " + to_string(type) + ", this is " + std::string{describe(literal.kind)});
}

/// `12.5` or `"12.5"` as an integer scaled by 10^scale; more digits than the scale has are refused.
Result<Value> decimal_literal(const TomlValue& literal, const DataType& type) {
  std::string text = literal.text;
  if (literal.kind == Kind::integer) text = std::to_string(literal.integer);
  if (literal.kind == Kind::number) append_json_double(literal.number, text = {});
  const bool negative = !text.empty() && text[0] == '-';
  std::string digits = text.substr(negative ? 1 : 0);
  const std::size_t point = std::min(digits.find('.'), digits.size());
  std::string fraction = point < digits.size() ? digits.substr(point + 1) : "";
  while (!fraction.empty() && fraction.back() == '0') fraction.pop_back();
  digits = digits.substr(0, point);
  if (fraction.size() > type.scale() || digits.empty() || digits.size() + type.scale() > type.precision() + 1U)
    return fail(ErrorCode::invalid_argument, text + " does not fit into " + to_string(type));
  fraction.resize(type.scale(), '0');
  digits += fraction;
  std::int64_t unscaled = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), unscaled);
  if (error != std::errc{} || end != digits.data() + digits.size()) return not_a(type, literal);
  return Value{negative ? -unscaled : unscaled};
}

Result<Value> timestamp_literal(const TomlValue& literal, const DataType& type) {
  if (literal.kind != Kind::text && literal.kind != Kind::datetime) return not_a(type, literal);
  const auto time = parse_iso8601(literal.text);
  if (!time) return fail(time.error());
  return Value{time->micros};
}

class TestsReader {
 public:
  TestsReader(const StreamGraph& graph, std::vector<Diagnostic>& diagnostics)
      : graph_{graph}, diagnostics_{diagnostics} {}

  TopologyTest read(const TomlValue& table) {
    TopologyTest test;
    test.place = table.place.span;
    for (const TomlMember& member : table.members) {
      const TomlValue& value = member.value;
      if (member.key == "name") {
        if (check_kind(member, Kind::text)) test.name = value.text;
      } else if (member.key == "ordered") {
        if (check_kind(member, Kind::boolean)) test.ordered = value.boolean;
      } else if (member.key == "given") {
        if (check_kind(member, Kind::table)) read_nodes(value, test.given);
      } else if (member.key == "expect") {
        if (check_kind(member, Kind::table)) read_nodes(value, test.expect);
      } else {
        error(member.key_place, "unknown key \"" + member.key + "\" in a test",
              did_you_mean(member.key, {"name", "given", "expect", "ordered"}));
      }
    }
    if (!table.find("name")) error(table.place, "a test needs a name", "name = \"what it shows\"");
    if (!table.find("expect")) error(table.place, "a test needs something to expect", "expect.NODE = [ { ... } ]");
    return test;
  }

 private:
  void error(const SourceSpan& place, std::string message, std::string suggestion = {}) {
    diagnostics_.push_back(diagnose(Severity::error, place, std::move(message), std::move(suggestion)));
  }

  bool check_kind(const TomlMember& member, Kind kind) {
    if (member.value.kind == kind) return true;
    error(member.value.place, "\"" + member.key + "\" of a test must be " + std::string{describe(kind)} + ", not " +
                                  std::string{describe(member.value.kind)});
    return false;
  }

  /// `given.daily = [...]`, `given."daily.late" = [...]` and `given.daily.late = [...]`.
  void read_nodes(const TomlValue& table, std::vector<TestRows>& out) {
    for (const TomlMember& member : table.members) {
      if (member.value.kind == Kind::table) {
        for (const TomlMember& output : member.value.members)
          read_rows(member.key + "." + output.key, output, member.key_place, out);
      } else {
        read_rows(member.key, member, member.key_place, out);
      }
    }
  }

  void read_rows(const std::string& shown_name, const TomlMember& member, const SourceSpan& place,
                 std::vector<TestRows>& out) {
    TestRows rows;
    rows.shown_name = shown_name;
    rows.node = shown_name.substr(0, shown_name.find('.'));
    const StreamOutput* output = find_output(rows, place);
    if (output == nullptr) return;
    if (member.value.kind != Kind::array) {
      return error(member.value.place,
                   "\"" + shown_name + "\" must be an array of rows, not " + std::string{describe(member.value.kind)});
    }
    for (const TomlValue& item : member.value.items) {
      if (item.kind != Kind::table) {
        error(item.place, "a row must be a table such as { field = value }, not " + std::string{describe(item.kind)});
        continue;
      }
      read_row(item, *output->schema, rows);
    }
    out.push_back(std::move(rows));
  }

  const StreamOutput* find_output(TestRows& rows, const SourceSpan& place) {
    const StreamNode* node = graph_.find(rows.node);
    if (node == nullptr) {
      std::vector<std::string> names;
      for (const StreamNode& known : graph_.nodes)
        if (!known.is_sink()) names.push_back(known.name);
      error(place, "no node \"" + rows.node + "\"", did_you_mean(rows.node, names));
      return nullptr;
    }
    if (node->is_sink()) {
      error(place, "\"" + rows.node + "\" is a sink: nothing comes out of it", "name the node that it reads");
      return nullptr;
    }
    const std::size_t dot = rows.shown_name.find('.');
    const std::string output = dot == std::string::npos ? "" : rows.shown_name.substr(dot + 1);
    for (std::size_t i = 0; i < node->outputs.size(); ++i) {
      if (node->outputs[i].name != output) continue;
      rows.output = i;
      return &node->outputs[i];
    }
    std::vector<std::string> names;
    for (const StreamOutput& known : node->outputs)
      if (!known.name.empty()) names.push_back(rows.node + "." + known.name);
    error(place, "\"" + rows.node + "\" has no output \"" + output + "\"", did_you_mean(rows.shown_name, names));
    return nullptr;
  }

  void read_row(const TomlValue& row, const Schema& schema, TestRows& rows) {
    std::vector<Value> values(schema.size());
    std::vector<std::size_t> named;
    for (const TomlMember& member : row.members) {
      const auto index = schema.find(member.key);
      if (!index) {
        error(member.key_place, "no column \"" + member.key + "\" in \"" + rows.shown_name + "\"",
              did_you_mean(member.key, field_names(schema)));
        continue;
      }
      auto value = typed_literal(member.value, schema[*index].type);
      if (!value) {
        error(member.value.place, "\"" + member.key + "\": " + value.error().message());
        continue;
      }
      values[*index] = std::move(*value);
      named.push_back(*index);
    }
    std::sort(named.begin(), named.end());
    rows.rows.push_back(std::move(values));
    rows.named_fields.push_back(std::move(named));
    rows.places.push_back(row.place.span);
  }

  const StreamGraph& graph_;
  std::vector<Diagnostic>& diagnostics_;
};

}  // namespace

Result<Value> typed_literal(const TomlValue& literal, const DataType& type) {
  switch (type.kind()) {
    case TypeKind::boolean:
      if (literal.kind != Kind::boolean) return not_a(type, literal);
      return Value{literal.boolean};
    case TypeKind::int32:
      if (literal.kind != Kind::integer) return not_a(type, literal);
      if (literal.integer < std::numeric_limits<std::int32_t>::min() ||
          literal.integer > std::numeric_limits<std::int32_t>::max())
        return fail(ErrorCode::invalid_argument, std::to_string(literal.integer) + " does not fit into int32");
      return Value{literal.integer};
    case TypeKind::int64:
      if (literal.kind != Kind::integer) return not_a(type, literal);
      return Value{literal.integer};
    case TypeKind::float64:
      if (literal.kind == Kind::integer) return Value{static_cast<double>(literal.integer)};
      if (literal.kind != Kind::number) return not_a(type, literal);
      return Value{literal.number};
    case TypeKind::decimal:
      if (literal.kind != Kind::integer && literal.kind != Kind::number && literal.kind != Kind::text)
        return not_a(type, literal);
      return decimal_literal(literal, type);
    case TypeKind::string:
    case TypeKind::bytes:
      if (literal.kind != Kind::text) return not_a(type, literal);
      return Value{literal.text};
    case TypeKind::timestamp: return timestamp_literal(literal, type);
    case TypeKind::array:
    case TypeKind::map:
    case TypeKind::row: break;
  }
  return fail(ErrorCode::unsupported, "values of type " + to_string(type) + " cannot be written in a test yet");
}

std::vector<TopologyTest> read_tests(const TomlValue& root, const StreamGraph& graph,
                                     std::vector<Diagnostic>& diagnostics) {
  std::vector<TopologyTest> tests;
  const TomlMember* section = root.find_member("tests");
  if (section == nullptr) return tests;
  if (section->value.kind != Kind::array) {
    diagnostics.push_back(diagnose(Severity::error, section->key_place, "\"tests\" must be an array of tables",
                                   "write [[tests]] before each test"));
    return tests;
  }
  TestsReader reader{graph, diagnostics};
  for (const TomlValue& item : section->value.items) {
    if (item.kind == Kind::table) {
      tests.push_back(reader.read(item));
    } else {
      diagnostics.push_back(diagnose(Severity::error, item.place, "a test must be a table"));
    }
  }
  return tests;
}

}  // namespace dataflow
