#pragma once
// A process function's state in a store: what lies in the function's slots is a write-back cache of it.
//
// A batch's keys that are not in a slot are fetched together. Changes stay in their slots, and go to the store when the
// slots are needed for other keys, or at a barrier: then the changed slots are sealed (frozen, see SlotArray), and
// whoever comes first writes them, the thread that writes the checkpoint, or this one because it needs room. Between
// the seal and that moment nothing else is written, so that the store's checkpoint is the state at the barrier.

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "dataflow/keyed_runtime.hpp"
#include "libdataflow/process/key_table.hpp"
#include "libdataflow/state/sealable_store.hpp"
#include "libdataflow/state/state_backend.hpp"
#include "libdataflow/state/stored_table.hpp"

namespace dataflow {

/// A key as bytes in a store, behind its group.
void append_stored_key(KeyShape shape, const std::vector<DataType>& types, std::int64_t integer, std::string_view text,
                       std::string& out);

/// How the values of a state lie in the entry of a key.
struct StoredForm {
  explicit StoredForm(const StateBase& state) : row{state.row_schema()}, many_rows{state.many_rows()} {}
  SchemaPtr row;  ///< null: they are no rows
  bool many_rows;
};

/// The changes between two barriers, and the checkpoint behind them.
class SealedChanges final : public SealedStore {
 public:
  using SealedStore::SealedStore;

 private:
  friend class KeyedCache;
  Status complete() override;
  Status write_changes();
  Status erase_expired();

  std::shared_ptr<SealedChanges> before_;  ///< those of a barrier whose checkpoint was given up
  KeyShape shape_ = KeyShape::none;
  std::vector<DataType> types_;
  std::vector<std::uint32_t> slots_;  ///< that have changed
  std::optional<FrozenKeys> keys_;
  std::optional<SlotArray<std::uint16_t>::Frozen> groups_;
  std::vector<std::unique_ptr<FrozenState>> states_;
  std::vector<StoredForm> forms_;
  std::shared_ptr<std::string> sweep_;  ///< where in the store the next look for expired values begins
};
using SealedChangesPtr = std::shared_ptr<SealedChanges>;

class KeyedCache {
 public:
  /// All outlive it, but for the store.
  KeyedCache(StateOwner& owner, KeyTable& keys, KeyShape shape, const std::vector<DataType>& types,
             std::uint32_t max_parallelism);

  /// An empty store in a new folder, or one on what `restore` has brought.
  Status open(const StateBackendPtr& backend);
  /// Whatever has been written, of the given groups. Into an empty cache.
  Status restore(StateReader& state, const StoredTableForm& form);

  /// Brings the state of a batch's keys into their slots. `fields`: of the key in the batch.
  Status load(const Batch& batch, std::span<const std::size_t> fields, const std::vector<std::uint32_t>& slots);
  [[nodiscard]] bool loaded(std::uint32_t slot) const { return slot < loaded_.size() && loaded_[slot] != 0; }
  /// Brings the state of slots whose keys have come by another way; drops those that were there from `slots`.
  Status load(std::vector<std::uint32_t>& slots);
  /// The key group of a slot whose key came with a timer of a checkpoint.
  void set_group(std::uint32_t slot, std::uint32_t group);
  [[nodiscard]] std::uint16_t group(std::uint32_t slot) const { return groups_[slot]; }
  /// Gives back the slot of a key that has nothing in memory any more.
  void release_unused(std::uint32_t slot);
  /// See KeyedRuntime.
  void let_go_of_idle(const std::vector<std::uint32_t>& slots);
  Status for_each_stored(const KeyedRuntime::VisitStored& visit);
  /// How many timers may be in memory.
  [[nodiscard]] std::size_t most_timers() const;
  [[nodiscard]] const StateBackendPtr& backend() const { return store_->backend(); }
  /// When no key is in use: lets go what has not been used for long, if there is more than the cache may hold.
  Status make_room();

  /// The synchronous part of a checkpoint.
  Result<SealedChangesPtr> seal();

  static constexpr std::uint16_t no_group = UINT16_MAX;

 private:
  struct Wanted {
    std::uint32_t slot;
    std::size_t key_at;
    std::size_t key_bytes;
  };

  void grow();
  Status fetch(const std::vector<std::uint32_t>& slots);
  Status decode(std::uint32_t slot, std::string_view value);
  /// What was sealed has to be in the store before anything else is written.
  Status settle();
  Status let_go(std::size_t slots);
  template <class MayGo>
  Status let_go_of(std::size_t& slots, MayGo&& may_go);
  void forget_stale_changes();
  void append_key(std::uint32_t slot, std::string& out) const;
  bool append_value(std::uint32_t slot, std::string& out) const;
  [[nodiscard]] std::size_t most_slots() const;

  StateOwner& owner_;
  KeyTable& keys_;
  KeyShape shape_;
  const std::vector<DataType>& types_;
  std::uint32_t max_parallelism_;
  OwnedStorePtr store_;
  SealedChangesPtr sealed_;        ///< until it is known to be written
  std::uint32_t sealed_from_ = 0;  ///< changes of that epoch and later ones may not be in the store
  SlotArray<std::uint16_t> groups_;
  std::vector<std::uint8_t> loaded_;
  std::vector<std::uint8_t> used_;  ///< since the hand came by (Corbato's clock)
  std::size_t resident_ = 0;        ///< slots that are loaded
  std::size_t hand_ = 0;
  std::shared_ptr<std::string> sweep_ = std::make_shared<std::string>();
  bool all_resident_ = true;  ///< what has no slot is not in the store either
  std::size_t variable_bytes_ = 0;
  // Scratch.
  std::vector<std::uint32_t> missing_;
  std::vector<std::uint64_t> hashes_;
  std::string key_bytes_;
  std::vector<Wanted> wanted_;
  std::vector<std::string_view> lookup_;
  StoreValues values_;
  StoreBatch changes_;
  std::string key_;
  std::string value_;
};

}  // namespace dataflow
