#pragma once
// Two streams of different records that go into one function: `a.connect(b)`.

#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "dataflow/co_process.hpp"
#include "dataflow/keyed_stream.hpp"
#include "dataflow/plan.hpp"
#include "dataflow/process_calls.hpp"
#include "dataflow/process_operator.hpp"
#include "dataflow/stream.hpp"

namespace dataflow {

/// A record of either stream is given to the function as it comes; the two are in no order to each other. The results
/// have event time when one of the streams has: a stream without holds the other's watermark not back, and what is
/// emitted for its records is as new as can be without being late.
///
/// A and B are the streams' records, K and KB their keys, or NoKey.
template <class A, class B, class K, class KB>
class ConnectedStreams : public ProcessCalls<ConnectedStreams<A, B, K, KB>> {
  static constexpr bool keyed = !std::is_same_v<K, NoKey>;

 public:
  ConnectedStreams(const Stream<A>& first, const Stream<B>& second, const Place& where)
      : plan_{first.plan()},
        first_{first.info()},
        second_{second.info()},
        first_positions_{first.positions()},
        second_positions_{second.positions()} {
    for (const StreamInfo* stream : {&first_, &second_}) {
      if (stream->changelog == ChangelogMode::append_only) continue;
      plan_->mistake(where, "streams that are connected have records that are never taken back");
    }
  }

  /// `first(record)` for each record of the one stream, `second(record)` for each of the other; both give an R.
  template <class F, class G>
  auto map(F first, G second, Place where = Place::current()) {
    using R = MapResult<F, A>;
    static_assert(std::is_same_v<R, MapResult<G, B>>, "the two functions of a map give the same record");
    require_record<R>();
    using Function = CoMap<A, B, R, F, G>;
    return add_function<Function>(std::tuple<F, G>{std::move(first), std::move(second)}, {.type = "map"}, where);
  }
  /// What `first(record, out)` and `second(record, out)` emit.
  template <class R, class F, class G>
  Stream<R> flat_map(F first, G second, Place where = Place::current()) {
    using Function = CoFlatMap<A, B, R, F, G>;
    return add_function<Function>(std::tuple<F, G>{std::move(first), std::move(second)}, {.type = "flat_map"}, where);
  }

 private:
  friend class ProcessCalls<ConnectedStreams>;
  template <class, class, class>
  friend class CoGroupedWindows;

  template <class P, class... Args>
  auto add_process(std::tuple<Args...> arguments, const Place& where) {
    static_assert(CoFunction<P>,
                  "the function takes one stream: derive it from KeyedCoProcess or CoProcess, or, for rules, from "
                  "KeyedBroadcastProcess or BroadcastProcess");
    if constexpr (BroadcastFunction<P>) {
      static_assert(std::is_same_v<KB, NoKey>, "rules have no key: connect(rules.broadcast())");
      if (second_.partitioning != Partitioning::broadcast) {
        plan_->mistake(where, "every subtask needs all rules: connect(rules.broadcast())");
      }
    } else {
      static_assert(std::is_same_v<K, KB>,
                    "both streams that are connected have a key, or neither has; or the second one has rules for a "
                    "KeyedBroadcastProcess");
    }
    NodeDraft draft{.type = "process"};
    if constexpr (KeyedFunction<P>) {
      static_assert(keyed, "a function with keyed state needs a key: call key_by before connect");
      static_assert(std::is_same_v<typename P::key_type, K>, "the function's key has another type than the stream's");
      draft.stateful = true;
    } else {
      static_assert(!keyed,
                    "the function has no key, and the streams have: connect them before key_by, or derive it "
                    "from KeyedCoProcess or KeyedBroadcastProcess");
      draft.stateful = BroadcastFunction<P>;
      if constexpr (!BroadcastFunction<P>) draft.declares_state = state_question<P>(arguments);
    }
    return add_function<P>(std::move(arguments), std::move(draft), where);
  }

  template <class P, class... Args>
  auto add_function(std::tuple<Args...> arguments, NodeDraft draft, const Place& where) {
    using R = typename P::output_type;
    static_assert(std::is_same_v<typename P::first_type, A> && std::is_same_v<typename P::second_type, B>,
                  "the function takes other records than the streams");
    static_assert(std::is_constructible_v<P, const Args&...>, "the function has no such constructor");
    StreamInfo first = first_;
    StreamInfo second = second_;
    free_time_of_connected(*plan_, first, second, where);
    auto shape = std::make_shared<ProcessPlan>();
    shape->positions = first_positions_;
    shape->second = ProcessInput{{}, second_positions_};
    if constexpr (KeyedFunction<P>) {
      shape->key_fields = first.key_fields;
      shape->second->key_fields = second.key_fields;
      shape->key_types = KeyTraits<K>::types();
      shape->optional_key = KeyTraits<K>::optional;
    }
    shape->output = schema_of<R>();
    shape->sides = std::make_shared<SideOutputs>();
    shape->event_time = first.event_time || second.event_time;
    draft.keyed = keyed;
    draft.sides = shape->sides;
    draft.outputs = {{.name = {}, .schema = schema_of<R>(), .event_time = shape->event_time}};
    draft.factory = std::make_shared<ProcessFactory<P, Args...>>(std::move(shape), std::move(arguments));
    const NodeId node = plan_->add(std::move(draft), {&first, &second}, where);
    return Stream<R>{plan_, plan_->stream_of(node), where};
  }

  std::shared_ptr<Plan> plan_;
  StreamInfo first_;
  StreamInfo second_;
  std::vector<std::uint16_t> first_positions_;
  std::vector<std::uint16_t> second_positions_;
};

}  // namespace dataflow
