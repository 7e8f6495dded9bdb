#pragma once
// A stream of rules beside a stream of records: every subtask is given all rules and keeps them, so that they can be
// changed while the job runs, as Flink's broadcast state
// (https://nightlies.apache.org/flink/flink-docs-stable/docs/dev/datastream/fault-tolerance/broadcast_state/).
//
//     class AboveLimit : public df::KeyedBroadcastProcess<std::string, Payment, Limit, Alert> {
//      public:
//       void process(const Payment& p, Context& ctx, df::Output<Alert>& out) override {
//         const double* limit = limits_.find(p.kind);
//         if (limit != nullptr && p.amount > *limit) out.emit({ctx.key(), p.amount});
//       }
//       void process_broadcast(const Limit& rule, BroadcastContext&, df::Output<Alert>&) override {
//         limits_.put(rule.kind, rule.limit);
//       }
//      private:
//       df::BroadcastState<std::string, double> limits_{this, "limits"};
//     };
//     payments.key_by(&Payment::card).connect(rules.broadcast()).process<AboveLimit>().named("above_limit");
//
// All subtasks have the same rules as long as what process_broadcast does depends on the rule and the broadcast state
// alone. In a checkpoint they are once; after a change of parallelism each subtask has all of them again.

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dataflow/codec.hpp"
#include "dataflow/process.hpp"

namespace dataflow {

class BroadcastStateBase;

/// What has broadcast state as members.
class BroadcastOwner {
 public:
  BroadcastOwner() = default;
  BroadcastOwner(const BroadcastOwner&) = delete;
  BroadcastOwner& operator=(const BroadcastOwner&) = delete;

 private:
  friend class BroadcastStateBase;
  friend class BroadcastTable;
  std::vector<BroadcastStateBase*> broadcast_states_;  ///< in the order of their declaration
  bool may_change_ = false;                            ///< a rule is being processed
};

/// One declared broadcast state.
class BroadcastStateBase {
 public:
  BroadcastStateBase(BroadcastOwner* owner, std::string name);
  BroadcastStateBase(const BroadcastStateBase&) = delete;
  BroadcastStateBase& operator=(const BroadcastStateBase&) = delete;
  virtual ~BroadcastStateBase() = default;

  [[nodiscard]] const std::string& name() const { return name_; }
  /// All entries, as their Codecs write them, in the order of their keys.
  [[nodiscard]] virtual std::vector<std::pair<std::string, std::string>> encode() const = 0;
  /// Adds one entry; false when the bytes are not such.
  virtual bool decode(std::string_view key, std::string_view value) = 0;
  [[nodiscard]] virtual std::string json() const = 0;
  /// What `encode` writes, as StateType says it.
  [[nodiscard]] virtual std::string type() const = 0;

 protected:
  /// Throws std::logic_error outside of process_broadcast.
  void check_may_change() const {
    if (!owner_->may_change_) refuse_change();
  }

 private:
  [[noreturn]] void refuse_change() const;
  BroadcastOwner* owner_;
  std::string name_;
};

/// A map that every subtask has alike. Read anywhere, changed only in process_broadcast.
template <class K, class V>
class BroadcastState final : public BroadcastStateBase {
 public:
  static_assert(Codec<K>::known && Codec<V>::known,
                "state must own its bytes and fit into a snapshot: a record declared with DATAFLOW_RECORD, a field "
                "type, or std::vector, std::map, std::pair of these; in all of them std::string, not std::string_view");
  using BroadcastStateBase::BroadcastStateBase;

  [[nodiscard]] const std::map<K, V>& get() const { return entries_; }
  /// The entry's value, or null. Valid until the state changes.
  [[nodiscard]] const V* find(const K& key) const {
    const auto at = entries_.find(key);
    return at == entries_.end() ? nullptr : &at->second;
  }
  [[nodiscard]] bool contains(const K& key) const { return entries_.contains(key); }
  [[nodiscard]] auto begin() const { return entries_.begin(); }
  [[nodiscard]] auto end() const { return entries_.end(); }
  [[nodiscard]] std::size_t size() const { return entries_.size(); }
  [[nodiscard]] bool empty() const { return entries_.empty(); }

  void put(K key, V value) {
    check_may_change();
    entries_.insert_or_assign(std::move(key), std::move(value));
  }
  void remove(const K& key) {
    check_may_change();
    entries_.erase(key);
  }
  void clear() {
    check_may_change();
    entries_.clear();
  }

