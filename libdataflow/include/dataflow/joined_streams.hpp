#pragma once
// Pairs of records of two streams with the same key, as Flink's window and interval joins
// (https://nightlies.apache.org/flink/flink-docs-stable/docs/dev/datastream/operators/joining/):
//
//     orders.key_by(&Order::id)
//         .join(payments.key_by(&Payment::order))
//         .between(0s, 1h)                                        // or .window(df::tumbling(1h)), or .as_of()
//         .apply([](const Order& o, const Payment& p) { return Paid{o.id, p.amount}; })
//         .named("paid");
//
// They are the operators of a topology's `join` node (libdataflow/joins): rows are kept as bytes, and pairs made a
// batch at a time. The function is called for each of a batch of pairs.

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "dataflow/kernels.hpp"
#include "dataflow/keyed_stream.hpp"
#include "dataflow/plan.hpp"
#include "dataflow/stream.hpp"

namespace dataflow {

constexpr bool left_may_be_missing(Outer outer) {
  return outer == Outer::right || outer == Outer::both;
}
constexpr bool right_may_be_missing(Outer outer) {
  return outer == Outer::left || outer == Outer::both;
}

/// One side of a batch of pairs.
struct PairSideFields {
  std::size_t first = 0;              ///< column of the record's first field
  std::optional<std::size_t> marker;  ///< the column that is NULL where the side is missing
};
/// Points `views` at the record's columns. Errors: as bind_columns, for rows in which the side is not missing.
Status bind_pair_side(const Batch& pairs, const RecordInfo& record, const PairSideFields& side, ColumnView* views);
/// A pair of which both sides are missing, which only a NULL in a key that is not optional can be.
Error pair_of_nothing(const Batch& pairs, std::uint32_t row);

/// Calls a function with both records of each pair; with a pointer, null where the side is missing.
template <class A, class B, class R, class F, Outer O>
class LambdaPairs final : public RowMap {
  static constexpr std::size_t fields = field_count<A> + field_count<B>;

 public:
  explicit LambdaPairs(F function) : function_{std::move(function)}, results_{schema_of<R>()} {}

  Result<BatchPtr> apply(const Batch& pairs, const RowSelection& selection) override {
    if (auto status = bind_pair_side(pairs, record_info<A>(), left_, left_views_.data()); !status) {
      return fail(status.error());
    }
    if (auto status = bind_pair_side(pairs, record_info<B>(), right_, right_views_.data()); !status) {
      return fail(status.error());
    }
    std::uint32_t row = 0;
    try {
      for (; row < pairs.rows(); ++row) {
        const bool has_left = !left_.marker || !pairs.column(*left_.marker).is_null(row);
        const bool has_right = !right_.marker || !pairs.column(*right_.marker).is_null(row);
        if (!has_left && !has_right) return fail(pair_of_nothing(pairs, row));
        if (has_left) RowReader<A>::read_row(left_views_.data(), row, left_record_);
        if (has_right) RowReader<B>::read_row(right_views_.data(), row, right_record_);
        put_record<R>(results_, call(has_left, has_right));
        results_.end_row();
      }
    } catch (...) {
      return fail(error_of_current_exception(pairs, row));
    }
    return finish_mapped(results_, pairs, selection);
  }

 private:
  R call([[maybe_unused]] bool has_left, [[maybe_unused]] bool has_right) {
    [[maybe_unused]] const A* left = has_left ? &left_record_ : nullptr;
    [[maybe_unused]] const B* right = has_right ? &right_record_ : nullptr;
    if constexpr (O == Outer::none) {
      return function_(std::as_const(left_record_), std::as_const(right_record_));
    } else if constexpr (O == Outer::left) {
      return function_(std::as_const(left_record_), right);
    } else if constexpr (O == Outer::right) {
      return function_(left, std::as_const(right_record_));
    } else {
      return function_(left, right);
    }
  }

  static constexpr PairSideFields left_side() {
    return {0, left_may_be_missing(O) ? std::optional{fields} : std::nullopt};
  }
  static constexpr PairSideFields right_side() {
    return {field_count<A>,
            right_may_be_missing(O) ? std::optional{fields + (left_may_be_missing(O) ? 1 : 0)} : std::nullopt};
  }

