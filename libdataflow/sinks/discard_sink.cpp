#include "libdataflow/sinks/discard_sink.hpp"

#include "libdataflow/sinks/sink_types.hpp"

namespace dataflow {

namespace {

class DiscardSink final : public Operator {
 public:
  Result<Step> process(std::size_t, const BatchPtr&, OperatorOutput&) override { return Step::done; }
};

class DiscardSinkFactory final : public OperatorFactory {
 public:
  [[nodiscard]] std::unique_ptr<Operator> create() const override { return std::make_unique<DiscardSink>(); }
};

}  // namespace

OperatorFactoryPtr make_discard_sink() {
  return std::make_shared<DiscardSinkFactory>();
}

NodeType discard_sink_type() {
  return {.name = "discard",
          .role = NodeRole::sink,
          .summary = "Takes every row and forgets it; its count is shown like that of any node.",
          .example = "[sinks.nowhere]\ntype  = \"discard\"\ninput = \"readings\"\n",
          .build = [](NodeBuilder& builder) { builder.node().factory = make_discard_sink(); }};
}

}  // namespace dataflow
