#pragma once
// WindowedStream<T, K>: a stream cut into windows.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <typeinfo>
#include <utility>
#include <vector>

#include "dataflow/keyed_stream.hpp"
#include "dataflow/process_calls.hpp"
#include "dataflow/stream.hpp"
#include "dataflow/triggered_stream.hpp"
#include "dataflow/window.hpp"
#include "dataflow/window_function.hpp"

namespace dataflow {

/// A stream cut into windows, waiting to be told what to compute over each.
template <class T, class K>
class WindowedStream : public ProcessCalls<WindowedStream<T, K>> {
  static constexpr bool keyed = !std::is_same_v<K, NoKey>;
  using Input = std::conditional_t<keyed, KeyedStream<T, K>, Stream<T>>;

 public:
  WindowedStream(Input input, WindowSpec spec, Place where) : input_{std::move(input)} {
    draft_.spec = std::move(spec);
    draft_.where = where;
  }

  /// Late records still change their window's result for this long after its end.
  WindowedStream& allowed_lateness(Duration lateness) {
    draft_.spec.allowed_lateness = lateness;
    return *this;
  }
  /// Also results before the window's end.
  WindowedStream& trigger(EarlyTrigger trigger) {
    draft_.spec.early = trigger.interval;
    return *this;
  }
  /// Results at other times than the window's end, of an aggregator, a reduce or a function over all records.
  TriggeredStream<T, K> trigger(Trigger trigger) { return triggered().trigger(trigger); }
  template <class W>
  TriggeredStream<T, K> trigger(std::shared_ptr<W> own) {
    return triggered().trigger(std::move(own));
  }
  /// Which records of a window stay in it when it gives a result.
  template <class E>
  TriggeredStream<T, K> evictor(E evictor) {
    return triggered().evictor(std::move(evictor));
  }
  /// Gives the stream of what came too late to `consume`: `.late_to([](df::Stream<Total> late) { late.print(); })`.
  template <class F>
  requires std::is_invocable_v<F&, Stream<T>> WindowedStream& late_to(F consume) {
    late_consumer_ = std::move(consume);
    return *this;
  }
  /// Names the side output of what came too late, which is "late" otherwise.
  WindowedStream& late_to(std::string name) {
    draft_.late_output = std::move(name);
    return *this;
  }

  /// R filled from ready-made pieces, computed by the built-in window operators.
  template <class R, class First, class... More>
  Stream<R> aggregate(First first, More... more) {
    std::vector<AggregatePiece> pieces{check_piece<R>(first), check_piece<R>(more)...};
    return aggregate_pieces<R>(std::move(pieces));
  }
  /// By an aggregator struct: see window_function.hpp.
  template <class A>
  auto aggregate() {
    static_assert(Aggregator<A, T>, "an aggregator is default-constructible and has void add(const T&)");
    static_assert(fields_own<A>(),
                  "an aggregator outlives the records that it is given and owns its bytes: std::string, not "
                  "std::string_view");
    using R = std::remove_cvref_t<decltype(aggregator_result(std::declval<const A&>(), std::declval<const K&>(),
                                                             std::declval<const Window&>()))>;
    return add_window_function<R, A>();
  }
  /// One record a window: the first, then `f(what there is, the next)` for a captureless lambda f.
  template <class F>
  Stream<T> reduce(F) {
    static_assert(std::is_default_constructible_v<F>, "reduce over a window takes a lambda without captures");
    static_assert(Codec<T>::known,
                  "reduce keeps a record for each window: its members own their bytes (std::string, not "
                  "std::string_view)");
    return add_window_function<T, Reduced<T, F>>();
  }

 private:
  friend class ProcessCalls<WindowedStream>;

  [[nodiscard]] TriggeredStream<T, K> triggered() const {
    WindowDraft draft = draft_;
    draft.spec.early.reset();
    TriggeredStream<T, K> with_trigger{input_, std::move(draft), late_consumer_};
    if (draft_.spec.early) with_trigger.trigger(EarlyTrigger{*draft_.spec.early});
    return with_trigger;
  }
  /// A function over all records of each window.
  template <class P, class... Args>
  auto add_process(std::tuple<Args...> arguments, const Place& where) {
    return triggered().template process_with<P>(std::move(arguments), where);
  }

  template <class R, class Of, class In>
  static AggregatePiece check_piece(const Piece<Of, In>& piece) {
    static_assert(std::is_same_v<Of, R>, "a piece fills a member of another record than aggregate<R> gives");
    static_assert(std::is_void_v<In> || std::is_same_v<In, T>,
                  "a piece reads a member of another record than the stream's");
    return piece.piece;
  }

  template <class R>
  Stream<R> aggregate_pieces(std::vector<AggregatePiece> pieces) {
    const auto& plan = input_.plan();
    const NodeId node = add_piecewise_window(*plan, input_.info(), draft_, record_info<T>(), input_.positions(), pieces,
                                             record_info<R>(), draft_.where);
    Stream<R> results{plan, plan->stream_of(node), draft_.where};
    consume_late(results);
    return results;
  }

  template <class R, class A>
  Stream<R> add_window_function() {
    check_window_draft(*input_.plan(), input_.info(), draft_);
    const AggregatorTraits traits{
        .type = typeid(A), .merges = MergingAggregator<A>, .bounded = BoundedAggregator<A, K>};
    check_aggregator(*input_.plan(), draft_, traits);
    std::tuple<WindowSpec, std::string> arguments{draft_.spec, draft_.late_output};
    NodeDraft draft{.type = "window", .stateful = true};
    if (!Codec<A>::known) draft.unstorable = readable_name(typeid(A));
    if constexpr (keyed) {
      draft.sorted_in_batch = KeyGrowth::with_rows;
      using Function = WindowFunction<KeyedProcess<K, T, R>, A>;
      Stream<R> results = input_.template add_function<Function>(std::move(arguments), std::move(draft), draft_.where);
      consume_late(results);
      return results;
    } else {
      draft.single = true;
      using Function = WindowFunction<Process<T, R>, A>;
      Stream<R> results = input_.template add_process_function<Function>(std::move(arguments), {}, false,
                                                                         std::move(draft), draft_.where);
      consume_late(results);
      return results;
    }
  }

  template <class R>
  void consume_late(Stream<R>& results) {
    if (late_consumer_) late_consumer_(results.template side_output<T>(draft_.late_output, draft_.where));
  }

  Input input_;
  WindowDraft draft_;
  std::function<void(Stream<T>)> late_consumer_;
};

}  // namespace dataflow
