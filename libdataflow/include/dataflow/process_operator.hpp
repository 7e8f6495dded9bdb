#pragma once
// How a process function becomes an operator: the batch loop around it. What depends on the function's types is
// here, everything else in ProcessOperator, compiled once.

#include <memory>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "dataflow/broadcast.hpp"
#include "dataflow/co_process.hpp"
#include "dataflow/process.hpp"
#include "libdataflow/batch/forgets_keys.hpp"

namespace dataflow {

/// Where an input's fields lie.
struct ProcessInput {
  std::vector<std::size_t> key_fields;   ///< none: of a function without key, and of rules
  std::vector<std::uint16_t> positions;  ///< of the record's fields in the input's schema
};

/// Where the input's fields lie and what the function's outputs are.
struct ProcessPlan : ProcessInput {
  std::optional<ProcessInput> second;  ///< of a function over two streams; its key's types are the first's
  std::vector<DataType> key_types;
  bool optional_key = false;
  SchemaPtr output;
  SideOutputsPtr sides;
  bool event_time = false;
};

/// The untyped half: batches, watermarks and clocks become calls of run_batch and fire, with a cursor to go on from.
class ProcessOperator : public Operator, public ForgetsKeys {
 public:
  explicit ProcessOperator(std::shared_ptr<const ProcessPlan> plan);

  Status open(OperatorContext& context) final;
  Result<Step> process(std::size_t input, const BatchPtr& batch, OperatorOutput& out) final;
  Result<Step> on_watermark(Timestamp watermark, OperatorOutput& out) final;
  Result<Step> on_processing_time(Timestamp now, OperatorOutput& out) final;
  [[nodiscard]] std::optional<Timestamp> next_processing_timer() const final;
  [[nodiscard]] std::optional<Timestamp> waits_for() const final;
  Result<Step> resume(OperatorOutput& out) final;
  Status close() final;
  Result<std::string> receive(std::string_view message, std::string_view json) final;
  Result<std::string> query(std::string_view state, std::string_view key_json) final;

  Result<CapturedStatePtr> snapshot() final;
  Status restore(StateReader& state) final;

  void forget_keys() final { runtime_->forget_keys(); }
  [[nodiscard]] bool goes_by_the_clock() const final { return runtime_->goes_by_the_clock(); }

 protected:
  /// Makes the user's object and the context that goes with it.
  virtual StateOwner& construct(OutputSet& outputs) = 0;
  /// After construct: the user's object, when it has broadcast state.
  virtual BroadcastOwner* broadcast_owner() = 0;
  virtual ProcessContext& make_context(KeyedRuntime& runtime, OutputSet& outputs) = 0;
  virtual void call_open(OperatorContext& context) = 0;
  virtual void call_receives(Receiver& receiver) = 0;
  virtual void call_close() = 0;
  /// To a batch of `input`, which run_rows is then given.
  virtual Status bind(std::size_t input, const Batch& batch) = 0;
  /// Feeds rows from row_ on until the batch ends or the output is full; throws what the function throws.
  virtual void run_rows(const Batch& batch) = 0;
  virtual void call_timer(Timestamp time) = 0;

  /// Makes a row of the batch the current one.
  void begin_row(const Batch& batch, std::uint32_t row) {
    runtime_->select(slots_ != nullptr ? slots_[row] : slot_without_key);
    context_->key_known_ = false;
    if (plan_->event_time) set_time(batch, row);
  }
  [[nodiscard]] bool output_full() { return outputs_.full(); }

  std::shared_ptr<const ProcessPlan> plan_;
  std::uint32_t row_ = 0;  ///< the cursor into batch_

 private:
  Result<Step> go_on(OperatorOutput& out);
  Result<bool> fire_due(TimerDomain domain, Timestamp until);
  void set_time(const Batch& batch, std::uint32_t row) {
    context_->timestamp_ = batch.timestamp(row);
    outputs_.set_time(batch.has_event_time() ? context_->timestamp_ : newest_in_time());
  }
  [[nodiscard]] Timestamp newest_in_time() const;
  [[nodiscard]] BatchPtr keys_of(std::size_t input, const BatchPtr& batch) const;

  OutputSet outputs_;
  SchemaPtr key_schema_;  ///< of two inputs' keys, which lie at different places in them
  std::unique_ptr<KeyedRuntime> runtime_;
  ProcessContext* context_ = nullptr;
  OperatorContext* operator_context_ = nullptr;
  Receiver receiver_;
  BatchPtr batch_;                        ///< being fed, or null
  const std::uint32_t* slots_ = nullptr;  ///< of batch_'s rows; null: they are rules
  std::optional<BroadcastTable> broadcast_;
  std::optional<Timestamp> event_due_;  ///< timers up to here are being fired
  std::optional<Timestamp> processing_due_;
};

/// What depends on the function class P, made with `Args` in each subtask, but not on its records.
template <class P, class... Args>
class FunctionOperator : public ProcessOperator {
 public:
  FunctionOperator(std::shared_ptr<const ProcessPlan> plan, std::tuple<Args...> arguments)
      : ProcessOperator{std::move(plan)}, arguments_{std::move(arguments)} {}

  /// The user's object; only after open.
  [[nodiscard]] P& function() { return *function_; }

 protected:
  using Context = typename P::Context;
  using Out = typename P::output_type;

