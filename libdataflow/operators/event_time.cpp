#include "libdataflow/operators/event_time.hpp"

#include <utility>

#include "libdataflow/operators/event_time_pieces.hpp"

namespace dataflow {

namespace {

class EventTimeOperator final : public Operator {
 public:
  explicit EventTimeOperator(const EventTimeOperatorSpec& spec) : spec_{spec}, pieces_{spec.out_of_orderness} {}

  Status open(OperatorContext& context) override {
    context_ = &context;
    last_record_ = context.now();
    return {};
  }

  [[nodiscard]] bool makes_watermarks() const override { return true; }

  Result<Step> process(std::size_t, const BatchPtr& batch, OperatorOutput& out) override {
    last_record_ = context_->now();
    if (std::exchange(idle_, false)) out.set_idle(false);
    const ColumnPtr& times = batch->columns()[spec_.field];
    if (times->has_nulls()) return fail(missing_time(*batch, *times));
    pieces_.add(std::make_shared<const Batch>(batch->schema(), batch->rows(), batch->columns(), times, batch->kinds()));
    return resume(out);
  }

  Result<Step> resume(OperatorOutput& out) override {
    while (!pieces_.empty()) {
      if (out.full()) return Step::yield;
      EventTimePieces::Piece piece = pieces_.take();
      out.emit(std::move(piece.batch));
      if (piece.watermark > watermark_) {
        watermark_ = piece.watermark;
        out.advance_watermark(watermark_);
      }
    }
    return Step::done;
  }

  [[nodiscard]] std::optional<Timestamp> next_processing_timer() const override {
    if (!spec_.idle_after || idle_) return std::nullopt;
    return last_record_ + *spec_.idle_after;
  }

  Result<Step> on_processing_time(Timestamp, OperatorOutput& out) override {
    idle_ = true;
    out.set_idle(true);
    return Step::done;
  }

 private:
  [[nodiscard]] Error missing_time(const Batch& batch, const Column& times) const {
    std::uint32_t row = 0;
    while (!times.is_null(row)) ++row;
    std::string message = "the event time \"" + (*batch.schema())[spec_.field].name + "\" is NULL in ";
    append_row_json(batch, row, message);
    return {ErrorCode::malformed_data, std::move(message)};
  }

  EventTimeOperatorSpec spec_;
  EventTimePieces pieces_;
  OperatorContext* context_ = nullptr;
  Timestamp watermark_ = Timestamp::min();  ///< last one given out
  Timestamp last_record_{};                 ///< processing time
  bool idle_ = false;
};

class EventTimeFactory final : public OperatorFactory {
 public:
  explicit EventTimeFactory(const EventTimeOperatorSpec& spec) : spec_{spec} {}
  [[nodiscard]] std::unique_ptr<Operator> create() const override { return std::make_unique<EventTimeOperator>(spec_); }
  [[nodiscard]] std::optional<FieldUse> field_use() const override {
    return FieldUse{.reads = {spec_.field}, .passing_outputs = {0}};
  }

 private:
  EventTimeOperatorSpec spec_;
};

}  // namespace

OperatorFactoryPtr make_event_time_operator(EventTimeOperatorSpec spec) {
  return std::make_shared<EventTimeFactory>(spec);
}

}  // namespace dataflow
