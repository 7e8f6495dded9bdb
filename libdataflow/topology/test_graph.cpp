#include <algorithm>
#include <map>

#include "libdataflow/runtime/collect_sink.hpp"
#include "libdataflow/topology/test_run.hpp"
#include "serialization/builder.hpp"

namespace dataflow {

namespace {

/// Gives one row a batch, then ends.
class RowsReader final : public SourceReader {
 public:
  explicit RowsReader(const std::vector<BatchPtr>& batches) : batches_{batches} {}

  Status start_split(const Split&) override { return {}; }
  Result<SourceStep> poll(SourceOutput& out) override {
    if (next_ < batches_.size()) out.emit(batches_[next_++], "given");
    return SourceStep{next_ < batches_.size() ? SourceStep::Kind::more : SourceStep::Kind::split_end, {}};
  }
  [[nodiscard]] std::string position() const override { return "given row " + std::to_string(next_); }

 private:
  const std::vector<BatchPtr>& batches_;
  std::size_t next_ = 0;
};

class OneSplit final : public SplitEnumerator {
 public:
  Status open(std::uint32_t) override { return {}; }
  Result<Next> next(std::uint32_t, Timestamp) override {
    Next answer;
    answer.kind = given_ ? Next::Kind::done : Next::Kind::split;
    answer.split.id = "given";
    given_ = true;
    return answer;
  }

 private:
  bool given_ = false;
};

class RowsSource final : public SourceFactory {
 public:
  explicit RowsSource(std::vector<BatchPtr> batches) : batches_{std::move(batches)} {}
  [[nodiscard]] std::unique_ptr<SplitEnumerator> create_enumerator() const override {
    return std::make_unique<OneSplit>();
  }
  [[nodiscard]] std::unique_ptr<SourceReader> create_reader() const override {
    return std::make_unique<RowsReader>(batches_);
  }
  [[nodiscard]] bool bounded() const override { return true; }
  [[nodiscard]] std::optional<std::uint32_t> max_readers() const override { return 1; }

 private:
  std::vector<BatchPtr> batches_;
};

/// Where the event time of rows that replace an operator's output is: a field, and how much it lies behind.
struct EventTimeField {
  std::size_t field = 0;
  Duration behind{0};
};

class TestGraphBuilder {
 public:
  TestGraphBuilder(const StreamGraph& graph, const TopologyTest& test) : graph_{graph}, test_{test} {}

  Result<StreamGraph> build(std::vector<std::shared_ptr<Collected>>& collected) {
    result_.name = graph_.name;
    result_.settings = graph_.settings;
    result_.settings.parallelism = 1;
    for (const TestRows& given : test_.given)
      if (auto added = add_given(given); !added) return fail(added.error());
    const std::vector<bool> needed = needed_nodes();
    for (const StreamNode& node : graph_.nodes) {
      if (!needed[node.id]) continue;
      if (node.is_source()) {
        add_silent_source(node);
      } else {
        add_operator(node);
      }
    }
    for (const TestRows& expected : test_.expect) {
      collected.push_back(std::make_shared<Collected>());
      add_collector(expected, collected.back());
    }
    return std::move(result_);
  }

 private:
  using OutputKey = std::pair<NodeId, std::size_t>;

  StreamNode& add(StreamNode node) {
    node.id = static_cast<NodeId>(result_.nodes.size());
    node.parallelism = 1;
    return result_.nodes.emplace_back(std::move(node));
  }

  Status add_given(const TestRows& given) {
    const StreamNode& replaced = *graph_.find(given.node);
    const StreamOutput& output = replaced.outputs[given.output];
    const bool of_source = replaced.is_source() && given.output == 0;
    EventTimeField event_time;
    if (output.event_time && !of_source) {
      const auto found = event_time_field(replaced, *output.schema);
      if (!found) {
        return fail(ErrorCode::invalid_argument,
                    "given." + given.shown_name + ": the event time of its rows cannot be told; give a source instead");
      }
      event_time = *found;
    }
    std::vector<BatchPtr> batches;
    for (std::size_t i = 0; i < given.rows.size(); ++i) {
      BatchBuilder row{output.schema, 1};
      if (!output.event_time || of_source) {
        row.append_row(given.rows[i]);
      } else {
        const Value& time = given.rows[i][event_time.field];
        if (is_null(time)) {
          return fail(ErrorCode::invalid_argument, "given." + given.shown_name + ": row " + std::to_string(i + 1) +
                                                       " has no \"" + (*output.schema)[event_time.field].name +
                                                       "\", its event time");
        }
        row.append_row(given.rows[i], Timestamp{std::get<std::int64_t>(time)} - event_time.behind);
      }
      batches.push_back(row.finish());
    }
    StreamNode source = source_of(given.shown_name, output, std::move(batches));
    if (of_source && source.source && replaced.source) source.source->event_time = replaced.source->event_time;
    replacements_[{replaced.id, given.output}] = add(std::move(source)).id;
    return {};
  }

