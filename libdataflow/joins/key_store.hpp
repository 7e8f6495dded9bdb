#pragma once
// The keys of a join that memory has no room for: one entry for each, with all its rows of both sides. A key is either
// here or in memory, never in both, so that a checkpoint is what is in memory and a view of the store.
//
// Time passes for keys that lie here, too. So each has a time at which something is to be done about it, and a second
// entry by which the keys are found in the order of those times.

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "libdataflow/joins/row_state.hpp"
#include "libdataflow/state/state_backend.hpp"

namespace dataflow::joins {

/// A key's rows, and when they are wanted.
struct KeyEntry {
  static constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();

  std::string rows;            ///< as append_row writes them
  std::int64_t wakes = never;  ///< microseconds: when something is to be done
  bool ends = false;           ///< which is to forget it

  void wake_at(std::int64_t time) { wakes = std::min(time, never - 1); }

  void clear() {
    rows.clear();
    wakes = never;
    ends = false;
  }
};

/// Errors of all calls: those of StateStore.
class KeyStore {
 public:
  explicit KeyStore(OwnedStorePtr store) : store_{std::move(store)} {}

  /// Of its keys.
  [[nodiscard]] std::size_t size() const { return keys_; }
  [[nodiscard]] bool empty() const { return keys_ == 0; }
  [[nodiscard]] const OwnedStorePtr& store() const { return store_; }

  /// Puts a key that is not here. Not seen before `flush`.
  Status put(std::string_view key, const KeyEntry& entry);
  Status flush();

  /// Calls `visit(i, rows)` for each of `keys` that is here, and takes it out. Sorted keys are found fastest.
  template <class Visit>
  Status take(std::span<const std::string_view> keys, Visit&& visit) {
    if (Status found = find(keys); !found) return found;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (values_[i]) visit(i, values_[i]->substr(header_bytes));
    }
    return forget(keys);
  }

  /// Whether there may be keys whose time is `now` or earlier.
  [[nodiscard]] bool may_wake(std::int64_t now) const { return earliest_ <= now && earliest_ != KeyEntry::never; }
  /// No key wakes before.
  [[nodiscard]] std::int64_t earliest() const { return earliest_; }
  /// The keys whose time is `now` or earlier, in its order and at most so many of them; those that only end are taken
  /// out instead. Returns the time up to which these are all: `now`, or an earlier one when there are more.
  Result<std::int64_t> due(std::int64_t now, std::size_t most, std::vector<std::string>& keys);

  /// Adds rows of the side to the table that is being captured, as they are now.
  void capture(std::size_t side, CapturedRows& captured) const;

 private:
  static constexpr std::size_t header_bytes = sizeof(std::int64_t) + 1;

  Status find(std::span<const std::string_view> keys);
  Status forget(std::span<const std::string_view> keys);

  OwnedStorePtr store_;
  std::size_t keys_ = 0;
  std::int64_t earliest_ = KeyEntry::never;
  StoreBatch changes_;
  StoreValues values_;
  // Scratch.
  std::string key_;
  std::string value_;
  std::vector<std::string> stored_keys_;
  std::vector<std::string_view> views_;
};

}  // namespace dataflow::joins
