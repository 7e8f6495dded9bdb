#pragma once
// Stream<T>: the records that flow between two nodes of a job, and what can be done with them. Each call adds a node to
// the plan; nothing runs until the job does.

#include <concepts>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "dataflow/async_operator.hpp"
#include "dataflow/kernels.hpp"
#include "dataflow/plan.hpp"
#include "dataflow/process.hpp"
#include "dataflow/process_calls.hpp"
#include "dataflow/process_operator.hpp"
#include "dataflow/record.hpp"
#include "dataflow/sink.hpp"

namespace dataflow {

template <class T>
class Stream;
template <class T, class K>
class KeyedStream;
template <class T, class K>
class WindowedStream;
template <class A, class B, class K, class KB>
class ConnectedStreams;
template <class A, class B, class K, Outer O>
class JoinedStreams;
template <class A, class B, class K>
class CoGroupedStreams;
template <class T>
class Pattern;
template <class T>
class PatternStream;

/// How far records may be behind the newest one: the watermark trails it by this much.
struct OutOfOrderness {
  Duration bound{0};
};
inline OutOfOrderness out_of_orderness(Duration bound) {
  return {bound};
}

/// What a sink call returns, for its name and parallelism.
class SinkHandle {
 public:
  SinkHandle(std::shared_ptr<Plan> plan, NodeId node) : plan_{std::move(plan)}, info_{.origins = {{node, 0}}} {}
  SinkHandle& named(std::string name, Place where = Place::current()) {
    plan_->set_name(info_, std::move(name), where);
    return *this;
  }
  SinkHandle& parallelism(std::uint32_t subtasks, Place where = Place::current()) {
    plan_->set_parallelism(info_, subtasks, where);
    return *this;
  }

 private:
  std::shared_ptr<Plan> plan_;
  StreamInfo info_;
};

/// What a lambda over T gives.
template <class F, class T>
using MapResult = std::remove_cvref_t<std::invoke_result_t<F&, const T&>>;

/// What is kept of a key whose member or lambda gives K: a key outlives the batch that a view looks into.
template <class K>
struct OwnedKeyOf {
  using type = K;
};
template <>
struct OwnedKeyOf<std::string_view> {
  using type = std::string;
};
template <>
struct OwnedKeyOf<std::optional<std::string_view>> {
  using type = std::optional<std::string>;
};
template <class K>
using OwnedKey = typename OwnedKeyOf<K>::type;

/// Whether a function of class P has state. That is known of an object: one is made, if the answer matters.
template <class P, class... Args>
std::function<bool()> state_question(const std::tuple<Args...>& arguments) {
  return [arguments] {
    return std::apply(
        [](const Args&... each) {
          const P function(each...);
          return static_cast<const StateOwner&>(function).declares_state();
        },
        arguments);
  };
}

template <class T>
class Stream : public ProcessCalls<Stream<T>> {
 public:
  using record_type = T;

  Stream(std::shared_ptr<Plan> plan, StreamInfo info, Place where = Place::current())
      : plan_{std::move(plan)}, info_{std::move(info)} {
    auto found = match_fields(record_info<T>(), *info_.schema);
    if (found) {
      positions_ = std::move(*found);
    } else {
      plan_->mistake(where, found.error().message());
      for (std::size_t i = 0; i < field_count<T>; ++i) positions_.push_back(static_cast<std::uint16_t>(i));
    }
  }

  /// Event time from a timestamp member. Best directly after a source, which makes watermarks for each of its splits;
  /// elsewhere they are made from all records of a subtask in the order in which they come. A source or subtask that is
  /// silent for `idle_after` holds no watermark back.
  template <class M, std::same_as<T> Record>
  Stream event_time(M Record::*member, OutOfOrderness bound = {}, std::optional<Duration> idle_after = {},
                    Place where = Place::current()) {
    static_assert(std::is_same_v<M, Timestamp>, "event time is a member of type dataflow::Timestamp");
    plan_->set_event_time(info_, positions_[member_index(member)], bound.bound, idle_after, where);
    return *this;
  }

  /// The records for which `keep(record)` is true.
  template <class F>
  Stream filter(F keep, Place where = Place::current()) {
    static_assert(std::is_invocable_r_v<bool, F&, const T&>, "a filter takes (const T&) and returns bool");
    using Piece = PieceFactory<RowFilterFactory, LambdaFilter<T, F>, F, std::vector<std::uint16_t>>;
    RowPipeline rows{
        .filters = {std::make_shared<Piece>(std::move(keep), positions_)}, .map = nullptr, .reads = positions_};
    return derived<T>({.type = "filter", .outputs = {same_output()}, .rows = std::move(rows)}, where);
  }

