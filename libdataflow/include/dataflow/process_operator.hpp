#pragma once
// How a process function becomes an operator: the batch loop around it. What depends on the function's types is
// here, everything else in ProcessOperator, compiled once.

#include <memory>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "dataflow/process.hpp"

namespace dataflow {

/// Where the input's fields lie and what the function's outputs are.
struct ProcessPlan {
  std::vector<std::size_t> key_fields;
  std::vector<DataType> key_types;
  bool optional_key = false;
  std::vector<std::uint16_t> positions;  ///< of the record's fields in the input's schema
  SchemaPtr output;
  SideOutputsPtr sides;
  bool event_time = false;
};

/// The untyped half: batches, watermarks and clocks become calls of run_batch and fire, with a cursor to go on from.
class ProcessOperator : public Operator {
 public:
  explicit ProcessOperator(std::shared_ptr<const ProcessPlan> plan);

  Status open(OperatorContext& context) final;
  Result<Step> process(std::size_t input, const BatchPtr& batch, OperatorOutput& out) final;
  Result<Step> on_watermark(Timestamp watermark, OperatorOutput& out) final;
  Result<Step> on_processing_time(Timestamp now, OperatorOutput& out) final;
  [[nodiscard]] std::optional<Timestamp> next_processing_timer() const final;
  Result<Step> resume(OperatorOutput& out) final;
  Status close() final;
  Result<std::string> receive(std::string_view message, std::string_view json) final;
  Result<std::string> query(std::string_view state, std::string_view key_json) final;

  Result<CapturedStatePtr> snapshot() final;
  Status restore(StateReader& state) final;

 protected:
  /// Makes the user's object and the context that goes with it.
  virtual StateOwner& construct(OutputSet& outputs) = 0;
  virtual ProcessContext& make_context(KeyedRuntime& runtime, OutputSet& outputs) = 0;
  virtual void call_open(OperatorContext& context) = 0;
  virtual void call_receives(Receiver& receiver) = 0;
  virtual void call_close() = 0;
  virtual Status bind(const Batch& batch) = 0;
  /// Feeds rows from row_ on until the batch ends or the output is full; throws what the function throws.
  virtual void run_rows(const Batch& batch) = 0;
  virtual void call_timer(Timestamp time) = 0;

  /// Makes a row of the batch the current one.
  void begin_row(const Batch& batch, std::uint32_t row) {
    runtime_->select(slots_[row]);
    context_->key_known_ = false;
    if (plan_->event_time) {
      context_->timestamp_ = batch.timestamp(row);
      outputs_.set_time(context_->timestamp_);
    }
  }
  [[nodiscard]] bool output_full() const { return outputs_.full(); }

  std::shared_ptr<const ProcessPlan> plan_;
  std::uint32_t row_ = 0;  ///< the cursor into batch_

 private:
  Result<Step> go_on(OperatorOutput& out);
  Result<bool> fire_due(TimerDomain domain, Timestamp until);

  OutputSet outputs_;
  std::unique_ptr<KeyedRuntime> runtime_;
  ProcessContext* context_ = nullptr;
  OperatorContext* operator_context_ = nullptr;
  Receiver receiver_;
  BatchPtr batch_;                        ///< being fed, or null
  const std::uint32_t* slots_ = nullptr;  ///< of batch_'s rows
  std::optional<Timestamp> event_due_;    ///< timers up to here are being fired
  std::optional<Timestamp> processing_due_;
};

/// The typed half for the function class P, made with `Args` in each subtask.
template <class P, class... Args>
class ProcessOperatorOf final : public ProcessOperator {
  using In = typename P::input_type;
  using Out = typename P::output_type;
  using Context = typename P::Context;

 public:
  ProcessOperatorOf(std::shared_ptr<const ProcessPlan> plan, std::tuple<Args...> arguments)
      : ProcessOperator{std::move(plan)}, arguments_{std::move(arguments)}, reader_{plan_->positions} {}

  /// The user's object; only after open.
  [[nodiscard]] P& function() { return *function_; }

 protected:
  StateOwner& construct(OutputSet& outputs) override {
    std::apply([&](const Args&... arguments) { function_.emplace(arguments...); }, arguments_);
    out_.emplace(outputs.main());
    return *function_;
  }
  ProcessContext& make_context(KeyedRuntime& runtime, OutputSet& outputs) override {
    return typed_context_.emplace(runtime, outputs);
  }
  void call_open(OperatorContext& context) override { function_->open(context); }
  void call_receives(Receiver& receiver) override { function_->receives(receiver); }
  void call_close() override { function_->close(); }
  Status bind(const Batch& batch) override { return reader_.bind(batch); }

  void run_rows(const Batch& batch) override {
    P& function = *function_;
    for (; row_ < batch.rows() && !output_full(); ++row_) {
      begin_row(batch, row_);
      reader_.read(row_, record_);
      // Named with its class, the call is direct and may be inlined.
      if constexpr (requires { function.P::process(record_, *typed_context_, *out_); }) {
        function.P::process(record_, *typed_context_, *out_);
      } else {
        base().process(record_, *typed_context_, *out_);
      }
    }
  }
  void call_timer(Timestamp time) override { base().on_timer(time, *typed_context_, *out_); }

 private:
  /// The interface, in which everything is public.
  auto& base() {
    if constexpr (KeyedFunction<P>) {
      return static_cast<KeyedProcess<typename P::key_type, In, Out>&>(*function_);
    } else {
      return static_cast<Process<In, Out>&>(*function_);
    }
  }

  std::tuple<Args...> arguments_;
  std::optional<P> function_;
  std::optional<Context> typed_context_;
  std::optional<Output<Out>> out_;
  RowReader<In> reader_;
  In record_{};
};

template <class P, class... Args>
class ProcessFactory final : public OperatorFactory {
 public:
  ProcessFactory(std::shared_ptr<const ProcessPlan> plan, std::tuple<Args...> arguments)
      : plan_{std::move(plan)}, arguments_{std::move(arguments)} {}
  [[nodiscard]] std::unique_ptr<Operator> create() const override {
    return std::make_unique<ProcessOperatorOf<P, Args...>>(plan_, arguments_);
  }
  [[nodiscard]] std::optional<FieldUse> field_use() const override {
    FieldUse use{.reads = plan_->key_fields, .passing_outputs = {}};
    use.reads.insert(use.reads.end(), plan_->positions.begin(), plan_->positions.end());
    return use;
  }

 private:
  std::shared_ptr<const ProcessPlan> plan_;
  std::tuple<Args...> arguments_;
};

}  // namespace dataflow
