#pragma once
// Private to this folder.
//
// The keys of a pattern whose state lies in a store: what is in memory of it is a write-back cache, as the state of
// process functions is (see process/keyed_cache.hpp), of which a key's matches are one value.
//
// Rows go to their keys one by one, in the order of time, which is not the order in which they came. So keys are
// brought for the next rows and deadlines at once, whatever batches they are of; what is not there when its turn comes
// is a reason to look ahead again.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dataflow/keyed_runtime.hpp"
#include "libdataflow/patterns/key_index.hpp"
#include "libdataflow/patterns/stored_deadlines.hpp"

namespace dataflow::patterns {

/// What there is of each key.
class MatchesState final : public StateBase {
 public:
  /// `places`: of the program. The buffer outlives it.
  MatchesState(StateOwner* owner, MatchBuffer& buffer, std::size_t places)
      : StateBase{owner, "matches", {}}, buffer_{buffer}, places_{places} {}

  [[nodiscard]] KeyMatches& matches(KeySlot slot) { return matches_[slot]; }
  /// To be called after each change of them.
  void keep(KeySlot slot);
  [[nodiscard]] std::size_t size() const { return matches_.size(); }
  /// After slots have come.
  void grow() {
    if (matches_.size() < slots()) matches_.resize(slots());
  }

  bool encode(std::uint32_t slot, std::string& out) const override;
  bool decode(std::uint32_t slot, std::string_view bytes) override;
  void drop(std::uint32_t slot) override;
  /// Matches change in place and share rows: those that are to be written are written to memory at the barrier.
  [[nodiscard]] std::unique_ptr<FrozenState> freeze() override;
  [[nodiscard]] std::size_t slot_bytes() const override { return sizeof(KeyMatches) + sizeof(std::uint8_t); }
  /// Rows and chains take about twice what they are written in.
  [[nodiscard]] std::size_t more_bytes(std::uint32_t slot) const override;
  [[nodiscard]] std::optional<std::string> json(std::uint32_t /*slot*/) const override { return std::nullopt; }
  void expire(std::uint32_t /*slot*/) override {}

 private:
  MatchBuffer& buffer_;
  std::size_t places_;
  std::vector<KeyMatches> matches_;
  std::vector<std::uint8_t> counted_;  ///< whether the slot is in use for its matches
};

class StoredMatches {
 public:
  StoredMatches(MatchBuffer& buffer, std::size_t places, std::vector<DataType> key_types);
  /// Errors: io.
  Status open(const StateBackendPtr& backend, std::uint32_t max_parallelism);

  // Keys, as append_key_field writes them one after the other.
  [[nodiscard]] KeySlot slot_of(std::string_view key, std::uint16_t key_group) {
    return runtime_.slot_of(key, key_group);
  }
  /// The slot of a key that is in memory.
  [[nodiscard]] std::optional<KeySlot> find(std::string_view key) const { return runtime_.find_loaded(key); }
  [[nodiscard]] std::string_view key(KeySlot slot) const { return runtime_.text_key(slot); }
  [[nodiscard]] std::uint16_t key_group(KeySlot slot) const { return runtime_.key_group(slot); }
  /// Makes room for other keys: slots are not valid any more. Errors: of the store, here and below.
  Status make_room();
  /// Brings the matches of keys.
  Status load(std::vector<KeySlot>& slots);
  [[nodiscard]] KeyMatches& matches(KeySlot slot) { return state_.matches(slot); }
  /// After each change of them.
  void keep(KeySlot slot) { state_.keep(slot); }
  /// Appends the keys of slots to columns, one for each field.
  void write_keys(const std::vector<KeySlot>& slots, std::vector<ColumnBuilder>& columns) const;

  StoredDeadlines& deadlines() { return *deadlines_; }
  /// Calls `visit(key, key group, matches)` for all keys, in memory or not.
  Status for_each(const std::function<Status(std::string_view, std::uint16_t, const KeyMatches&)>& visit);

  [[nodiscard]] Result<CapturedStatePtr> snapshot(std::uint32_t max_parallelism) {
    return runtime_.snapshot(max_parallelism);
  }
  Status restore(StateReader& state) { return runtime_.restore(state); }
  /// A key of a checkpoint that was written from the heap; false when it is damaged.
  bool take_in(std::string_view key, std::uint16_t key_group, std::string_view saved);

 private:
  struct Owner : StateOwner {};
  MatchBuffer& buffer_;
  std::size_t places_;
  std::vector<DataType> key_types_;
  Owner owner_;
  MatchesState state_;
  KeyedRuntime runtime_;
  std::optional<StoredDeadlines> deadlines_;
  std::vector<KeySlot> ahead_;  ///< whose keys were looked for last
};

}  // namespace dataflow::patterns
