#pragma once
// Process functions: one record at a time with state, timers and side outputs, as Flink's KeyedProcessFunction
// (https://nightlies.apache.org/flink/flink-docs-stable/docs/dev/datastream/operators/process_function/).
//
//     class SmallThenLarge : public df::KeyedProcess<std::string, Payment, Alert> {
//      public:
//       void process(const Payment& p, Context& ctx, df::Output<Alert>& out) override;
//       void on_timer(df::Timestamp time, Context& ctx, df::Output<Alert>& out) override;
//      private:
//       df::ValueState<double> small_{this, "small"};
//     };

#include <string>
#include <string_view>
#include <tuple>

#include "dataflow/keyed_runtime.hpp"
#include "dataflow/output.hpp"
#include "dataflow/receiver.hpp"
#include "dataflow/state.hpp"

namespace dataflow {

/// What a process function may know and ask while it is called. Only valid during the call.
class ProcessContext {
 public:
  ProcessContext(KeyedRuntime& runtime, OutputSet& outputs) : runtime_{runtime}, outputs_{outputs} {}

  /// Event time of the record, or the time of the timer that fires.
  [[nodiscard]] Timestamp timestamp() const { return timestamp_; }
  [[nodiscard]] Timestamp watermark() const { return operator_->watermark(); }
  /// Processing time.
  [[nodiscard]] Timestamp now() const { return operator_->now(); }
  [[nodiscard]] const OperatorContext& runtime_context() const { return *operator_; }
  /// A counter of the operator, shown with its others.
  Counter& counter(std::string_view name) { return operator_->counter(name); }

  /// Calls on_timer once the watermark has reached `time`, for the current key. The same time and name twice is once.
  void on_event_time(Timestamp time, std::string_view name = {}) {
    runtime_.set_timer(TimerDomain::event_time, time, name);
  }
  /// Calls on_timer once the clock has reached `time`.
  void on_processing_time(Timestamp time, std::string_view name = {}) {
    runtime_.set_timer(TimerDomain::processing_time, time, name);
  }
  /// Of no effect when there is no such timer.
  void delete_event_timer(Timestamp time, std::string_view name = {}) {
    runtime_.delete_timer(TimerDomain::event_time, time, name);
  }
  void delete_processing_timer(Timestamp time, std::string_view name = {}) {
    runtime_.delete_timer(TimerDomain::processing_time, time, name);
  }
  /// In on_timer: the name and kind of the timer that fires.
  [[nodiscard]] const std::string& timer_name() const { return *timer_.name; }
  [[nodiscard]] TimerDomain timer_domain() const { return timer_.domain; }

  /// The event time of what is emitted from here on during this call; else it is `timestamp()`.
  void set_result_time(Timestamp time) { outputs_.set_time(time); }

  /// Emits to a side output, read with `stream.side_output<T>(name)`; dropped when nobody reads it.
  template <class T>
  void emit(std::string_view output, const T& record) {
    if (OutputPort* port = outputs_.side(output, record_info<T>())) port->put(record);
  }

 protected:
  KeyedRuntime& runtime_;
  bool key_known_ = false;

