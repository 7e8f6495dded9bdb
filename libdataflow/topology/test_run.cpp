#include "libdataflow/topology/test_run.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <span>
#include <unordered_map>

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
  if (std::isinf(*a) || std::isinf(*b)) return *a == *b;
  return std::abs(*a - *b) <= relative_tolerance * std::max({1.0, std::abs(*a), std::abs(*b)});
}

using Rows = std::vector<std::vector<Value>>;

Rows all_rows(const std::vector<BatchPtr>& batches) {
  Rows rows;
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

/// Rows to be found by some of their fields: those that are equal in all but doubles, then those near in the first
/// double, so that a few are looked at and not all.
class RowIndex {
 public:
  struct Entry {
    double value;  ///< of the first double
    std::size_t row;
  };

  RowIndex(const Schema& schema, const std::vector<std::size_t>& fields, const Rows& rows) : schema_{schema} {
    for (const std::size_t field : fields) {
      const bool is_double = schema[field].type.kind() == TypeKind::float64;
      if (!is_double) equal_fields_.push_back(field);
      if (is_double && !double_field_) double_field_ = field;
    }
    for (std::size_t row = 0; row < rows.size(); ++row)
      groups_[row_json(schema, rows[row], equal_fields_)].push_back({double_of(rows[row]), row});
    for (auto& [key, group] : groups_) std::stable_sort(group.begin(), group.end(), before);
  }

  /// Those among which all rows are that `row` can be the same as.
  [[nodiscard]] std::span<const Entry> near(const std::vector<Value>& row) const {
    const auto group = groups_.find(row_json(schema_, row, equal_fields_));
    if (group == groups_.end()) return {};
    const double value = double_of(row);
    // Twice the tolerance, which is one of the larger of the two.
    const double reach = std::isinf(value) ? 0 : 2 * relative_tolerance * std::max(1.0, std::abs(value));
    const auto& entries = group->second;
    const auto from = std::lower_bound(entries.begin(), entries.end(), Entry{value - reach, 0}, before);
    const auto to = std::upper_bound(from, entries.end(), Entry{value + reach, 0}, before);
    return {from, to};
  }

 private:
  static bool before(const Entry& a, const Entry& b) { return a.value < b.value; }

  /// NULL and NaN, which have no order, lie together with 0.
  [[nodiscard]] double double_of(const std::vector<Value>& row) const {
    const auto* value = double_field_ ? std::get_if<double>(&row[*double_field_]) : nullptr;
    return value == nullptr || std::isnan(*value) ? 0 : *value;
  }

  const Schema& schema_;
  std::vector<std::size_t> equal_fields_;
  std::optional<std::size_t> double_field_;
  std::unordered_map<std::string, std::vector<Entry>> groups_;  ///< by the JSON of their equal fields
};

/// Pairs expected with actual rows so that as many as possible have a partner (Kuhn's algorithm): which fields are
/// compared differs between rows, so taking the first that fits could leave another without.
class RowMatcher {
 public:
  RowMatcher(const TestRows& expected, const Rows& actual, const Schema& schema)
      : expected_{expected},
        actual_{actual},
        partner_of_actual_(actual.size()),
        partner_of_expected_(expected.rows.size()),
        reached_from_(actual.size()) {
    for (const auto& fields : expected.named_fields) indices_.try_emplace(fields, schema, fields, actual);
  }

  /// For each actual row the expected row that it is.
  const std::vector<std::optional<std::size_t>>& match() {
    take_free_ones();
    for (std::size_t i = 0; i < expected_.rows.size(); ++i)
      if (!partner_of_expected_[i]) find_partner(i);
    return partner_of_actual_;
  }

  [[nodiscard]] bool fits(std::size_t expected, std::size_t actual) const {
    const auto& fields = expected_.named_fields[expected];
    return std::all_of(fields.begin(), fields.end(), [&](std::size_t field) {
      return same_value(expected_.rows[expected][field], actual_[actual][field]);
    });
  }

 private:
  [[nodiscard]] std::span<const RowIndex::Entry> candidates(std::size_t expected) const {
    return indices_.at(expected_.named_fields[expected]).near(expected_.rows[expected]);
  }

  void pair(std::size_t expected, std::size_t actual) {
    partner_of_actual_[actual] = expected;
    partner_of_expected_[expected] = actual;
  }

  /// Gives each expected row the first that fits and is free. Of many equal ones those in front are taken: where the
  /// last search among the same candidates ended, the next begins.
  void take_free_ones() {
    std::unordered_map<const RowIndex::Entry*, std::size_t> taken;
    for (std::size_t i = 0; i < expected_.rows.size(); ++i) {
      const auto near = candidates(i);
      std::size_t& front = taken[near.data()];
      while (front < near.size() && partner_of_actual_[near[front].row]) ++front;
      for (std::size_t at = front; at < near.size(); ++at) {
        if (partner_of_actual_[near[at].row] || !fits(i, near[at].row)) continue;
        pair(i, near[at].row);
        break;
      }
    }
  }

  /// Looks for a free row by way of rows whose partners can have another; then all move up by one.
  void find_partner(std::size_t expected) {
    std::vector<std::size_t> reached;
    std::vector<std::size_t> waiting{expected};
    for (std::size_t next = 0; next < waiting.size(); ++next) {
      for (const auto& [value, actual] : candidates(waiting[next])) {
        if (reached_from_[actual] || !fits(waiting[next], actual)) continue;
        reached_from_[actual] = waiting[next];
        reached.push_back(actual);
        if (!partner_of_actual_[actual]) {
          move_up(actual);
          for (const std::size_t row : reached) reached_from_[row].reset();
          return;
        }
        waiting.push_back(*partner_of_actual_[actual]);
      }
    }
    // From what was reached in vain no later search gets to a free row either: it stays marked.
  }

  void move_up(std::size_t free) {
    for (std::optional<std::size_t> actual = free; actual;) {
      const std::size_t expected = *reached_from_[*actual];
      const auto before = partner_of_expected_[expected];
      pair(expected, *actual);
      actual = before;
    }
  }

  const TestRows& expected_;
  const Rows& actual_;
  std::map<std::vector<std::size_t>, RowIndex> indices_;  ///< by the fields compared
  std::vector<std::optional<std::size_t>> partner_of_actual_;
  std::vector<std::optional<std::size_t>> partner_of_expected_;
  std::vector<std::optional<std::size_t>> reached_from_;  ///< of actual rows: which expected row came to it first
};

bool in_order(const TestRows& expected, const Rows& actual, const RowMatcher& matcher) {
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
  RowMatcher matcher{expected, actual, schema};
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