  [[nodiscard]] std::vector<std::pair<std::string, std::string>> encode() const override {
    std::vector<std::pair<std::string, std::string>> all;
    for (const auto& [key, value] : entries_) {
      auto& [key_bytes, value_bytes] = all.emplace_back();
      Codec<K>::encode(key, key_bytes);
      Codec<V>::encode(value, value_bytes);
    }
    return all;
  }
  bool decode(std::string_view key_bytes, std::string_view value_bytes) override {
    ByteReader keys{key_bytes};
    ByteReader values{value_bytes};
    K key{};
    V value{};
    Codec<K>::decode(keys, key);
    Codec<V>::decode(values, value);
    entries_.insert_or_assign(std::move(key), std::move(value));
    return keys.ok() && keys.at_end() && values.ok() && values.at_end();
  }
  [[nodiscard]] std::string json() const override { return state_to_json(entries_); }
  [[nodiscard]] std::string type() const override { return StateType<std::map<K, V>>::text(); }

 private:
  std::map<K, V> entries_;
};

/// What may be asked while a rule is processed: there is no key, and so neither keyed state nor timers.
class BroadcastContext {
 public:
  explicit BroadcastContext(ProcessContext& context) : context_{context} {}
  /// Event time of the rule; the least there is when its stream has none.
  [[nodiscard]] Timestamp timestamp() const { return context_.timestamp(); }
  [[nodiscard]] Timestamp watermark() const { return context_.watermark(); }
  /// Processing time.
  [[nodiscard]] Timestamp now() const { return context_.now(); }
  [[nodiscard]] const OperatorContext& runtime_context() const { return context_.runtime_context(); }
  Counter& counter(std::string_view name) { return context_.counter(name); }
  void set_result_time(Timestamp time) { context_.set_result_time(time); }
  template <class T>
  void emit(std::string_view output, const T& record) {
    context_.emit(output, record);
  }

 private:
  ProcessContext& context_;
};

/// A function over the records of each key, and rules that every subtask has.
template <class K, class In, class B, class Out>
class KeyedBroadcastProcess : public StateOwner, public BroadcastOwner {
 public:
  static_assert(KeyTraits<K>::known, "a key is a field's type, or a std::tuple of such");
  static_assert(KeyTraits<K>::owning,
                "a key outlives its records and owns its bytes: std::string, not "
                "std::string_view, also where the member that the stream is keyed by is a view");
  static_assert(is_record<In> && is_record<B> && is_record<Out>, "records are structs declared with DATAFLOW_RECORD");
  using key_type = K;
  using first_type = In;
  using second_type = B;
  using broadcast_type = B;
  using output_type = Out;
  using Context = KeyedContext<K>;
  using interface_type = KeyedBroadcastProcess;
  using BroadcastContext = dataflow::BroadcastContext;

  virtual ~KeyedBroadcastProcess() = default;
  virtual void open(const OperatorContext&) {}
  virtual void process(const In& record, Context& context, Output<Out>& out) = 0;
  /// In every subtask, for each rule. Keyed state does not exist here (throws std::logic_error when it is written).
  virtual void process_broadcast(const B& rule, BroadcastContext& context, Output<Out>& out) = 0;
  virtual void on_timer(Timestamp /*time*/, Context& /*context*/, Output<Out>& /*out*/) {}
  virtual void receives(Receiver&) {}
  virtual void close() {}
};

/// A function over the records of a subtask, and rules that every subtask has.
template <class In, class B, class Out>
class BroadcastProcess : public StateOwner, public BroadcastOwner {
 public:
  static_assert(is_record<In> && is_record<B> && is_record<Out>, "records are structs declared with DATAFLOW_RECORD");
  using first_type = In;
  using second_type = B;
  using broadcast_type = B;
  using output_type = Out;
  using Context = ProcessContext;
  using interface_type = BroadcastProcess;
  using BroadcastContext = dataflow::BroadcastContext;

  virtual ~BroadcastProcess() = default;
  virtual void open(const OperatorContext&) {}
  virtual void process(const In& record, Context& context, Output<Out>& out) = 0;
  virtual void process_broadcast(const B& rule, BroadcastContext& context, Output<Out>& out) = 0;
  virtual void on_timer(Timestamp /*time*/, Context& /*context*/, Output<Out>& /*out*/) {}
  virtual void receives(Receiver&) {}
  virtual void close() {}
};

/// Whether a function's second stream is one of rules.
template <class P>
concept BroadcastFunction = requires {
  typename P::broadcast_type;
};

/// The broadcast states of a function as a table of its checkpoints.
class BroadcastTable {
 public:
  explicit BroadcastTable(BroadcastOwner& owner) : owner_{owner} {}

  /// Errors: invalid_argument when two states have one name.
  [[nodiscard]] Status check() const;
  void allow_changes(bool allowed) { owner_.may_change_ = allowed; }
  /// What `of_function` captured, and these.
  [[nodiscard]] CapturedStatePtr snapshot(CapturedStatePtr of_function) const;
  /// Errors: those of the reader; invalid_argument naming a state that is not declared, or declared as another type;
  /// malformed_data.
  Status restore(StateReader& state);
  /// The state as JSON; nothing when none has the name.
  [[nodiscard]] std::optional<std::string> query(std::string_view state) const;

 private:
  BroadcastOwner& owner_;
};

}  // namespace dataflow
