#pragma once
// Process functions over two streams of different records, with one state and timers between them, as Flink's
// KeyedCoProcessFunction
// (https://nightlies.apache.org/flink/flink-docs-stable/docs/dev/datastream/operators/process_function/).
//
//     class Shipped : public df::KeyedCoProcess<std::string, Order, Parcel, Shipment> {
//      public:
//       void process_first(const Order& o, Context& ctx, df::Output<Shipment>& out) override { order_ = o; }
//       void process_second(const Parcel& p, Context& ctx, df::Output<Shipment>& out) override {
//         if (order_) out.emit({order_->id, p.weight});
//       }
//      private:
//       df::ValueState<Order> order_{this, "order"};
//     };
//     orders.key_by(&Order::id).connect(parcels.key_by(&Parcel::order)).process<Shipped>().named("shipped");
//
// Which of two records comes first is only said by their times: the streams are independent.

#include <type_traits>
#include <utility>

#include "dataflow/process.hpp"

namespace dataflow {

/// A function over the records of two streams with the same key. Override what you need; the two `process_` at least.
template <class K, class A, class B, class Out>
class KeyedCoProcess : public StateOwner {
 public:
  static_assert(KeyTraits<K>::known, "a key is a field's type, or a std::tuple of such");
  static_assert(KeyTraits<K>::owning,
                "a key outlives its records and owns its bytes: std::string, not "
                "std::string_view, also where a member that a stream is keyed by is a view");
  static_assert(is_record<A> && is_record<B> && is_record<Out>, "records are structs declared with DATAFLOW_RECORD");
  using key_type = K;
  using first_type = A;
  using second_type = B;
  using output_type = Out;
  using Context = KeyedContext<K>;
  using interface_type = KeyedCoProcess;

  virtual ~KeyedCoProcess() = default;
  /// Once before the first record.
  virtual void open(const OperatorContext&) {}
  virtual void process_first(const A& record, Context& context, Output<Out>& out) = 0;
  virtual void process_second(const B& record, Context& context, Output<Out>& out) = 0;
  /// For the key that set the timer, whichever stream's record it was.
  virtual void on_timer(Timestamp /*time*/, Context& /*context*/, Output<Out>& /*out*/) {}
  /// Declares the messages that may be sent to the running operator.
  virtual void receives(Receiver&) {}
  virtual void close() {}
};

/// A function over the records of two streams that a subtask is given, without key: its state is the subtask's.
template <class A, class B, class Out>
class CoProcess : public StateOwner {
 public:
  static_assert(is_record<A> && is_record<B> && is_record<Out>, "records are structs declared with DATAFLOW_RECORD");
  using first_type = A;
  using second_type = B;
  using output_type = Out;
  using Context = ProcessContext;
  using interface_type = CoProcess;

  virtual ~CoProcess() = default;
  virtual void open(const OperatorContext&) {}
  virtual void process_first(const A& record, Context& context, Output<Out>& out) = 0;
  virtual void process_second(const B& record, Context& context, Output<Out>& out) = 0;
  virtual void on_timer(Timestamp /*time*/, Context& /*context*/, Output<Out>& /*out*/) {}
  virtual void receives(Receiver&) {}
  virtual void close() {}
};

/// Whether a function takes two streams.
template <class P>
concept CoFunction = requires {
  typename P::first_type;
  typename P::second_type;
};

/// What `connected.map(f, g)` is.
template <class A, class B, class R, class F, class G>
class CoMap final : public CoProcess<A, B, R> {
 public:
  using Context = ProcessContext;
  CoMap(F first, G second) : first_{std::move(first)}, second_{std::move(second)} {}
  void process_first(const A& record, Context&, Output<R>& out) override { out.emit(first_(record)); }
  void process_second(const B& record, Context&, Output<R>& out) override { out.emit(second_(record)); }

 private:
  F first_;
  G second_;
};

/// What `connected.flat_map<R>(f, g)` is.
template <class A, class B, class R, class F, class G>
class CoFlatMap final : public CoProcess<A, B, R> {
 public:
  using Context = ProcessContext;
  CoFlatMap(F first, G second) : first_{std::move(first)}, second_{std::move(second)} {}
  void process_first(const A& record, Context&, Output<R>& out) override { first_(record, out); }
  void process_second(const B& record, Context&, Output<R>& out) override { second_(record, out); }

 private:
  F first_;
  G second_;
};

}  // namespace dataflow