  StateOwner& construct(OutputSet& outputs) override {
    std::apply([&](const Args&... arguments) { function_.emplace(arguments...); }, arguments_);
    out_.emplace(outputs.main());
    return *function_;
  }
  BroadcastOwner* broadcast_owner() override {
    if constexpr (BroadcastFunction<P>) return &base();
    return nullptr;
  }
  ProcessContext& make_context(KeyedRuntime& runtime, OutputSet& outputs) override {
    return typed_context_.emplace(runtime, outputs);
  }
  void call_open(OperatorContext& context) override { base().open(context); }
  void call_receives(Receiver& receiver) override { base().receives(receiver); }
  void call_close() override { base().close(); }
  void call_timer(Timestamp time) override { base().on_timer(time, *typed_context_, *out_); }

  /// The interface, in which everything is public.
  typename P::interface_type& base() { return *function_; }
  Context& context() { return *typed_context_; }
  Output<Out>& out() { return *out_; }

 private:
  std::tuple<Args...> arguments_;
  std::optional<P> function_;
  std::optional<Context> typed_context_;
  std::optional<Output<Out>> out_;
};

/// The typed half for a function over one stream.
template <class P, class... Args>
class ProcessOperatorOf final : public FunctionOperator<P, Args...> {
  using In = typename P::input_type;

 public:
  ProcessOperatorOf(std::shared_ptr<const ProcessPlan> plan, std::tuple<Args...> arguments)
      : FunctionOperator<P, Args...>{std::move(plan), std::move(arguments)}, reader_{this->plan_->positions} {}

 protected:
  Status bind(std::size_t, const Batch& batch) override { return reader_.bind(batch); }

  void run_rows(const Batch& batch) override {
    P& function = this->function();
    for (; this->row_ < batch.rows() && !this->output_full(); ++this->row_) {
      this->begin_row(batch, this->row_);
      reader_.read(this->row_, record_);
      // Named with its class, the call is direct and may be inlined.
      if constexpr (requires { function.P::process(record_, this->context(), this->out()); }) {
        function.P::process(record_, this->context(), this->out());
      } else {
        this->base().process(record_, this->context(), this->out());
      }
    }
  }

 private:
  RowReader<In> reader_;
  In record_{};
};

/// The typed half for a function over two streams.
template <class P, class... Args>
class CoProcessOperatorOf final : public FunctionOperator<P, Args...> {
  using A = typename P::first_type;
  using B = typename P::second_type;

 public:
  CoProcessOperatorOf(std::shared_ptr<const ProcessPlan> plan, std::tuple<Args...> arguments)
      : FunctionOperator<P, Args...>{std::move(plan), std::move(arguments)},
        first_{this->plan_->positions},
        second_{this->plan_->second->positions} {}

 protected:
  Status bind(std::size_t input, const Batch& batch) override {
    of_second_ = input == 1;
    return of_second_ ? second_.bind(batch) : first_.bind(batch);
  }

  void run_rows(const Batch& batch) override {
    const bool of_second = of_second_;
    for (; this->row_ < batch.rows() && !this->output_full(); ++this->row_) {
      this->begin_row(batch, this->row_);
      if (of_second) {
        second_.read(this->row_, second_record_);
        call_second();
      } else {
        first_.read(this->row_, first_record_);
        call_first();
      }
    }
  }

 private:
  void call_first() {
    if constexpr (BroadcastFunction<P>) {
      this->base().process(first_record_, this->context(), this->out());
    } else {
      this->base().process_first(first_record_, this->context(), this->out());
    }
  }
  void call_second() {
    if constexpr (BroadcastFunction<P>) {
      BroadcastContext of_rule{this->context()};
      this->base().process_broadcast(second_record_, of_rule, this->out());
    } else {
      this->base().process_second(second_record_, this->context(), this->out());
    }
  }

  RowReader<A> first_;
  RowReader<B> second_;
  A first_record_{};
  B second_record_{};
  bool of_second_ = false;
};

/// The typed half that fits the function.
template <class P, class... Args>
using OperatorOfFunction =
    std::conditional_t<CoFunction<P>, CoProcessOperatorOf<P, Args...>, ProcessOperatorOf<P, Args...>>;

template <class P, class... Args>
class ProcessFactory final : public OperatorFactory {
 public:
  ProcessFactory(std::shared_ptr<const ProcessPlan> plan, std::tuple<Args...> arguments)
      : plan_{std::move(plan)}, arguments_{std::move(arguments)} {}
  [[nodiscard]] std::unique_ptr<Operator> create() const override {
    return std::make_unique<OperatorOfFunction<P, Args...>>(plan_, arguments_);
  }
  [[nodiscard]] std::optional<FieldUse> field_use() const override { return use_of(*plan_); }
  [[nodiscard]] std::optional<FieldUse> field_use_of(std::size_t input) const override {
    return input == 1 ? use_of(*plan_->second) : use_of(*plan_);
  }

 private:
  static FieldUse use_of(const ProcessInput& input) {
    FieldUse use{.reads = input.key_fields, .passing_outputs = {}};
    use.reads.insert(use.reads.end(), input.positions.begin(), input.positions.end());
    return use;
  }

  std::shared_ptr<const ProcessPlan> plan_;
  std::tuple<Args...> arguments_;
};

}  // namespace dataflow
