#pragma once
// What a process function runs on, without its types: the keys of a batch as slots, timers, and both as a snapshot.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dataflow/state.hpp"
#include "libdataflow/state/snapshot.hpp"
#include "serialization/batch.hpp"
#include "serialization/builder.hpp"

namespace dataflow {

class StateBackend;

enum class TimerDomain : std::uint8_t { event_time = 0, processing_time = 1 };

/// The name of timers that give memory back and no results.
inline constexpr std::string_view clean_up_timer = "$clean_up";

/// A timer that is due, taken out of the queue.
struct DueTimer {
  Timestamp time;
  std::uint32_t slot = 0;
  const std::string* name = nullptr;  ///< as long as the runtime
  TimerDomain domain = TimerDomain::event_time;
};

/// How a key is held: one integer, one text, or several fields encoded one after the other.
enum class KeyShape : std::uint8_t { none, integer, text, composite };

/// One fixed-width field that cannot be NULL is an integer key, one text that cannot be a text key.
KeyShape key_shape(std::span<const DataType> types, bool optional);

class KeyedRuntime {
 public:
  /// `fields` are the key's fields in the input's schema; none: one slot for everything.
  KeyedRuntime(StateOwner& owner, std::vector<std::size_t> fields, std::vector<DataType> types, bool optional);
  /// With keys of a given shape; a composite one may have no fields at all, and is one key then.
  KeyedRuntime(StateOwner& owner, std::vector<std::size_t> fields, std::vector<DataType> types, KeyShape shape);
  ~KeyedRuntime();
  KeyedRuntime(const KeyedRuntime&) = delete;
  KeyedRuntime& operator=(const KeyedRuntime&) = delete;

  /// Keeps state in a store of the backend's, and only what is in use in memory. Before anything else; without it
  /// everything is in memory. A function without key does not use it. Errors: io.
  Status use_backend(const std::shared_ptr<StateBackend>& backend, std::uint32_t max_parallelism);

  /// The slot of each row's key; valid until end_batch. Errors: of the store behind it.
  Result<const std::uint32_t*> begin_batch(const Batch& batch, Timestamp now);
  /// Gives back the slots of keys that have neither state nor timers, and looks at some others for values that have
  /// expired. Errors: of the store behind it.
  Status end_batch();
  /// Drops what has expired in the next `slots` slots: memory follows the TTL bit by bit. Between batches.
  void expire(std::uint32_t slots);
  /// Forgets all keys with their state and timers, for the room that they take: of state in a store, none. Between
  /// batches.
  void forget_keys();
  /// Whether there is state that expires, or a timer by the clock.
  [[nodiscard]] bool goes_by_the_clock() const;
  /// That are in memory.
  [[nodiscard]] std::size_t keys() const;
  void select(std::uint32_t slot) { owner_.slot_ = slot; }
  void set_now(Timestamp now) { owner_.now_ = now.micros; }
  [[nodiscard]] std::uint32_t slot() const { return owner_.slot_; }

  [[nodiscard]] KeyShape shape() const { return shape_; }
  [[nodiscard]] std::int64_t integer_key(std::uint32_t slot) const;
  /// The text, or the encoded fields of a composite key (as their Codecs write optionals).
  [[nodiscard]] std::string_view text_key(std::uint32_t slot) const;

  /// One timer for each (time, key, name); setting it twice is setting it once.
  void set_timer(TimerDomain domain, Timestamp time, std::string_view name);
  void delete_timer(TimerDomain domain, Timestamp time, std::string_view name);
  [[nodiscard]] std::optional<Timestamp> next_timer(TimerDomain domain) const;
  /// The event time of the first timer that is not for cleaning up, as far as that is known without looking into a
  /// store. Looks at all in front of it.
  [[nodiscard]] std::optional<Timestamp> next_result() const;
  /// Takes out the first timer at or before `until`, by (time, key, name), and selects its key. Errors: of the store
  /// behind it.
  Result<std::optional<DueTimer>> pop_due(TimerDomain domain, Timestamp until);
  /// After a timer: gives its key's slot back when nothing is left of it.
  void end_timer(std::uint32_t slot);

  /// Keyed state and timers as tables of a checkpoint; keys in order, so that equal states give equal bytes. Errors:
  /// unsupported naming a state whose values have no encoding.
  [[nodiscard]] Result<CapturedStatePtr> snapshot(std::uint32_t max_parallelism);
  /// Into an empty runtime. Errors: of the reader; malformed_data; invalid_argument naming a state that is not
  /// declared.
  Status restore(StateReader& state);

  // With a store and composite keys, for who knows better than by batches which keys are needed next:
  /// The slot of a key, as text_key has it; valid until end_batch. Its state is not brought.
  std::uint32_t slot_of(std::string_view key, std::uint16_t key_group);
  /// Brings the state of slots' keys, which may be there more than once. Errors: of the store.
  Status load(std::vector<std::uint32_t>& slots);
  /// The slot of a key whose state is in memory.
  [[nodiscard]] std::optional<std::uint32_t> find_loaded(std::string_view key) const;
  [[nodiscard]] std::uint16_t key_group(std::uint32_t slot) const;
  /// Gives back those of `slots` that have no state, while there is no key in the store that is not in memory: later
  /// such keys cost nothing. Between batches.
  void let_go_of_idle(const std::vector<std::uint32_t>& slots);
  /// Calls `visit(key group, key, value)` for the keys that are in the store only, in order. Of an owner with one
  /// state. Errors: of the store; what `visit` returns.
  using VisitStored = std::function<Status(std::uint16_t, std::string_view, std::string_view)>;
  Status for_each_stored(const VisitStored& visit);

  /// A declared state of the key given as JSON; "null" when it has none.
  /// Errors: not_found naming the states there are; invalid_argument when the key does not fit.
  Result<std::string> query(std::string_view state, std::string_view key_json);
  /// Errors: invalid_argument when two states have one name.
  [[nodiscard]] Status check() const;

 private:
  struct Impl;
  [[nodiscard]] bool has_ttl() const;
  Status balance_timers(TimerDomain domain);
  void take_into_use(std::uint32_t slot);
  [[nodiscard]] std::vector<Field> key_columns() const;
  std::uint32_t slot_of_row(const Batch& rows, std::uint32_t row);
  [[nodiscard]] SchemaPtr values_schema() const;
  [[nodiscard]] SchemaPtr timers_schema() const;
  Status check_declared(const StateDescription& written) const;
  Status check_types(StateReader& state) const;
  Status restore_values(const Batch& rows, const std::string& name);
  Status restore_timers(const Batch& rows, std::uint32_t group);
  StateOwner& owner_;
  KeyShape shape_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dataflow
