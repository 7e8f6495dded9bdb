#pragma once
// The records of two streams with the same key, window by window: see co_group.hpp.
//
//     payments.key_by(&Payment::card)
//         .co_group(refunds.key_by(&Refund::card))
//         .window(df::tumbling(1h))
//         .apply<Settled>([](std::span<const df::Timed<Payment>> payments, std::span<const df::Timed<Refund>> refunds,
//                            df::Output<Settled>& out) { ... })
//         .named("settled");

#include <functional>
#include <span>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

#include "dataflow/co_group.hpp"
#include "dataflow/connected_streams.hpp"
#include "dataflow/keyed_stream.hpp"
#include "dataflow/process_calls.hpp"
#include "dataflow/trigger_calls.hpp"
#include "dataflow/window.hpp"

namespace dataflow {

/// Windows over two streams, which only lack the function that they are given to.
template <class A, class B, class K>
class CoGroupedWindows : public ProcessCalls<CoGroupedWindows<A, B, K>>,
                         public TriggerCalls<CoGroupedWindows<A, B, K>, std::variant<A, B>> {
  using Calls = TriggerCalls<CoGroupedWindows, std::variant<A, B>>;
  using Calls::draft_;
  using Calls::settings;

 public:
  static_assert(Codec<A>::known && Codec<B>::known,
                "a window keeps the records of both streams: their members own their bytes (std::string, not "
                "std::string_view)");
  CoGroupedWindows(KeyedStream<A, K> left, KeyedStream<B, K> right, WindowDraft draft)
      : Calls{std::move(draft)}, left_{std::move(left)}, right_{std::move(right)} {}

  /// Gives the streams of what came too late to `consume`:
  /// `.late_to([](df::Stream<Payment> payments, df::Stream<Refund> refunds) { ... })`.
  template <class F>
  requires std::is_invocable_v<F&, Stream<A>, Stream<B>> CoGroupedWindows& late_to(F consume) {
    late_consumer_ = std::move(consume);
    return *this;
  }
  using Calls::late_to;

  /// What `function(left, right, out)` emits for each window of each key.
  template <class R, class F>
  Stream<R> apply(F function) {
    require_record<R>();
    static_assert(
        std::is_invocable_v<F&, std::span<const Timed<A>>, std::span<const Timed<B>>, Output<R>&>,
        "apply<R> takes a function of (std::span<const df::Timed<A>>, std::span<const df::Timed<B>>, df::Output<R>&)");
    return add_process<CoGroupByLambda<K, A, B, R, F>>(std::tuple<F>{std::move(function)}, draft_.where);
  }

 private:
  friend class ProcessCalls<CoGroupedWindows>;

  /// By a CoGroupProcess.
  template <class P, class... Args>
  auto add_process(std::tuple<Args...> arguments, const Place& where) {
    static_assert(
        requires { typename P::co_group_function; }, "the function of a co_group derives from CoGroupProcess");
    static_assert(std::is_same_v<typename P::key_type, K>, "the function's key has another type than the streams'");
    static_assert(std::is_constructible_v<P, const Args&...>, "the function has no such constructor");
    Plan& plan = *left_.plan();
    check_co_group(plan, left_.info(), right_.info(), draft_);
    StreamInfo with_time = left_.info();
    with_time.event_time = with_time.event_time && right_.info().event_time;
    this->check_trigger_on(plan, with_time);
    this->template check_function<Windowed<P>>(plan, arguments);
    auto results = ConnectedStreams<A, B, K, K>{left_, right_, where}.template add_function<Windowed<P>>(
        std::tuple_cat(std::tuple<WindowSettings<std::variant<A, B>>>{settings()}, std::move(arguments)),
        {.type = "co_group", .stateful = true}, where);
    if (late_consumer_) {
      late_consumer_(results.template side_output<A>(late_of_left(draft_.late_output), where),
                     results.template side_output<B>(late_of_right(draft_.late_output), where));
    }
    return results;
  }

  KeyedStream<A, K> left_;
  KeyedStream<B, K> right_;
  std::function<void(Stream<A>, Stream<B>)> late_consumer_;
};

/// Two streams with the same key, waiting to be cut into windows.
template <class A, class B, class K>
class CoGroupedStreams {
 public:
  CoGroupedStreams(KeyedStream<A, K> left, KeyedStream<B, K> right)
      : left_{std::move(left)}, right_{std::move(right)} {}

  CoGroupedWindows<A, B, K> window(const WindowSpec& window, Place where = Place::current()) {
    return {left_, right_, {.spec = window, .where = where}};
  }

 private:
  KeyedStream<A, K> left_;
  KeyedStream<B, K> right_;
};

}  // namespace dataflow
