#pragma once
// Keyed state, declared as a member of the process function that owns it:
//
//     df::ValueState<double> small_{this, "small", df::ttl(1h)};
//
// Idea: the engine looks the keys of a batch up once and numbers them (slots); every state is an array over slots, so
// that touching a state costs an index and no hashing, however many states a function has. A slot is given back when
// its key has neither state nor timers.

#include <cassert>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dataflow/codec.hpp"
#include "dataflow/slot_array.hpp"

namespace dataflow {

class Schema;
class StateBase;

/// How long a state is kept after it was last written, in processing time (Flink's OnCreateAndWrite, never returning
/// what has expired). Zero: for ever.
struct Ttl {
  Duration after{0};
};
inline Ttl ttl(Duration after) {
  return Ttl{after};
}

/// The current slot where no key is: beyond all that there are, so that nothing is found.
inline constexpr std::uint32_t slot_without_key = UINT32_MAX;

/// What has state as members. The engine sets the current slot before each call of the user's code.
class StateOwner {
 public:
  StateOwner() = default;
  StateOwner(const StateOwner&) = delete;
  StateOwner& operator=(const StateOwner&) = delete;

  [[nodiscard]] bool declares_state() const { return !states_.empty(); }

 private:
  friend class StateBase;
  friend class KeyedRuntime;
  friend class KeyedCache;
  std::uint32_t slot_ = 0;
  std::int64_t now_ = 0;                ///< processing time in microseconds, read once a batch
  std::vector<std::uint32_t> uses_{0};  ///< per slot: states with a value, and timers
  std::vector<StateBase*> states_;      ///< in the order of their declaration
  // Where state lies in a store: which slots have changed since the last barrier.
  bool tracks_ = false;
  std::uint32_t epoch_ = 1;                ///< grows with each barrier
  std::vector<std::uint32_t> changed_in_;  ///< per slot: the epoch of its last change
  std::vector<std::uint32_t> changed_;     ///< slots, some of them more than once
};

/// A state's values as they were at a barrier, for a thread that writes them. Outlives the state.
class FrozenState {
 public:
  virtual ~FrozenState() = default;
  /// Appends the value of a key; false when it had none.
  virtual bool encode(std::uint32_t slot, std::string& out) const = 0;
  /// With a TTL: when the key's value was last written.
  [[nodiscard]] virtual std::optional<std::int64_t> written_at(std::uint32_t /*slot*/) const { return std::nullopt; }
  /// With a TTL: values that were written then or before have expired.
  [[nodiscard]] virtual std::optional<std::int64_t> expired_at() const { return std::nullopt; }
};

/// One declared state over all keys.
class StateBase {
 public:
  StateBase(StateOwner* owner, std::string name, Ttl ttl);
  StateBase(const StateBase&) = delete;
  StateBase& operator=(const StateBase&) = delete;
  virtual ~StateBase() = default;

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] bool has_ttl() const { return ttl_.after.count() != 0; }
  /// Appends the value of a key; false when it has none.
  virtual bool encode(std::uint32_t slot, std::string& out) const = 0;
  /// With a TTL: when the key's value was last written, in processing time.
  [[nodiscard]] virtual std::optional<std::int64_t> written_at(std::uint32_t /*slot*/) const { return std::nullopt; }
  /// Forgets the value of a key, which is kept elsewhere.
  virtual void drop(std::uint32_t slot) = 0;
  /// What a slot takes, without what its value owns.
  [[nodiscard]] virtual std::size_t slot_bytes() const = 0;
  /// The values as they are now; what has expired by now is left out. Cheap however many there are.
  [[nodiscard]] virtual std::unique_ptr<FrozenState> freeze() = 0;
  /// Sets the value of a key to what encode wrote; false when the bytes are not such.
  virtual bool decode(std::uint32_t slot, std::string_view bytes) = 0;
  [[nodiscard]] virtual std::optional<std::string> json(std::uint32_t slot) const = 0;
  /// Forgets the value of a key if it has expired.
  virtual void expire(std::uint32_t slot) = 0;
  /// With a TTL: says when the key's value was last written, in processing time.
  virtual void set_written_at(std::uint32_t /*slot*/, std::int64_t /*micros*/) {}
  /// Whether a checkpoint can hold it.
  [[nodiscard]] virtual bool storable() const { return true; }
  /// What `encode` writes, as StateType says it; "null" when only this program knows.
  [[nodiscard]] virtual std::string value_type() const { return "null"; }
  /// Of a state whose values are rows: their schema. `encode` then gives their fields one after the other as
  /// stored_table.hpp writes them, of which the first is never NULL, and each is a column of the state's table.
  [[nodiscard]] virtual std::shared_ptr<const Schema> row_schema() const { return nullptr; }
  /// Whether a key may have several of these rows. `encode` then gives them one after the other, and `decode` is given
  /// them one by one, each to be added to those before it. Such a state is the only one of its owner.
  [[nodiscard]] virtual bool many_rows() const { return false; }
  /// What the value of a key takes beside slot_bytes and as many bytes as `encode` gives.
  [[nodiscard]] virtual std::size_t more_bytes(std::uint32_t /*slot*/) const { return 0; }