  static StreamNode source_of(std::string name, const StreamOutput& output, std::vector<BatchPtr> batches) {
    StreamNode source;
    source.name = std::move(name);
    source.uid = source.name;
    source.type = "given";
    source.outputs = {{"", output.schema, output.event_time, output.changelog}};
    source.source.emplace();
    source.source->factory = std::make_shared<RowsSource>(std::move(batches));
    return source;
  }

  /// A source that the test does not give: it has its outputs, and nothing comes.
  void add_silent_source(const StreamNode& node) {
    for (std::size_t output = 0; output < node.outputs.size(); ++output) {
      if (replacements_.count({node.id, output}) > 0) continue;
      const std::string name = node.name + (output == 0 ? "" : "." + node.outputs[output].name);
      replacements_[{node.id, output}] = add(source_of(name, node.outputs[output], {})).id;
    }
  }

  void add_operator(const StreamNode& node) {
    StreamNode copy = node;
    for (StreamEdge& edge : copy.inputs) redirect(edge);
    ids_[node.id] = add(std::move(copy)).id;
  }

  void add_collector(const TestRows& expected, const std::shared_ptr<Collected>& collected) {
    StreamNode sink;
    sink.name = "expect." + expected.shown_name;
    sink.uid = sink.name;
    sink.type = "collect";
    sink.factory = make_collect_sink(collected);
    StreamEdge edge;
    edge.from = graph_.find(expected.node)->id;
    edge.output = expected.output;
    redirect(edge);
    sink.inputs = {edge};
    add(std::move(sink));
  }

  void redirect(StreamEdge& edge) const {
    if (const auto replaced = replacements_.find({edge.from, edge.output}); replaced != replacements_.end()) {
      edge.from = replaced->second;
      edge.output = 0;
    } else {
      edge.from = ids_.at(edge.from);
    }
  }

  /// What stands between the given and the expected nodes, and the sources that are read beside the given ones.
  [[nodiscard]] std::vector<bool> needed_nodes() const {
    std::vector<bool> needed(graph_.nodes.size(), false);
    const auto need = [&](NodeId node, std::size_t output) {
      if (replacements_.count({node, output}) == 0) needed[node] = true;
    };
    for (const TestRows& expected : test_.expect) need(graph_.find(expected.node)->id, expected.output);
    for (auto node = graph_.nodes.rbegin(); node != graph_.nodes.rend(); ++node) {
      if (!needed[node->id]) continue;
      for (const StreamEdge& edge : node->inputs) need(edge.from, edge.output);
    }
    return needed;
  }

  /// A window's result has its end for its time; other operators keep their input's, so the source says the field.
  [[nodiscard]] std::optional<EventTimeField> event_time_field(const StreamNode& node, const Schema& schema) const {
    const auto timestamp_field = [&](std::string_view name) {
      const auto index = schema.find(name);
      return index && schema[*index].type.kind() == TypeKind::timestamp ? index : std::nullopt;
    };
    if (const auto window_end = timestamp_field("window_end")) return EventTimeField{*window_end, Duration{1}};
    const StreamNode* above = &node;
    while (!above->is_source() && !above->inputs.empty()) above = &graph_.nodes[above->inputs.front().from];
    const std::optional<SourceSpec>& spec = above->source;
    if (!spec || !spec->event_time || spec->event_time->expression) return std::nullopt;
    const Schema& read = *above->outputs.front().schema;
    if (const auto field = timestamp_field(read[spec->event_time->field].name))
      return EventTimeField{*field, Duration{0}};
    return std::nullopt;
  }

  const StreamGraph& graph_;
  const TopologyTest& test_;
  StreamGraph result_;
  std::map<OutputKey, NodeId> replacements_;  ///< outputs of the graph that sources of the result stand for
  std::map<NodeId, NodeId> ids_;              ///< of operators, in the result
};

}  // namespace

Result<StreamGraph> test_graph(const StreamGraph& graph, const TopologyTest& test,
                               std::vector<std::shared_ptr<Collected>>& collected) {
  return TestGraphBuilder{graph, test}.build(collected);
}

}  // namespace dataflow