  F function_;
  RowBuffer results_;
  PairSideFields left_ = left_side();
  PairSideFields right_ = right_side();
  std::array<ColumnView, field_count<A>> left_views_{};
  std::array<ColumnView, field_count<B>> right_views_{};
  A left_record_{};
  B right_record_{};
};

/// What a join's function is given for a side: the record, or a pointer, null where there is none.
template <class T, bool MayBeMissing>
using PairArgument = std::conditional_t<MayBeMissing, const T*, const T&>;

/// A join that only lacks what becomes of each pair.
template <class A, class B, class K, Outer O>
class TimedJoin {
 public:
  TimedJoin(KeyedStream<A, K> left, KeyedStream<B, K> right, JoinDraft draft, const Place& where)
      : draft_{std::move(draft)}, left_{std::move(left)}, right_{std::move(right)}, where_{where} {}

  /// The record that `function(left, right)` gives for each pair.
  template <class F>
  auto apply(F function) {
    using Left = PairArgument<A, left_may_be_missing(O)>;
    using Right = PairArgument<B, right_may_be_missing(O)>;
    static_assert(std::is_invocable_v<F&, Left, Right>,
                  "apply takes a function of (const A&, const B&); of a side that may be missing (the right one of a "
                  "left_join) of a const pointer, which is null then");
    using R = std::remove_cvref_t<std::invoke_result_t<F&, Left, Right>>;
    require_record<R>();
    JoinDraft draft = draft_;
    draft.outer = O;
    draft.optional_key = KeyTraits<K>::optional;
    draft.left_positions = left_.positions();
    draft.right_positions = right_.positions();
    draft.pairs = std::make_shared<PieceFactory<RowMapFactory, LambdaPairs<A, B, R, F, O>, F>>(std::move(function));
    draft.results = schema_of<R>();
    Plan& plan = *left_.plan();
    const NodeId node =
        add_join(plan, left_.info(), record_info<A>(), right_.info(), record_info<B>(), std::move(draft), where_);
    Stream<R> results{left_.plan(), plan.stream_of(node), where_};
    if (late_consumer_) {
      late_consumer_(results.template side_output<A>(late_of_left(draft_.late_output), where_),
                     results.template side_output<B>(late_of_right(draft_.late_output), where_));
    }
    return results;
  }

 protected:
  JoinDraft draft_;
  std::function<void(Stream<A>, Stream<B>)> late_consumer_;

 private:
  KeyedStream<A, K> left_;
  KeyedStream<B, K> right_;
  Place where_;
};

/// A join of what is in one window.
template <class A, class B, class K, Outer O>
class WindowJoin : public TimedJoin<A, B, K, O> {
 public:
  using TimedJoin<A, B, K, O>::TimedJoin;

  /// Gives the streams of what came too late to `consume`:
  /// `.late_to([](df::Stream<Order> orders, df::Stream<Payment> payments) { ... })`.
  template <class F>
  requires std::is_invocable_v<F&, Stream<A>, Stream<B>> WindowJoin& late_to(F consume) {
    this->late_consumer_ = std::move(consume);
    return *this;
  }
  /// The side outputs of what came too late are NAME_left and NAME_right: late_left and late_right otherwise.
  WindowJoin& late_to(const std::string& name) {
    this->draft_.late_output = name;
    return *this;
  }
};

/// Two streams with the same key, waiting to be told which of their records belong together.
template <class A, class B, class K, Outer O>
class JoinedStreams {
 public:
  JoinedStreams(KeyedStream<A, K> left, KeyedStream<B, K> right) : left_{std::move(left)}, right_{std::move(right)} {}

  /// Records in the same window of event time: tumbling, sliding, cumulate, or a session of both streams' records.
  /// Pairs are there when it is over, with its end less a microsecond as their time. A record that comes after its last
  /// window is late: it is counted, and in a side output.
  WindowJoin<A, B, K, O> window(WindowSpec window, Place where = Place::current()) {
    JoinDraft draft{.mode = JoinDraft::Mode::window};
    draft.window = std::move(window);
    return {left_, right_, std::move(draft), where};
  }
  /// A right record whose event time is the left's plus `low` to plus `high`, both included. A pair is there when its
  /// second record comes, with the later of their times; what has no match, when that is certain.
  TimedJoin<A, B, K, O> between(Duration low, Duration high, Place where = Place::current()) {
    return {left_, right_, {.mode = JoinDraft::Mode::interval, .low = low, .high = high}, where};
  }
  /// Each left record with the right one that was valid at its time: the newest of the key that is not newer. It is
  /// there, with the left's time, when the watermark has passed that.
  TimedJoin<A, B, K, O> as_of(Place where = Place::current()) {
    static_assert(O == Outer::none || O == Outer::left,
                  "a join as of a time gives left records with their version: join or left_join");
    return {left_, right_, {.mode = JoinDraft::Mode::as_of}, where};
  }

 private:
  KeyedStream<A, K> left_;
  KeyedStream<B, K> right_;
};

}  // namespace dataflow