 protected:
  [[nodiscard]] std::uint32_t slot() const { return owner_->slot_; }
  [[nodiscard]] std::int64_t now() const { return owner_->now_; }
  [[nodiscard]] std::int64_t ttl_micros() const { return ttl_.after.count(); }
  /// To grow to, for a key that was not there. Throws std::logic_error where there is no key.
  [[nodiscard]] std::uint32_t slots() const {
    if (owner_->slot_ == slot_without_key) refuse_without_key();
    return static_cast<std::uint32_t>(owner_->uses_.size());
  }
  /// To be called with each change of a key's value.
  void changed(std::uint32_t slot) {
    if (!owner_->tracks_ || owner_->changed_in_[slot] == owner_->epoch_) return;
    owner_->changed_in_[slot] = owner_->epoch_;
    owner_->changed_.push_back(slot);
  }
  /// With a store: the slots that have changed since the last barrier, some of them more than once.
  [[nodiscard]] const std::vector<std::uint32_t>& changed_slots() const { return owner_->changed_; }
  void used(std::uint32_t slot) { ++owner_->uses_[slot]; }
  void unused(std::uint32_t slot) { --owner_->uses_[slot]; }

 private:
  [[noreturn]] void refuse_without_key() const;

  StateOwner* owner_;
  std::string name_;
  Ttl ttl_;
};

/// A V for each key that has one.
template <class V>
class SlotState : public StateBase {
 public:
  static_assert(Codec<V>::known,
                "state must own its bytes and fit into a snapshot: a record declared with DATAFLOW_RECORD, a field "
                "type, or std::vector, std::map, std::pair of these; in all of them std::string, not std::string_view");
  using StateBase::StateBase;

  bool encode(std::uint32_t slot, std::string& out) const override {
    const V* value = find(slot);
    if (value != nullptr) Codec<V>::encode(*value, out);
    return value != nullptr;
  }
  [[nodiscard]] std::optional<std::int64_t> written_at(std::uint32_t slot) const override {
    return slot < written_.size() ? std::optional{written_[slot]} : std::nullopt;
  }
  void drop(std::uint32_t slot) override {
    if (slot >= values_.size() || !values_[slot]) return;
    values_.write(slot).reset();
    unused(slot);
  }
  [[nodiscard]] std::size_t slot_bytes() const override {
    return sizeof(std::optional<V>) + (ttl_micros() != 0 ? sizeof(std::int64_t) : 0);
  }
  [[nodiscard]] std::unique_ptr<FrozenState> freeze() override {
    return std::make_unique<Frozen>(values_.freeze(), written_.freeze(),
                                    ttl_micros() == 0 ? std::nullopt : std::optional{now() - ttl_micros()});
  }
  bool decode(std::uint32_t slot, std::string_view bytes) override {
    ByteReader in{bytes};
    Codec<V>::decode(in, write(slot));
    return in.ok() && in.at_end();
  }
  [[nodiscard]] std::optional<std::string> json(std::uint32_t slot) const override {
    const V* value = find(slot);
    return value == nullptr ? std::nullopt : std::optional{state_to_json(*value)};
  }
  [[nodiscard]] std::string value_type() const override { return StateType<V>::text(); }
  void set_written_at(std::uint32_t slot, std::int64_t micros) override {
    if (slot < written_.size()) written_.write(slot) = micros;
  }
  void expire(std::uint32_t slot) override {
    if (ttl_micros() == 0 || slot >= values_.size()) return;
    if (values_[slot] && expired(slot)) erase(slot);
  }