  /// `convert(record)` for each record.
  template <class F>
  auto map(F convert, Place where = Place::current()) {
    using R = MapResult<F, T>;
    require_record<R>();
    using Piece = PieceFactory<RowMapFactory, LambdaMap<T, R, F>, F, std::vector<std::uint16_t>>;
    RowPipeline rows{
        .filters = {}, .map = std::make_shared<Piece>(std::move(convert), positions_), .reads = positions_};
    return derived<R>({.type = "map", .outputs = {output_of<R>()}, .rows = std::move(rows)}, where);
  }

  /// Every element of the range that `expand(record)` returns.
  template <class F>
  auto flat_map(F expand, Place where = Place::current()) {
    using R = std::remove_cvref_t<decltype(*std::begin(std::declval<std::invoke_result_t<F&, const T&>&>()))>;
    return flat_map<R>(std::move(expand), where);
  }
  /// What `expand(record, out)` emits.
  template <class R, class F>
  Stream<R> flat_map(F expand, Place where = Place::current()) {
    using Made = SimpleFactory<LambdaFlatMap<T, R, F>, F, std::vector<std::uint16_t>, bool>;
    const FieldUse use{.reads = {positions_.begin(), positions_.end()}, .passing_outputs = {}};
    auto factory = std::make_shared<Made>(use, std::move(expand), positions_, info_.event_time);
    return derived<R>({.type = "flat_map", .outputs = {output_of<R>()}, .factory = std::move(factory)}, where);
  }

  /// The records for which a condition of the expression language is true: `where("amount > 0 AND card IS NOT NULL")`.
  Stream where(std::string_view condition, Place place = Place::current()) {
    StreamInfo info = info_;
    add_where(*plan_, info, condition, place);
    return {plan_, std::move(info), place};
  }

  /// New records from expressions: `select<Total>({{"card", "card"}, {"gross", "amount * 1.19"}})`.
  template <class R>
  Stream<R> select(const std::vector<std::pair<std::string, std::string>>& fields, Place where = Place::current()) {
    StreamInfo info = info_;
    add_select(*plan_, info, fields, record_info<R>(), where);
    return {plan_, std::move(info), where};
  }

  /// Records with an equal member go to the same subtask, and state is kept for each value of it.
  template <class K, std::same_as<T> Record>
  KeyedStream<T, OwnedKey<K>> key_by(K Record::*member) {
    StreamInfo info = info_;
    info.key_fields = {positions_[member_index(member)]};
    return {*this, std::move(info)};
  }
  /// The same by several members; the key is a std::tuple.
  template <class A, class B, class... More, std::same_as<T> Record>
  KeyedStream<T, std::tuple<OwnedKey<A>, OwnedKey<B>, OwnedKey<More>...>> key_by(A Record::*a, B Record::*b,
                                                                                 More Record::*... more) {
    StreamInfo info = info_;
    info.key_fields = {positions_[member_index(a)], positions_[member_index(b)], positions_[member_index(more)]...};
    return {*this, std::move(info)};
  }
  /// The same by what a lambda computes; it must give equal keys for equal records.
  template <class F>
  requires std::is_invocable_v<F&, const T&>
  auto key_by(F key, Place where = Place::current()) {
    using K = MapResult<F, T>;
    static_assert(is_field<K>, "a key is a field's type: bool, int32_t, int64_t, double, std::string, ...");
    std::vector<Field> fields = info_.schema->fields();
    fields.push_back({"$key", FieldTraits<K>::type()});
    const SchemaPtr schema = make_schema(std::move(fields));
    using Piece = PieceFactory<RowMapFactory, LambdaKey<T, K, F>, F, std::vector<std::uint16_t>, SchemaPtr>;
    RowPipeline rows{.filters = {}, .map = std::make_shared<Piece>(std::move(key), positions_, schema), .reads = {}};
    StreamOutput output = same_output();
    output.schema = schema;
    Stream<T> with_key = derived<T>({.type = "key_by", .outputs = {output}, .rows = std::move(rows)}, where);
    StreamInfo info = with_key.info();
    info.key_fields = {schema->size() - 1};
    return KeyedStream<T, OwnedKey<K>>{with_key, std::move(info)};
  }

  /// Batches are dealt out to the subtasks of the next node in turn.
  Stream rebalance() { return partitioned(Partitioning::rebalance); }
  /// Every subtask of the next node gets every record.
  Stream broadcast() { return partitioned(Partitioning::broadcast); }

