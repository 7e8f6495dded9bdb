#pragma once
// KeyedStream<T, K>: a stream whose records are spread by a key.

#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

#include "dataflow/stream.hpp"

namespace dataflow {

/// A stream whose records are spread by a key, so that state and windows can be kept for each.
template <class T, class K>
class KeyedStream : public Stream<T>, public ProcessCalls<KeyedStream<T, K>> {
 public:
  KeyedStream(const Stream<T>& stream, const StreamInfo& keyed) : Stream<T>{stream} { this->info_ = keyed; }

  using ProcessCalls<KeyedStream<T, K>>::process;

  WindowedStream<T, K> window(WindowSpec window, Place where = Place::current()) {
    return {*this, std::move(window), where};
  }

  /// Both streams into one function, with one state for each key: see co_process.hpp.
  template <class B, class K2>
  ConnectedStreams<T, B, K, K> connect(const KeyedStream<B, K2>& other, Place where = Place::current()) {
    static_assert(std::is_same_v<K, K2>, "the keys of streams that are connected have the same type");
    return {*this, other, where};
  }
  /// Each key's records and rules that every subtask has, `connect(rules.broadcast())`: see broadcast.hpp.
  template <class B>
  ConnectedStreams<T, B, K, NoKey> connect(const Stream<B>& other, Place where = Place::current()) {
    return {*this, other, where};
  }

  /// Pairs of records with the same key: see joined_streams.hpp.
  template <class B, class K2>
  auto join(const KeyedStream<B, K2>& other) {
    return joined<Outer::none>(other);
  }
  /// The same, and this stream's records that have no match.
  template <class B, class K2>
  auto left_join(const KeyedStream<B, K2>& other) {
    return joined<Outer::left>(other);
  }
  template <class B, class K2>
  auto right_join(const KeyedStream<B, K2>& other) {
    return joined<Outer::right>(other);
  }
  template <class B, class K2>
  auto full_join(const KeyedStream<B, K2>& other) {
    return joined<Outer::both>(other);
  }

  /// All records that both have of a key in a window, given to one function: see co_grouped_streams.hpp.
  template <class B, class K2>
  CoGroupedStreams<T, B, K> co_group(const KeyedStream<B, K2>& other) {
    static_assert(std::is_same_v<K, K2>, "the keys of streams in a co_group have the same type");
    return {*this, other};
  }

  /// Looks for a pattern in the records of each key: see pattern.hpp.
  PatternStream<T> pattern(Pattern<T> pattern, Place where = Place::current()) {
    return {*this, std::move(pattern), where};
  }

  /// The running value of `f(what there was, the record)` for each key; a key's first record as it is.
  template <class F>
  Stream<T> reduce(F f, Place where = Place::current()) {
    static_assert(Codec<T>::known,
                  "reduce keeps a record for each key: its members own their bytes (std::string, not "
                  "std::string_view)");
    return add_function<RunningReduce<F>>(std::tuple<F>{std::move(f)},
                                          {.type = "reduce", .sorted_in_batch = KeyGrowth::none}, where);
  }

 private:
  template <class, class>
  friend class WindowedStream;
  template <class, class>
  friend class TriggeredStream;
  friend class ProcessCalls<KeyedStream>;

  template <class F>
  class RunningReduce final : public KeyedProcess<K, T, T> {
   public:
    explicit RunningReduce(F f) : f_{std::move(f)} {}
    void process(const T& record, typename KeyedProcess<K, T, T>::Context&, Output<T>& out) override {
      value_ = value_ ? f_(*value_, record) : record;
      out.emit(*value_);
    }

   private:
    F f_;
    ValueState<T> value_{this, "value"};
  };

  template <Outer O, class B, class K2>
  JoinedStreams<T, B, K, O> joined(const KeyedStream<B, K2>& other) {
    static_assert(std::is_same_v<K, K2>, "the keys of streams that are joined have the same type");
    return {*this, other};
  }

  template <class P, class... Args>
  auto add_process(std::tuple<Args...> arguments, const Place& where) {
    static_assert(KeyedFunction<P>,
                  "the function is a Process: call process before key_by, or derive from KeyedProcess");
    static_assert(std::is_same_v<typename P::key_type, K>, "the function's key has another type than the stream's");
    return add_function<P>(std::move(arguments), {.type = "process", .sorted_in_batch = KeyGrowth::with_rows}, where);
  }
  template <class P, class... Args>
  auto add_function(std::tuple<Args...> arguments, NodeDraft draft, const Place& where) {
    draft.stateful = true;
    draft.keyed = true;
    return this->template add_process_function<P>(std::move(arguments), KeyTraits<K>::types(), KeyTraits<K>::optional,
                                                  std::move(draft), where);
  }
};

}  // namespace dataflow
