#pragma once
// Stream<T>: the records that flow between two nodes of a job, and what can be done with them. Each call adds a node to
// the plan; nothing runs until the job does.

#include <concepts>
#include <functional>
#include <memory>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>
#include <tuple>
#include <typeinfo>
#include <utility>
#include <vector>

#include "dataflow/kernels.hpp"
#include "dataflow/plan.hpp"
#include "dataflow/process_operator.hpp"
#include "dataflow/record.hpp"
#include "dataflow/sink.hpp"
#include "dataflow/window.hpp"
#include "dataflow/window_function.hpp"

namespace dataflow {

template <class T>
class Stream;
template <class T, class K>
class KeyedStream;
template <class T, class K>
class WindowedStream;
template <class T>
class Pattern;
template <class T>
class PatternStream;

using Place = std::source_location;

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

/// The ways to say `process`, with up to six arguments for the function's constructor, for streams with and without a
/// key: a place by default cannot stand behind a pack.
template <class Self>
class ProcessCalls {
 public:
  /// Feeds a process function `P`, made from the arguments in each subtask.
  template <class P>
  auto process(Place where = Place::current()) {
    return add<P>(std::tuple<>{}, where);
  }
  template <class P, class A>
  auto process(A a, Place where = Place::current()) {
    return add<P>(std::tuple<A>{std::move(a)}, where);
  }
  template <class P, class A, class B>
  auto process(A a, B b, Place where = Place::current()) {
    return add<P>(std::tuple<A, B>{std::move(a), std::move(b)}, where);
  }
  template <class P, class A, class B, class C>
  auto process(A a, B b, C c, Place where = Place::current()) {
    return add<P>(std::tuple<A, B, C>{std::move(a), std::move(b), std::move(c)}, where);
  }
  template <class P, class A, class B, class C, class D>
  auto process(A a, B b, C c, D d, Place where = Place::current()) {
    return add<P>(std::tuple<A, B, C, D>{std::move(a), std::move(b), std::move(c), std::move(d)}, where);
  }
  template <class P, class A, class B, class C, class D, class E>
  auto process(A a, B b, C c, D d, E e, Place where = Place::current()) {
    return add<P>(std::tuple<A, B, C, D, E>{std::move(a), std::move(b), std::move(c), std::move(d), std::move(e)},
                  where);
  }
  template <class P, class A, class B, class C, class D, class E, class F>
  auto process(A a, B b, C c, D d, E e, F f, Place where = Place::current()) {
    return add<P>(std::tuple<A, B, C, D, E, F>{std::move(a), std::move(b), std::move(c), std::move(d), std::move(e),
                                               std::move(f)},
                  where);
  }
  template <class P, class... Many>
  requires(sizeof...(Many) > 6 && !(std::is_same_v<Many, Place> || ...)) auto process(Many...) {
    static_assert(sizeof...(Many) <= 6,
                  "process takes at most six arguments for the function's constructor: give it a struct of them");
  }

 private:
  template <class P, class Arguments>
  auto add(Arguments arguments, const Place& where) {
    return static_cast<Self&>(*this).template add_process<P>(std::move(arguments), where);
  }
};

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

  template <class P, class... Args>
  auto add_process(std::tuple<Args...> arguments, const Place& where) {
    static_assert(!KeyedFunction<P>, "a KeyedProcess needs a key: call key_by before process");
    NodeDraft draft{.type = "process"};
    // Which state a function has is known of an object: one is made, if the answer matters.
    draft.declares_state = [arguments] {
      return std::apply(
          [](const Args&... each) {
            const P function(each...);
            return static_cast<const StateOwner&>(function).declares_state();
          },
          arguments);
    };
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
  friend class ProcessCalls<Stream>;
};

/// A stream whose records are spread by a key, so that state and windows can be kept for each.
template <class T, class K>
class KeyedStream : public Stream<T>, public ProcessCalls<KeyedStream<T, K>> {
 public:
  KeyedStream(const Stream<T>& stream, const StreamInfo& keyed) : Stream<T>{stream} { this->info_ = keyed; }

  using ProcessCalls<KeyedStream<T, K>>::process;

  WindowedStream<T, K> window(WindowSpec window, Place where = Place::current()) {
    return {*this, std::move(window), where};
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
    return add_function<RunningReduce<F>>(std::tuple<F>{std::move(f)}, {.type = "reduce"}, where);
  }

 private:
  template <class, class>
  friend class WindowedStream;
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

  template <class P, class... Args>
  auto add_process(std::tuple<Args...> arguments, const Place& where) {
    static_assert(KeyedFunction<P>,
                  "the function is a Process: call process before key_by, or derive from KeyedProcess");
    static_assert(std::is_same_v<typename P::key_type, K>, "the function's key has another type than the stream's");
    return add_function<P>(std::move(arguments), {.type = "process"}, where);
  }
  template <class P, class... Args>
  auto add_function(std::tuple<Args...> arguments, NodeDraft draft, const Place& where) {
    draft.stateful = true;
    draft.keyed = true;
    return this->template add_process_function<P>(std::move(arguments), KeyTraits<K>::types(), KeyTraits<K>::optional,
                                                  std::move(draft), where);
  }
};

/// A stream cut into windows, waiting to be told what to compute over each.
template <class T, class K>
class WindowedStream {
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
  WindowedStream& trigger(Trigger trigger) {
    draft_.spec.early = trigger.early;
    return *this;
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
