#pragma once
// Functions over all records that two streams have in a window of a key, also where one of them has none: Flink's
// CoGroupFunction
// (https://nightlies.apache.org/flink/flink-docs-stable/docs/dev/datastream/operators/overview/#window-cogroup).
//
//     class Settle : public df::CoGroupProcess<std::string, Payment, Refund, Settled> {
//      public:
//       void on_group(const df::Window& window, std::span<const df::Timed<Payment>> payments,
//                     std::span<const df::Timed<Refund>> refunds, Context& ctx, df::Output<Settled>& out) override;
//     };
//     payments.key_by(&Payment::card).co_group(refunds.key_by(&Refund::card)).window(df::tumbling(1h)).process<Settle>()
//
// As in Flink the records of both streams lie in one window, each as one of either kind, which is taken apart for the
// function: triggers and evictors see them in the order in which they came.

#include <span>
#include <utility>
#include <variant>
#include <vector>

#include "dataflow/co_process.hpp"
#include "dataflow/window_process.hpp"

namespace dataflow {

/// A function over two streams as one over records of either of them, which windows are made of.
template <class K, class A, class B, class Out>
class OfEitherStream : public KeyedCoProcess<K, A, B, Out> {
 public:
  using input_type = std::variant<A, B>;
  using Context = typename KeyedCoProcess<K, A, B, Out>::Context;

  virtual void process(const input_type& record, Context& context, Output<Out>& out) = 0;
  void process_first(const A& record, Context& context, Output<Out>& out) final {
    process(input_type{std::in_place_index<0>, record}, context, out);
  }
  void process_second(const B& record, Context& context, Output<Out>& out) final {
    process(input_type{std::in_place_index<1>, record}, context, out);
  }
};

/// A function over the records of both streams in each window of each key.
template <class K, class A, class B, class Out>
class CoGroupProcess : public WindowProcessOver<OfEitherStream<K, A, B, Out>> {
  using Base = WindowProcessOver<OfEitherStream<K, A, B, Out>>;
  using Either = std::variant<A, B>;

 public:
  using Context = typename Base::Context;
  using co_group_function = CoGroupProcess;

  /// A result of a window, which has at least one record: `left` and `right` are those of the one stream and of the
  /// other, each in the order in which they came. More than once for a window, when its trigger says so or a record is
  /// late. Timers belong to the windows: there are none of one's own.
  virtual void on_group(const Window& window, std::span<const Timed<A>> left, std::span<const Timed<B>> right,
                        Context& context, Output<Out>& out) = 0;

 private:
  void on_window(const Window& window, std::span<const Timed<Either>> records, Context& context,
                 Output<Out>& out) final {
    left_.clear();
    right_.clear();
    for (const auto& [time, record] : records) {
      if (const A* left = std::get_if<0>(&record)) {
        left_.push_back({time, *left});
      } else {
        right_.push_back({time, *std::get_if<1>(&record)});
      }
    }
    on_group(window, left_, right_, context, out);
  }

  std::vector<Timed<A>> left_;  // scratch
  std::vector<Timed<B>> right_;
};

/// What `apply<R>(f)` is.
template <class K, class A, class B, class R, class F>
class CoGroupByLambda : public CoGroupProcess<K, A, B, R> {
 public:
  using Context = typename CoGroupProcess<K, A, B, R>::Context;
  explicit CoGroupByLambda(F function) : function_{std::move(function)} {}
  void on_group(const Window&, std::span<const Timed<A>> left, std::span<const Timed<B>> right, Context&,
                Output<R>& out) override {
    function_(left, right, out);
  }

 private:
  F function_;
};

}  // namespace dataflow