 protected:
  [[nodiscard]] const V* find(std::uint32_t slot) const {
    if (slot >= values_.size() || !values_[slot] || expired(slot)) return nullptr;
    return &*values_[slot];
  }
  [[nodiscard]] const V* find() const { return find(this->slot()); }
  /// The key's value to be changed; a fresh one when there is none. Counts as written now.
  V& write(std::uint32_t slot) {
    if (slot >= values_.size()) {
      values_.grow(slots());
      if (ttl_micros() != 0) written_.grow(slots());
    }
    changed(slot);
    std::optional<V>& value = values_.write(slot);
    if (!value) {
      value.emplace();
      used(slot);
    } else if (expired(slot)) {
      value.emplace();
    }
    if (ttl_micros() != 0) written_.write(slot) = now();
    return *value;
  }
  V& write() { return write(this->slot()); }
  void erase(std::uint32_t slot) {
    if (slot >= values_.size() || !values_[slot]) return;
    changed(slot);
    values_.write(slot).reset();
    unused(slot);
  }
  void erase() { erase(this->slot()); }

 private:
  [[nodiscard]] bool expired(std::uint32_t slot) const {
    return ttl_micros() != 0 && now() - written_[slot] >= ttl_micros();
  }

  class Frozen final : public FrozenState {
   public:
    using Values = typename SlotArray<std::optional<V>>::Frozen;
    using Times = typename SlotArray<std::int64_t>::Frozen;
    Frozen(Values values, Times written, std::optional<std::int64_t> expired_at)
        : values_{std::move(values)}, written_{std::move(written)}, expired_at_{expired_at} {}
    bool encode(std::uint32_t slot, std::string& out) const override {
      if (slot >= values_.size() || !values_[slot]) return false;
      if (expired_at_ && slot < written_.size() && written_[slot] <= *expired_at_) return false;
      Codec<V>::encode(*values_[slot], out);
      return true;
    }
    [[nodiscard]] std::optional<std::int64_t> written_at(std::uint32_t slot) const override {
      return slot < written_.size() ? std::optional{written_[slot]} : std::nullopt;
    }

    [[nodiscard]] std::optional<std::int64_t> expired_at() const override { return expired_at_; }

   private:
    Values values_;
    Times written_;
    std::optional<std::int64_t> expired_at_;
  };

  SlotArray<std::optional<V>> values_;
  SlotArray<std::int64_t> written_;  ///< processing time; only with a TTL
};

/// One value for each key, or none. Reads like an optional: `if (small_) use(*small_); small_ = 3.0; small_.clear();`
template <class T>
class ValueState final : public SlotState<T> {
 public:
  ValueState(StateOwner* owner, std::string name, Ttl ttl = {}) : SlotState<T>{owner, std::move(name), ttl} {}

  explicit operator bool() const { return this->find() != nullptr; }
  [[nodiscard]] bool has_value() const { return this->find() != nullptr; }
  /// The key must have a value (asserted).
  const T& operator*() const {
    assert(has_value());
    return *this->find();
  }
  const T* operator->() const { return &**this; }
  [[nodiscard]] T value_or(T otherwise) const {
    const T* value = this->find();
    return value == nullptr ? std::move(otherwise) : *value;
  }
  ValueState& operator=(T value) {  // NOLINT: assigns the key's value, not the state
    this->write() = std::move(value);
    return *this;
  }
  void clear() { this->erase(); }
};

/// A list for each key, in the order of adding.
template <class T>
class ListState final : public SlotState<std::vector<T>> {
 public:
  ListState(StateOwner* owner, std::string name, Ttl ttl = {})
      : SlotState<std::vector<T>>{owner, std::move(name), ttl} {}