  /// The records of all the streams, in no particular order.
  template <class... Others>
  Stream union_with(const Stream<Others>&... others) {
    static_assert((std::is_same_v<Others, T> && ...), "a union is of streams of the same record type");
    return united({others.info()...}, Place::current());
  }

  /// Both streams into one function, whose subtasks are given what those of both streams have.
  template <class B>
  ConnectedStreams<T, B, NoKey, NoKey> connect(const Stream<B>& other, Place where = Place::current()) {
    return {*this, other, where};
  }
  template <class B, class K>
  ConnectedStreams<T, B, NoKey, NoKey> connect(const KeyedStream<B, K>& other, Place where = Place::current()) {
    static_assert(!is_record<T>, "both streams that are connected have a key, or neither has");
    return {*this, other, where};
  }

  /// The record, or the vector of records, that the std::future of `call(record)` gives, for each record: see
  /// async.hpp. With R named, `call(record, df::Completion<R>)` is given what takes the answer.
  template <class R = void, class F>
  auto async_map(F call, AsyncOptions options = {}, Place where = Place::current()) {
    return add_async<R>(std::move(call), options, FailOnTimeout{}, where);
  }
  /// The same, where `otherwise(record)` stands for an answer that does not come in time.
  template <class R = void, class F, class G>
  requires std::is_invocable_v<G&, const T&>
  auto async_map(F call, AsyncOptions options, G otherwise, Place where = Place::current()) {
    return add_async<R>(std::move(call), options, std::move(otherwise), where);
  }

  /// A whole-batch operator of the engine's kind: `Op` derives from dataflow::Operator and emits R's schema.
  template <class Op, class R, class... Args>
  Stream<R> operate(Args... arguments) {
    using Made = SimpleFactory<Op, Args...>;
    auto factory = std::make_shared<Made>(std::nullopt, std::move(arguments)...);
    return derived<R>({.type = "operator", .outputs = {output_of<R>()}, .factory = std::move(factory)},
                      Place::current());
  }

  /// One window over everything, in one subtask.
  WindowedStream<T, NoKey> window(WindowSpec window, Place where = Place::current()) {
    return {*this, std::move(window), where};
  }

  /// Looks for a pattern in all records, in one subtask: see pattern.hpp.
  PatternStream<T> pattern(Pattern<T> pattern, Place where = Place::current()) {
    return {*this, std::move(pattern), where};
  }

  /// What the node in front emits to one of its side outputs.
  template <class S>
  Stream<S> side_output(std::string_view name, Place where = Place::current()) {
    return {plan_, plan_->side_output(info_.origins[0].node, name, record_info<S>(), where), where};
  }

  /// Names the node in front: in plans, logs and messages, and as the identity of its state.
  Stream named(std::string name, Place where = Place::current()) {
    plan_->set_name(info_, std::move(name), where);
    return *this;
  }
  /// How many subtasks the node in front has.
  Stream parallelism(std::uint32_t subtasks, Place where = Place::current()) {
    plan_->set_parallelism(info_, subtasks, where);
    return *this;
  }

  /// To standard output, as "json", "csv" or "table".
  SinkHandle print(std::string_view format = "json", Place where = Place::current()) {
    return {plan_, add_print(*plan_, info_, format, where)};
  }
  /// Part files in the folder `path`, visible once they are committed; `on_existing` says what to do with a folder
  /// that has files in it: "error", "append" or "replace".
  SinkHandle write_json(std::string_view path, std::string_view on_existing = "error", Place where = Place::current()) {
    return {plan_, add_file_sink(*plan_, info_, path, "json", on_existing, where)};
  }
  SinkHandle write_csv(std::string_view path, std::string_view on_existing = "error", Place where = Place::current()) {
    return {plan_, add_file_sink(*plan_, info_, path, "csv", on_existing, where)};
  }
  SinkHandle discard(Place where = Place::current()) { return {plan_, add_discard(*plan_, info_, where)}; }
  /// To a copy of `sink` (a Sink<T> or TwoPhaseSink<T>) in each subtask.
  template <class S>
  SinkHandle to(S sink, Place where = Place::current()) {
    static_assert(std::is_base_of_v<Sink<T>, S> || std::is_base_of_v<TwoPhaseSink<T>, S>,
                  "to() takes a dataflow::Sink or dataflow::TwoPhaseSink of the stream's records");
    auto factory = std::make_shared<TypedSinkFactory<S, S>>(positions_, std::tuple<S>{std::move(sink)});
    return {plan_, plan_->add({.type = "sink", .factory = std::move(factory)}, &info_, where)};
  }

  [[nodiscard]] const StreamInfo& info() const { return info_; }
  [[nodiscard]] const std::vector<std::uint16_t>& positions() const { return positions_; }
  [[nodiscard]] const std::shared_ptr<Plan>& plan() const { return plan_; }

