#pragma once
// Stream graphs in a few lines for tests: nodes by name, edges by name.

#include <cassert>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "libdataflow/graph/stream_graph.hpp"
#include "libdataflow/runtime/collect_sink.hpp"

namespace dataflow::testing_support {

/// An operator from a function over each batch.
class LambdaOperator final : public Operator {
 public:
  using Body = std::function<Result<Step>(const BatchPtr&, OperatorOutput&)>;
  explicit LambdaOperator(Body body) : body_{std::move(body)} {}
  Result<Step> process(std::size_t, const BatchPtr& batch, OperatorOutput& out) override { return body_(batch, out); }

 private:
  Body body_;
};

/// A factory from a function that makes the operator.
class LambdaFactory final : public OperatorFactory {
 public:
  using Make = std::function<std::unique_ptr<Operator>()>;
  explicit LambdaFactory(Make make) : make_{std::move(make)} {}
  [[nodiscard]] std::unique_ptr<Operator> create() const override { return make_(); }

 private:
  Make make_;
};

inline OperatorFactoryPtr lambda_operator(LambdaOperator::Body body) {
  return std::make_shared<LambdaFactory>([body] { return std::make_unique<LambdaOperator>(body); });
}

inline OperatorFactoryPtr pass_through() {
  return lambda_operator([](const BatchPtr& batch, OperatorOutput& out) -> Result<Step> {
    out.emit(batch);
    return Step::done;
  });
}

class GraphBuilder {
 public:
  StreamGraph graph;

  StreamNode& source(const std::string& name, SchemaPtr schema, SourceFactoryPtr factory,
                     std::optional<EventTimeSpec> event_time = std::nullopt) {
    StreamNode& node = add(name, "source");
    node.source = SourceSpec{.factory = std::move(factory), .event_time = event_time};
    node.outputs = {{.schema = std::move(schema), .event_time = event_time.has_value()}};
    return node;
  }

  /// `inputs` are names of nodes whose main outputs are united.
  StreamNode& transform(const std::string& name, const std::vector<std::string>& inputs, OperatorFactoryPtr factory) {
    StreamNode& node = add(name, "test");
    connect(node, inputs);
    const StreamOutput& from = graph.nodes[node.inputs[0].from].outputs[0];
    node.outputs = {{.schema = from.schema, .event_time = from.event_time}};
    node.factory = std::move(factory);
    return node;
  }

  /// A sink that collects; read it after the run.
  std::shared_ptr<Collected> collect(const std::string& name, const std::vector<std::string>& inputs) {
    auto collected = std::make_shared<Collected>();
    sink(name, inputs, make_collect_sink(collected));
    return collected;
  }

  StreamNode& sink(const std::string& name, const std::vector<std::string>& inputs, OperatorFactoryPtr factory) {
    StreamNode& node = add(name, "sink");
    connect(node, inputs);
    node.factory = std::move(factory);
    return node;
  }

 private:
  StreamNode& add(const std::string& name, const std::string& type) {
    StreamNode& node = graph.nodes.emplace_back();
    node.id = static_cast<NodeId>(graph.nodes.size() - 1);
    node.name = node.uid = name;
    node.type = type;
    return node;
  }

  void connect(StreamNode& node, const std::vector<std::string>& inputs) {
    for (const std::string& input : inputs) {
      const StreamNode* from = graph.find(input);
      assert(from != nullptr);
      node.inputs.push_back({.from = from->id, .partitioning = {}, .key_fields = {}});
    }
  }
};

}  // namespace dataflow::testing_support
