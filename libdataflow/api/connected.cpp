// Streams with and without event time side by side.

#include "dataflow/plan.hpp"

namespace dataflow {

namespace {

/// Says of its stream, which has no event time, that nobody needs to wait for it.
class NoTime final : public Operator {
 public:
  Status open(OperatorContext& context) override {
    begun_ = context.now();
    return {};
  }
  [[nodiscard]] bool makes_watermarks() const override { return true; }
  Result<Step> process(std::size_t, const BatchPtr& batch, OperatorOutput& out) override {
    out.emit(batch);
    return Step::done;
  }
  [[nodiscard]] std::optional<Timestamp> next_processing_timer() const override {
    return said_ ? std::nullopt : std::optional{begun_};
  }
  Result<Step> on_processing_time(Timestamp, OperatorOutput& out) override {
    said_ = true;
    out.set_idle(true);
    return Step::done;
  }

 private:
  Timestamp begun_;
  bool said_ = false;
};

class NoTimeFactory final : public OperatorFactory {
 public:
  [[nodiscard]] std::unique_ptr<Operator> create() const override { return std::make_unique<NoTime>(); }
  [[nodiscard]] std::optional<FieldUse> field_use() const override {
    return FieldUse{.reads = {}, .passing_outputs = {0}};
  }
};

void without_time(Plan& plan, StreamInfo& stream, const Plan::Place& where) {
  const StreamInfo given = stream;
  StreamInfo behind = stream;
  behind.partitioning.reset();
  NodeDraft draft{.type = "no_time", .factory = std::make_shared<NoTimeFactory>()};
  draft.outputs = {{.name = {}, .schema = stream.schema, .event_time = false, .changelog = stream.changelog}};
  stream = plan.stream_of(plan.add(std::move(draft), &behind, where));
  stream.partitioning = given.partitioning;
  stream.key_fields = given.key_fields;
}

}  // namespace

void free_time_of_connected(Plan& plan, StreamInfo& first, StreamInfo& second, const Plan::Place& where) {
  if (first.event_time == second.event_time) return;
  without_time(plan, first.event_time ? second : first, where);
}

}  // namespace dataflow