 protected:
  template <class Op, class... Args>
  class SimpleFactory final : public OperatorFactory {
   public:
    explicit SimpleFactory(std::optional<FieldUse> use, Args... arguments)
        : use_{std::move(use)}, arguments_{std::move(arguments)...} {}
    [[nodiscard]] std::unique_ptr<Operator> create() const override {
      return std::apply([](const Args&... arguments) { return std::make_unique<Op>(arguments...); }, arguments_);
    }
    [[nodiscard]] std::optional<FieldUse> field_use() const override { return use_; }

   private:
    std::optional<FieldUse> use_;
    std::tuple<Args...> arguments_;
  };

  [[nodiscard]] StreamOutput same_output() const {
    return {.name = {}, .schema = info_.schema, .event_time = info_.event_time, .changelog = info_.changelog};
  }
  template <class R>
  [[nodiscard]] StreamOutput output_of() const {
    return {.name = {}, .schema = schema_of<R>(), .event_time = info_.event_time, .changelog = info_.changelog};
  }
  template <class R>
  Stream<R> derived(NodeDraft draft, const Place& where) {
    const NodeId node = plan_->add(std::move(draft), &info_, where);
    return {plan_, plan_->stream_of(node), where};
  }
  Stream partitioned(Partitioning how) {
    Stream copy = *this;
    copy.info_.partitioning = how;
    copy.info_.key_fields.clear();
    return copy;
  }
  Stream united(const std::vector<StreamInfo>& others, const Place& where) {
    Stream all = *this;
    for (const StreamInfo& other : others) {
      if (!(*other.schema == *info_.schema)) plan_->mistake(where, "the streams of a union have different schemas");
      all.info_.origins.insert(all.info_.origins.end(), other.origins.begin(), other.origins.end());
      all.info_.event_time = all.info_.event_time && other.event_time;
    }
    return all;
  }

  template <class Named, class F, class G>
  auto add_async(F call, const AsyncOptions& options, G otherwise, const Place& where) {
    static_assert(Codec<T>::known,
                  "a record outlives its batch while it waits for its answer: its members own their "
                  "bytes (std::string, not std::string_view)");
    using R = typename AsyncResult<Named, F, T>::type;
    require_record<R>();
    check_async(*plan_, info_, options, where);
    AsyncPlan shape{.positions = positions_, .record = schema_of<T>(), .output = schema_of<R>()};
    shape.event_time = info_.event_time;
    shape.options = options;
    NodeDraft draft{.type = "async_map", .outputs = {output_of<R>()}, .stateful = true};
    draft.factory = std::make_shared<AsyncFactory<T, R, F, G>>(std::move(shape), std::move(call), std::move(otherwise));
    return derived<R>(std::move(draft), where);
  }

  template <class P, class... Args>
  auto add_process(std::tuple<Args...> arguments, const Place& where) {
    static_assert(!KeyedFunction<P>, "a KeyedProcess needs a key: call key_by before process");
    NodeDraft draft{.type = "process"};
    draft.declares_state = state_question<P>(arguments);
    return add_process_function<P>(std::move(arguments), {}, false, std::move(draft), where);
  }
  /// Adds a node for P, whose key is the stream's.
  template <class P, class... Args>
  auto add_process_function(std::tuple<Args...> arguments, std::vector<DataType> key_types, bool optional_key,
                            NodeDraft draft, const Place& where) {
    using R = typename P::output_type;
    static_assert(std::is_same_v<typename P::input_type, T>,
                  "the process function takes other records than the stream");
    static_assert(std::is_constructible_v<P, const Args&...>, "the process function has no such constructor");
    auto shape = std::make_shared<ProcessPlan>();
    shape->key_fields = info_.key_fields;
    shape->key_types = std::move(key_types);
    shape->optional_key = optional_key;
    shape->positions = positions_;
    shape->output = schema_of<R>();
    shape->sides = std::make_shared<SideOutputs>();
    shape->event_time = info_.event_time;
    draft.sides = shape->sides;
    draft.outputs = {output_of<R>()};
    draft.factory = std::make_shared<ProcessFactory<P, Args...>>(std::move(shape), std::move(arguments));
    return derived<R>(std::move(draft), where);
  }

  std::shared_ptr<Plan> plan_;
  StreamInfo info_;
  std::vector<std::uint16_t> positions_;  ///< where the record's fields lie in info_.schema

  template <class, class>
  friend class WindowedStream;
  template <class, class>
  friend class TriggeredStream;
  friend class ProcessCalls<Stream>;
};

}  // namespace dataflow
