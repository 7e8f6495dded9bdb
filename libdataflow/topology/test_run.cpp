#include "libdataflow/topology/test_run.hpp"

#include <algorithm>
#include <cmath>

#include "libdataflow/runtime/collect_sink.hpp"
#include "libdataflow/runtime/local_executor.hpp"

namespace dataflow {

namespace {

/// Doubles that a person writes down are compared up to what summing in another order may change.
constexpr double relative_tolerance = 1e-9;

bool same_value(const Value& expected, const Value& actual) {
  const auto* a = std::get_if<double>(&expected);
  const auto* b = std::get_if<double>(&actual);
  if (a == nullptr || b == nullptr) return expected == actual;
  if (std::isnan(*a) || std::isnan(*b)) return std::isnan(*a) && std::isnan(*b);
  return std::abs(*a - *b) <= relative_tolerance * std::max({1.0, std::abs(*a), std::abs(*b)});
}

std::vector<std::vector<Value>> all_rows(const std::vector<BatchPtr>& batches) {
  std::vector<std::vector<Value>> rows;
  for (const BatchPtr& batch : batches) {
    for (std::uint32_t row = 0; row < batch->rows(); ++row) {
      std::vector<Value>& values = rows.emplace_back();
      for (const ColumnPtr& column : batch->columns()) values.push_back(column->value(row));
    }
  }
  return rows;
}

std::string row_json(const Schema& schema, const std::vector<Value>& row, const std::vector<std::size_t>& fields) {
  std::string out = "{";
  for (const std::size_t field : fields) {
    if (out.size() > 1) out += ',';
    append_json_string(schema[field].name, out);
    out += ':';
    append_json(schema[field].type, row[field], out);
  }
  return out + "}";
}

/// Pairs expected with actual rows so that as many as possible have a partner (Kuhn's algorithm): which fields are
/// compared differs between rows, so taking the first that fits could leave another without.
class RowMatcher {
 public:
  RowMatcher(const TestRows& expected, const std::vector<std::vector<Value>>& actual)
      : expected_{expected}, actual_{actual}, partner_of_actual_(actual.size()) {}

  /// For each actual row the expected row that it is.
  const std::vector<std::optional<std::size_t>>& match() {
    for (std::size_t i = 0; i < expected_.rows.size(); ++i) {
      tried_.assign(actual_.size(), false);
      find_partner(i);
    }
    return partner_of_actual_;
  }

  [[nodiscard]] bool fits(std::size_t expected, std::size_t actual) const {
    const auto& fields = expected_.named_fields[expected];
    return std::all_of(fields.begin(), fields.end(), [&](std::size_t field) {
      return same_value(expected_.rows[expected][field], actual_[actual][field]);
    });
  }

 private:
  bool find_partner(std::size_t expected) {
    for (std::size_t actual = 0; actual < actual_.size(); ++actual) {
      if (partner_of_actual_[actual] || !fits(expected, actual)) continue;
      partner_of_actual_[actual] = expected;
      return true;
    }
    for (std::size_t actual = 0; actual < actual_.size(); ++actual) {
      if (tried_[actual] || !fits(expected, actual)) continue;
      tried_[actual] = true;
      const std::optional<std::size_t> partner = partner_of_actual_[actual];
      if (partner && !find_partner(*partner)) continue;
      partner_of_actual_[actual] = expected;
      return true;
    }
    return false;
  }

  const TestRows& expected_;
  const std::vector<std::vector<Value>>& actual_;
  std::vector<std::optional<std::size_t>> partner_of_actual_;
  std::vector<bool> tried_;
};

bool in_order(const TestRows& expected, const std::vector<std::vector<Value>>& actual, const RowMatcher& matcher) {
  if (expected.rows.size() != actual.size()) return true;  // rows that lack or are too many say it
  for (std::size_t i = 0; i < actual.size(); ++i)
    if (!matcher.fits(i, i)) return false;
  return true;
}

}  // namespace

NodeComparison compare_rows(const TestRows& expected, const std::vector<BatchPtr>& batches, const Schema& schema,
                            bool ordered) {
  NodeComparison result;
  result.node = expected.shown_name;
  const auto actual = all_rows(batches);
  RowMatcher matcher{expected, actual};
  const auto& partners = matcher.match();
  std::vector<bool> found(expected.rows.size(), false);
  std::vector<std::size_t> every_field(schema.size());
  for (std::size_t i = 0; i < every_field.size(); ++i) every_field[i] = i;
  for (std::size_t row = 0; row < actual.size(); ++row) {
    if (const std::optional<std::size_t> partner = partners[row]) {
      found[*partner] = true;
      result.matched.push_back(row_json(schema, actual[row], expected.named_fields[*partner]));
    } else {
      result.unexpected.push_back(row_json(schema, actual[row], every_field));
    }
  }
  for (std::size_t i = 0; i < found.size(); ++i)
    if (!found[i]) result.missing.push_back(row_json(schema, expected.rows[i], expected.named_fields[i]));
  result.order_differs =
      ordered && result.missing.empty() && result.unexpected.empty() && !in_order(expected, actual, matcher);
  return result;
}

bool TestOutcome::passed() const {
  return !error && std::all_of(comparisons.begin(), comparisons.end(),
                               [](const NodeComparison& comparison) { return comparison.passed(); });
}

TestOutcome run_topology_test(const Topology& topology, const TopologyTest& test) {
  TestOutcome outcome;
  std::vector<std::shared_ptr<Collected>> collected;
  auto graph = test_graph(topology.graph, test, collected);
  if (!graph) {
    outcome.error = graph.error();
    return outcome;
  }
  auto executor = LocalExecutor::create(std::move(*graph));
  const Status ran = executor ? (*executor)->run() : Status{fail(executor.error())};
  if (!ran) {
    outcome.error = Error{ran.error().code(), topology.secrets.redact(ran.error().message())};
    return outcome;
  }
  for (std::size_t i = 0; i < test.expect.size(); ++i) {
    const TestRows& expected = test.expect[i];
    const SchemaPtr& schema = topology.graph.find(expected.node)->outputs[expected.output].schema;
    outcome.comparisons.push_back(compare_rows(expected, collected[i]->batches, *schema, test.ordered));
  }
  return outcome;
}

}  // namespace dataflow
