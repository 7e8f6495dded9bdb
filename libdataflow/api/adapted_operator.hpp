#pragma once
// A built-in operator whose main output is made into something else: the columns of a window's result in a record's
// order, the pairs of a join through a user's function.

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "libdataflow/operators/operator.hpp"

namespace dataflow {

/// What becomes of the batches of the main output. One per operator.
class BatchAdapter {
 public:
  virtual ~BatchAdapter() = default;
  virtual Result<BatchPtr> adapt(const BatchPtr& batch) = 0;
};

/// Everything but the main output passes.
class AdaptedOperator final : public Operator {
 public:
  AdaptedOperator(std::unique_ptr<Operator> inner, std::unique_ptr<BatchAdapter> adapter)
      : inner_{std::move(inner)}, out_{std::move(adapter)} {}

  Status open(OperatorContext& context) override { return inner_->open(context); }
  Result<Step> process(std::size_t input, const BatchPtr& batch, OperatorOutput& out) override {
    return out_.checked(inner_->process(input, batch, out_.before(out)));
  }
  Result<Step> on_watermark(Timestamp watermark, OperatorOutput& out) override {
    return out_.checked(inner_->on_watermark(watermark, out_.before(out)));
  }
  Result<Step> on_processing_time(Timestamp now, OperatorOutput& out) override {
    return out_.checked(inner_->on_processing_time(now, out_.before(out)));
  }
  [[nodiscard]] std::optional<Timestamp> next_processing_timer() const override {
    return inner_->next_processing_timer();
  }
  [[nodiscard]] std::optional<Timestamp> waits_for() const override { return inner_->waits_for(); }
  Result<Step> end_of_input(std::size_t input, OperatorOutput& out) override {
    return out_.checked(inner_->end_of_input(input, out_.before(out)));
  }
  Result<Step> end_of_data(OperatorOutput& out) override { return out_.checked(inner_->end_of_data(out_.before(out))); }
  Result<Step> resume(OperatorOutput& out) override { return out_.checked(inner_->resume(out_.before(out))); }
  [[nodiscard]] bool takes(std::size_t input) const override { return inner_->takes(input); }
  Result<CapturedStatePtr> snapshot() override { return inner_->snapshot(); }
  Status restore(StateReader& state) override { return inner_->restore(state); }
  void abort() override { inner_->abort(); }
  Status close() override { return inner_->close(); }
  Result<std::string> receive(std::string_view message, std::string_view json) override {
    return inner_->receive(message, json);
  }
  Result<std::string> query(std::string_view state, std::string_view key_json) override {
    return inner_->query(state, key_json);
  }

 private:
  class Output final : public OperatorOutput {
   public:
    explicit Output(std::unique_ptr<BatchAdapter> adapter) : adapter_{std::move(adapter)} {}
    OperatorOutput& before(OperatorOutput& out) {
      out_ = &out;
      return *this;
    }
    void emit(BatchPtr batch, std::size_t output) override {
      if (output != 0) return out_->emit(std::move(batch), output);
      if (failure_ || batch->rows() == 0) return;
      auto adapted = adapter_->adapt(batch);
      if (adapted) {
        out_->emit(std::move(*adapted), output);
      } else {
        failure_ = adapted.error();
      }
    }
    [[nodiscard]] bool full() const override { return failure_ || out_->full(); }
    /// The operator's answer, unless what it emitted could not be adapted.
    Result<Step> checked(Result<Step> step) const {
      if (failure_) return fail(*failure_);
      return step;
    }

   private:
    std::unique_ptr<BatchAdapter> adapter_;
    OperatorOutput* out_ = nullptr;
    std::optional<Error> failure_;
  };

  std::unique_ptr<Operator> inner_;
  Output out_;
};

}  // namespace dataflow