 private:
  friend class ProcessOperator;
  OutputSet& outputs_;
  OperatorContext* operator_ = nullptr;
  Timestamp timestamp_;
  DueTimer timer_;
};

/// How a key type is found again from what the runtime keeps of it.
template <class K>
struct KeyTraits {
  static constexpr bool known = is_field<K>;
  static constexpr bool owning = FieldTraits<K>::owning;
  static constexpr bool optional = FieldTraits<K>::optional;
  static std::vector<DataType> types() { return {FieldTraits<K>::type()}; }
  static void decode(const KeyedRuntime& runtime, K& key) {
    switch (runtime.shape()) {
      case KeyShape::integer: {
        const std::int64_t value = runtime.integer_key(runtime.slot());
        if constexpr (std::is_integral_v<K>) {
          key = static_cast<K>(value);
        } else if constexpr (requires { K::from_unscaled(value); }) {
          key = K::from_unscaled(value);
        } else if constexpr (std::is_same_v<K, Timestamp>) {
          key = Timestamp{value};
        }
        break;
      }
      case KeyShape::text: {
        const std::string_view text = runtime.text_key(runtime.slot());
        if constexpr (std::is_same_v<K, std::string>) {
          key.assign(text);
        } else if constexpr (std::is_same_v<K, Bytes>) {
          key.data.assign(text);
        } else if constexpr (std::is_enum_v<K>) {
          key = enum_value<K>(text);
        }
        break;
      }
      case KeyShape::composite: {
        ByteReader in{runtime.text_key(runtime.slot())};
        decode_field(in, key);
        break;
      }
      case KeyShape::none: break;
    }
  }
  /// Fields of composite keys are written as optionals, whether they are or not.
  template <class M>
  static void decode_field(ByteReader& in, M& field) {
    if constexpr (FieldTraits<M>::optional) {
      Codec<M>::decode(in, field);
    } else {
      std::optional<M> value;
      Codec<std::optional<M>>::decode(in, value);
      if (value) field = std::move(*value);
    }
  }
};

template <class... Parts>
struct KeyTraits<std::tuple<Parts...>> {
  static constexpr bool known = (is_field<Parts> && ...);
  static constexpr bool owning = (FieldTraits<Parts>::owning && ...);
  static constexpr bool optional = (FieldTraits<Parts>::optional || ...);
  static std::vector<DataType> types() { return {FieldTraits<Parts>::type()...}; }
  static void decode(const KeyedRuntime& runtime, std::tuple<Parts...>& key) {
    ByteReader in{runtime.text_key(runtime.slot())};
    std::apply([&](auto&... parts) { (KeyTraits<Parts>::decode_field(in, parts), ...); }, key);
  }
};

/// The same with the key.
template <class K>
class KeyedContext final : public ProcessContext {
 public:
  using ProcessContext::ProcessContext;
  /// The key whose state is in scope.
  const K& key() {
    if (!key_known_) KeyTraits<K>::decode(runtime_, key_);
    key_known_ = true;
    return key_;
  }

 private:
  K key_{};
};

/// A function over the records of each key. Override what you need; `process` at least.
template <class K, class In, class Out>
class KeyedProcess : public StateOwner {
 public:
  static_assert(KeyTraits<K>::known, "a key is a field's type, or a std::tuple of such");
  static_assert(KeyTraits<K>::owning,
                "a key outlives its records and owns its bytes: std::string, not std::string_view, also where the "
                "member that the stream is keyed by is a std::string_view");
  static_assert(is_record<In> && is_record<Out>, "records are structs declared with DATAFLOW_RECORD");
  using key_type = K;
  using input_type = In;
  using output_type = Out;

  using Context = KeyedContext<K>;
  using interface_type = KeyedProcess;

  virtual ~KeyedProcess() = default;
  /// Once before the first record.
  virtual void open(const OperatorContext&) {}
  virtual void process(const In& record, Context& context, Output<Out>& out) = 0;
  virtual void on_timer(Timestamp /*time*/, Context& /*context*/, Output<Out>& /*out*/) {}
  /// Declares the messages that may be sent to the running operator.
  virtual void receives(Receiver&) {}
  virtual void close() {}
};

/// A function over the records of a subtask, without key: its state is the subtask's.
template <class In, class Out>
class Process : public StateOwner {
 public:
  static_assert(is_record<In> && is_record<Out>, "records are structs declared with DATAFLOW_RECORD");
  using input_type = In;
  using output_type = Out;
  using Context = ProcessContext;
  using interface_type = Process;

  virtual ~Process() = default;
  virtual void open(const OperatorContext&) {}
  virtual void process(const In& record, Context& context, Output<Out>& out) = 0;
  virtual void on_timer(Timestamp /*time*/, Context& /*context*/, Output<Out>& /*out*/) {}
  virtual void receives(Receiver&) {}
  virtual void close() {}
};

/// Stands for the key of a stream or window without one.
struct NoKey {};

/// Whether a function's state is kept for each key.
template <class P>
concept KeyedFunction = requires {
  typename P::key_type;
};

}  // namespace dataflow
