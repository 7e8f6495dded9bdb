#pragma once
// A `pattern` node run by hand, over rows { key, kind, v, t } whose event time t counts microseconds:
//
//   Matching matching{{.pattern = "small+ large", .define = "small = \"v < 10\", large = \"v > 50\"",
//                      .measures = "n = \"count()\""}};
//   matching.push({{"x", "", 1, 0}, {"x", "", 60, 5}});
//   matching.watermark(5);
//   CHECK(matching.results() == "x 2");                      // key, measures; rows separated by "; "

#include <doctest/doctest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "libdataflow/include/dataflow/testing.hpp"
#include "libdataflow/patterns/pattern_spec.hpp"
#include "libdataflow/state/state_backend.hpp"
#include "libdataflow/topology/topology.hpp"
#include "tests/unit/windows/windowing.hpp"

namespace dataflow::pattern_tests {

/// The options of a node, as TOML.
struct Node {
  std::string pattern;
  std::string define;
  std::string measures = R"t(n = "count()", first = "first(v)", last = "last(v)")t";
  std::string within = "1000us";  ///< empty: left out
  std::string after_match;
  std::string key_by = "key";
  std::string more;  ///< further lines
};

inline std::string to_toml(const Node& node) {
  std::string text = R"toml(parallelism = 1
[sources.rows]
type = "collection"
schema = { key = "string", kind = "string", v = "int64", t = "timestamp" }
rows = []
event_time = { field = "t" }
[operators.x]
type = "pattern"
input = "rows"
)toml";
  if (!node.key_by.empty()) text += "key_by = [\"" + node.key_by + "\"]\n";
  text +=
      "pattern = \"" + node.pattern + "\"\ndefine = { " + node.define + " }\nmeasures = { " + node.measures + " }\n";
  if (!node.within.empty()) text += "within = \"" + node.within + "\"\n";
  if (!node.after_match.empty()) text += "after_match = \"" + node.after_match + "\"\n";
  return text + node.more + "\n[sinks.out]\ntype = \"discard\"\ninput = \"x\"\n";
}

inline std::string mistakes(const Node& node) {
  std::string all;
  for (const Diagnostic& d : parse_topology(to_toml(node), "job.toml", "/").diagnostics) {
    if (!all.empty()) all += "\n";
    all += d.message + (d.suggestion.empty() ? "" : " | " + d.suggestion);
  }
  return all;
}

/// The node of the topology, whose operator is to be made.
inline StreamNode node_of(const Node& node) {
  const LoadedTopology loaded = parse_topology(to_toml(node), "job.toml", "/");
  if (!loaded.topology) FAIL(mistakes(node));
  return *loaded.topology->graph.find("x");
}

/// What came out at each output.
class Outputs final : public OperatorOutput {
 public:
  void emit(BatchPtr batch, std::size_t output) override { batches[output].push_back(std::move(batch)); }
  [[nodiscard]] bool full() const override { return always_full; }

  bool always_full = false;
  std::vector<BatchPtr> batches[4];
};

struct Input {
  std::optional<std::string> key;
  std::string kind;
  std::optional<std::int64_t> v;
  std::int64_t time = 0;
};

inline const SchemaPtr& input_schema() {
  static const SchemaPtr schema = make_schema(
      {{"key", TypeKind::string}, {"kind", TypeKind::string}, {"v", TypeKind::int64}, {"t", TypeKind::timestamp}});
  return schema;
}

inline BatchPtr batch_of(const std::vector<Input>& rows) {
  BatchBuilder builder{input_schema()};
  for (const Input& row : rows) {
    const std::vector<Value> values{row.key ? Value{*row.key} : Value{}, row.kind, row.v ? Value{*row.v} : Value{},
                                    row.time};
    builder.append_row(values, Timestamp{row.time});
  }
  return builder.finish();
}

class Matching {
 public:
  /// Without a backend state is on the heap.
  explicit Matching(const Node& node, StateBackendPtr backend = nullptr)
      : Matching{node_of(node).factory, std::move(backend)} {}
  explicit Matching(OperatorFactoryPtr factory, StateBackendPtr backend = nullptr)
      : factory_{std::move(factory)}, operator_{factory_->create()} {
    context.backend = std::move(backend);
    REQUIRE(operator_->open(context).has_value());
  }

  window_tests::Context context;
  Outputs out;

  void push(const std::vector<Input>& rows) { push(batch_of(rows)); }
  void push(const BatchPtr& batch) { finish(operator_->process(0, batch, out)); }
  /// Rows of key "x" whose kinds are the letters, one each microsecond from `time` on, and whose v is their number.
  void push_kinds(const std::string& kinds, std::int64_t time = 1) {
    std::vector<Input> rows;
    for (std::size_t i = 0; i < kinds.size(); ++i) {
      const auto number = time + static_cast<std::int64_t>(i);
      rows.push_back({"x", std::string(1, kinds[i]), number, number});
    }
    push(rows);
  }
  void watermark(std::int64_t time) {
    context.event_time = Timestamp{time};
    finish(operator_->on_watermark(Timestamp{time}, out));
  }
  void drain() { watermark(Timestamp::max().micros); }
  [[nodiscard]] Error error_of_watermark(std::int64_t time) {
    const auto step = operator_->on_watermark(Timestamp{time}, out);
    REQUIRE_FALSE(step.has_value());
    return step.error();
  }

  std::string save() { return testing::save_state(*operator_); }
  /// Goes on from a snapshot, in an operator of its own.
  void restore(const std::string& saved) {
    operator_ = factory_->create();
    REQUIRE(operator_->open(context).has_value());
    testing::load_state(*operator_, saved);
  }

  /// Since the last call.
  std::string results() { return taken(patterns::pattern_main_output); }
  std::string timeouts() { return taken(patterns::pattern_timeout_output); }
  std::string late() { return taken(patterns::pattern_late_output); }
  /// Event times of the results so far.
  [[nodiscard]] std::vector<std::int64_t> event_times(std::size_t output = 0) const {
    std::vector<std::int64_t> times;
    for (const BatchPtr& batch : out.batches[output]) {
      for (const std::int64_t time : testing_support::event_times_of(*batch)) times.push_back(time);
    }
    return times;
  }
  std::uint64_t counted(const std::string& what) { return context.counter(what).value(); }

 private:
  std::string taken(std::size_t output) { return window_tests::to_text(std::exchange(out.batches[output], {})); }
  void finish(Result<Step> step) {
    while (step && *step == Step::yield) step = operator_->resume(out);
    if (!step) FAIL(step.error().message());
  }

  OperatorFactoryPtr factory_;
  std::unique_ptr<Operator> operator_;
};

/// The results of a pattern over rows given as letters; `define` has a variable for each letter of `kinds`.
inline std::string matches(const std::string& pattern, const std::string& letters, const std::string& after_match = "",
                           const std::string& variables = "abc") {
  Node node{.pattern = pattern, .define = "", .after_match = after_match};
  for (const char c : variables) {
    if (pattern.find(c) == std::string::npos) continue;
    node.define += (node.define.empty() ? "" : ", ") + std::string(1, c) + " = \"kind = '" + c + "'\"";
  }
  node.measures = R"t(rows = "CAST(first(v) AS string) || '-' || CAST(last(v) AS string)")t";
  node.key_by = "";
  Matching matching{node};
  matching.push_kinds(letters);
  matching.drain();
  return matching.results();
}

}  // namespace dataflow::pattern_tests