  void add(T value) { this->write().push_back(std::move(value)); }
  /// The whole list; empty when the key has none. Valid until the state changes.
  [[nodiscard]] const std::vector<T>& get() const {
    static const std::vector<T> none;
    const std::vector<T>* values = this->find();
    return values == nullptr ? none : *values;
  }
  void set(std::vector<T> values) {
    if (values.empty()) return this->erase();
    this->write() = std::move(values);
  }
  /// Changes the list in place: `change(std::vector<T>&)`.
  template <class Change>
  void update(Change&& change) {
    std::vector<T>& values = this->write();
    change(values);
    if (values.empty()) this->erase();
  }
  [[nodiscard]] auto begin() const { return get().begin(); }
  [[nodiscard]] auto end() const { return get().end(); }
  [[nodiscard]] std::size_t size() const { return get().size(); }
  [[nodiscard]] bool empty() const { return get().empty(); }
  void clear() { this->erase(); }
};

/// A map for each key, iterated in the order of its keys.
template <class K, class V>
class MapState final : public SlotState<std::map<K, V>> {
 public:
  MapState(StateOwner* owner, std::string name, Ttl ttl = {})
      : SlotState<std::map<K, V>>{owner, std::move(name), ttl} {}

  [[nodiscard]] const std::map<K, V>& get() const {
    static const std::map<K, V> none;
    const std::map<K, V>* entries = this->find();
    return entries == nullptr ? none : *entries;
  }
  /// The entry's value, or null. Valid until the state changes.
  [[nodiscard]] const V* find(const K& key) const {
    const auto& entries = get();
    const auto at = entries.find(key);
    return at == entries.end() ? nullptr : &at->second;
  }
  [[nodiscard]] bool contains(const K& key) const { return find(key) != nullptr; }
  void put(K key, V value) { this->write().insert_or_assign(std::move(key), std::move(value)); }
  void remove(const K& key) {
    if (!contains(key)) return;
    std::map<K, V>& entries = this->write();
    entries.erase(key);
    if (entries.empty()) this->erase();
  }
  [[nodiscard]] auto begin() const { return get().begin(); }
  [[nodiscard]] auto end() const { return get().end(); }
  [[nodiscard]] std::size_t size() const { return get().size(); }
  [[nodiscard]] bool empty() const { return get().empty(); }
  void clear() { this->erase(); }

 private:
  using SlotState<std::map<K, V>>::find;
};

/// One value for each key into which what is added is folded; a sum unless told otherwise.
template <class T>
class ReducingState final : public SlotState<T> {
 public:
  using Reduce = T (*)(const T&, const T&);
  ReducingState(StateOwner* owner, std::string name, Ttl ttl = {})
      : ReducingState{owner, std::move(name), [](const T& a, const T& b) -> T { return a + b; }, ttl} {}
  /// `reduce` is a function or a lambda that captures nothing.
  ReducingState(StateOwner* owner, std::string name, Reduce reduce, Ttl ttl = {})
      : SlotState<T>{owner, std::move(name), ttl}, reduce_{reduce} {}

  void add(const T& value) {
    const T* old = this->find();
    T reduced = old == nullptr ? value : reduce_(*old, value);
    this->write() = std::move(reduced);
  }
  /// Null when nothing was added.
  [[nodiscard]] const T* get() const { return this->find(); }
  explicit operator bool() const { return this->find() != nullptr; }
  const T& operator*() const {
    assert(this->find() != nullptr);
    return *this->find();
  }
  void clear() { this->erase(); }

 private:
  Reduce reduce_;
};

/// An aggregator (a record with `add` and `result`) for each key.
template <class Aggregator>
class AggregatingState final : public SlotState<Aggregator> {
 public:
  AggregatingState(StateOwner* owner, std::string name, Ttl ttl = {})
      : SlotState<Aggregator>{owner, std::move(name), ttl} {}

  template <class In>
  void add(const In& value) {
    this->write().add(value);
  }
  /// Nothing when the key has been given nothing.
  [[nodiscard]] auto get() const {
    const Aggregator* aggregator = this->find();
    using Answer = decltype(aggregator->result());
    return aggregator == nullptr ? std::optional<Answer>{} : std::optional<Answer>{aggregator->result()};
  }
  void clear() { this->erase(); }
};

}  // namespace dataflow
