#pragma once
// A pattern over a stream on its way to a stream of results.

#include <functional>
#include <utility>

#include "dataflow/pattern.hpp"
#include "dataflow/stream.hpp"

namespace dataflow {

template <class T>
class PatternStream {
 public:
  PatternStream(const Stream<T>& input, Pattern<T> pattern, Place where)
      : plan_{input.plan()},
        info_{input.info()},
        positions_{input.positions()},
        pattern_{std::move(pattern)},
        where_{where} {}

  /// Gives the stream of what came too late to `consume`.
  template <class F>
  requires std::is_invocable_v<F&, Stream<T>> PatternStream& late_to(F consume) {
    late_consumer_ = std::move(consume);
    return *this;
  }

  /// The record that `function(match)` returns, for each match; its event time is when the match was decided.
  template <class F>
  auto select(F function) {
    return select(std::move(function), NoTimeouts{});
  }
  /// And one, on the side output "timeout", for what ran out of time, which is a match that lacks its end.
  template <class F, class G>
  auto select(F function, G on_timeout) {
    static_assert(std::is_invocable_v<F&, const Match<T>&>, "select takes a function of (const df::Match<T>&)");
    using R = typename MatchFunction<T, F>::Result;
    require_record<R>();
    PatternDraft draft{
        .pattern = pattern_.steps(), .results = schema_of<R>(), .timeouts = nullptr, .reads = positions_};
    if constexpr (!std::is_same_v<G, NoTimeouts>) draft.timeouts = schema_of<typename MatchFunction<T, G>::Result>();
    draft.make_logic = [pattern = pattern_, positions = positions_, function, on_timeout] {
      return std::make_unique<TypedPatternLogic<T, F, G>>(pattern, positions, function, on_timeout);
    };
    const NodeId node = add_pattern(*plan_, info_, std::move(draft), where_);
    Stream<R> results{plan_, plan_->stream_of(node), where_};
    if (late_consumer_) late_consumer_(results.template side_output<T>("late", where_));
    return results;
  }

 private:
  std::shared_ptr<Plan> plan_;
  StreamInfo info_;
  std::vector<std::uint16_t> positions_;
  Pattern<T> pattern_;
  Place where_;
  std::function<void(Stream<T>)> late_consumer_;
};

}  // namespace dataflow
