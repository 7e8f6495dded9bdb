#pragma once
// TriggeredStream<T, K>: a stream cut into windows, with a trigger or an evictor.

#include <functional>
#include <tuple>
#include <type_traits>
#include <typeinfo>
#include <utility>

#include "dataflow/keyed_stream.hpp"
#include "dataflow/process_calls.hpp"
#include "dataflow/stream.hpp"
#include "dataflow/trigger_calls.hpp"
#include "dataflow/window.hpp"
#include "dataflow/window_process.hpp"

namespace dataflow {

/// What `window(...).trigger(...)`, `.evictor(...)` and `.process<P>()` go on with. Ready-made pieces
/// (`aggregate<R>(df::sum(...), ...)`) are computed by the built-in operators, which know df::early alone.
template <class T, class K>
class TriggeredStream : public ProcessCalls<TriggeredStream<T, K>>, public TriggerCalls<TriggeredStream<T, K>, T> {
  static constexpr bool keyed = !std::is_same_v<K, NoKey>;
  using Input = std::conditional_t<keyed, KeyedStream<T, K>, Stream<T>>;
  using Calls = TriggerCalls<TriggeredStream, T>;
  using Calls::draft_;
  using Calls::settings;
  using Calls::settings_;
  template <class R>
  using Base = std::conditional_t<keyed, KeyedProcess<K, T, R>, Process<T, R>>;

 public:
  TriggeredStream(Input input, WindowDraft draft, std::function<void(Stream<T>)> late_consumer)
      : Calls{std::move(draft)}, input_{std::move(input)}, late_consumer_{std::move(late_consumer)} {}

  /// See WindowedStream.
  using Calls::late_to;
  template <class F>
  requires std::is_invocable_v<F&, Stream<T>> TriggeredStream& late_to(F consume) {
    late_consumer_ = std::move(consume);
    return *this;
  }

  /// By an aggregator struct: see window_function.hpp. With an evictor it is given the records that are left anew for
  /// each result.
  template <class A>
  auto aggregate() {
    static_assert(Aggregator<A, T>,
                  "an aggregator is default-constructible and has void add(const T&); ready-made pieces know no "
                  "trigger but df::early, and no evictor");
    static_assert(fields_own<A>(),
                  "an aggregator outlives the records that it is given and owns its bytes: std::string, not "
                  "std::string_view");
    using R = std::remove_cvref_t<decltype(aggregator_result(std::declval<const A&>(), std::declval<const K&>(),
                                                             std::declval<const Window&>()))>;
    return add_aggregate<R, A>();
  }
  template <class F>
  Stream<T> reduce(F) {
    static_assert(std::is_default_constructible_v<F>, "reduce over a window takes a lambda without captures");
    static_assert(Codec<T>::known,
                  "reduce keeps a record for each window: its members own their bytes (std::string, not "
                  "std::string_view)");
    return add_aggregate<T, Reduced<T, F>>();
  }

  /// What `process<P>(arguments...)` does.
  template <class P, class... Args>
  auto process_with(std::tuple<Args...> arguments, const Place& where) {
    return add_process<P>(std::move(arguments), where);
  }

 private:
  friend class ProcessCalls<TriggeredStream>;

  /// By a WindowProcess (or, without key, AllWindowProcess).
  template <class P, class... Args>
  auto add_process(std::tuple<Args...> arguments, const Place& where) {
    static_assert(
        requires { typename P::window_function; },
        "the function of a window derives from WindowProcess, or without key from AllWindowProcess");
    static_assert(KeyedFunction<P> == keyed,
                  "the function of a keyed window derives from WindowProcess, that of one without key from "
                  "AllWindowProcess");
    if constexpr (keyed) {
      static_assert(std::is_same_v<typename P::key_type, K>, "the function's key has another type than the stream's");
    }
    static_assert(std::is_constructible_v<P, const Args&...>, "the function has no such constructor");
    this->template check_function<Windowed<P>>(*input_.plan(), arguments);
    return add<Windowed<P>>(std::tuple_cat(std::tuple<WindowSettings<T>>{settings()}, std::move(arguments)),
                            NodeDraft{}, where);
  }

  template <class R, class A>
  Stream<R> add_aggregate() {
    const AggregatorTraits traits{
        .type = typeid(A), .merges = MergingAggregator<A>, .bounded = BoundedAggregator<A, K>};
    // With an evictor it is made anew of the records, and never merged.
    AggregatorTraits asked = traits;
    asked.merges = asked.merges || settings_.evicts();
    check_aggregator(*input_.plan(), draft_, asked);
    if constexpr (Codec<T>::known) {
      if (settings_.evicts()) {
        return add<TriggeredAggregate<Base<R>, A, WindowRecords<T>>>(std::tuple{settings()}, {}, draft_.where);
      }
    }
    NodeDraft draft;
    if (!Codec<A>::known) draft.unstorable = readable_name(typeid(A));
    return add<TriggeredAggregate<Base<R>, A, WindowAggregateOf<A>>>(std::tuple{settings()}, std::move(draft),
                                                                     draft_.where);
  }

  template <class Function, class... Args>
  auto add(std::tuple<Args...> arguments, NodeDraft draft, const Place& where) {
    using R = typename Function::output_type;
    Plan& plan = *input_.plan();
    check_window_draft(plan, input_.info(), draft_);
    this->check_trigger_on(plan, input_.info());
    draft.type = "window";
    draft.stateful = true;
    std::vector<DataType> key_types;
    bool optional_key = false;
    if constexpr (keyed) {
      draft.keyed = true;
      draft.sorted_in_batch = KeyGrowth::with_rows;
      key_types = KeyTraits<K>::types();
      optional_key = KeyTraits<K>::optional;
    } else {
      draft.single = true;
    }
    Stream<R> results = input_.template add_process_function<Function>(std::move(arguments), std::move(key_types),
                                                                       optional_key, std::move(draft), where);
    if (late_consumer_) late_consumer_(results.template side_output<T>(draft_.late_output, draft_.where));
    return results;
  }

  Input input_;
  std::function<void(Stream<T>)> late_consumer_;
};

}  // namespace dataflow
