#pragma once
// The keys of a join that memory has no room for: one entry for each, with all its rows of both sides. A key is either
// here or in memory, never in both, so that a checkpoint is what is in memory and the store's files.
//
// Time passes for keys that lie here, too. So each has a time at which something is to be done about it, and an entry
// in a second store by which keys are found in the order of those times. That one is in no checkpoint: it follows from
// the first.

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "libdataflow/joins/entry_form.hpp"
#include "libdataflow/state/restored_store.hpp"
#include "libdataflow/state/sealable_store.hpp"

namespace dataflow::joins {

/// Errors of all calls: those of StateStore.
class KeyStore {
 public:
  /// `waking`: whether keys may have a time at all.
  static Result<KeyStore> open(const StateBackendPtr& backend, EntryFormPtr form, bool waking);

  [[nodiscard]] const StateBackendPtr& backend() const { return rows_.backend(); }
  /// What the rows in memory may take: with the share of the second store, which keeps nothing in memory.
  [[nodiscard]] std::uint64_t budget_bytes() const { return backend()->cache_bytes() * (wakes_ != nullptr ? 2 : 1); }
  /// Whether it has no key.
  [[nodiscard]] bool empty() const { return keys_ == 0; }

  /// Puts a key that is not here, with at least one row. Not seen before `flush`, until which the key stays valid.
  Status put(const windows::KeyRef& key, const KeyEntry& entry);
  Status flush();

  /// Calls `visit(i, row)` for each row of those of `keys` that are here, and takes them out. No key twice.
  template <class Visit>
  Status take(std::span<const windows::KeyRef> keys, Visit&& visit) {
    if (Status found = find(keys); !found) return found;
    for (const DecodedRows::Row& row : decoded_.rows) visit(order_[row.key], row.entry);
    return forget();
  }

  /// Whether there may be keys whose time is `now` or earlier.
  [[nodiscard]] bool may_wake(std::int64_t now) const { return earliest_ <= now && earliest_ != KeyEntry::never; }
  /// No key wakes before.
  [[nodiscard]] std::int64_t earliest() const { return earliest_; }
  /// The keys whose time is `now` or earlier, in its order and at most so many of them; those that only end are taken
  /// out instead. Returns the time up to which these are all: `now`, or an earlier one when there are more. The keys
  /// are valid until the next call.
  Result<std::int64_t> due(std::int64_t now, std::size_t most, std::vector<windows::KeyRef>& keys);

  /// What is in the store now becomes part of the capture.
  Status capture(CapturedRows& captured);
  /// Takes the store of a checkpoint over as it is, if that can be: true then, and `visit(numbers)` has been called for
  /// each row if keys may have times. Before anything was put.
  template <class Visit>
  Result<bool> restore(StateReader& state, Visit&& visit) {
    auto store = restore_store(backend(), state, form_->description().name, *form_->description().schema);
    if (!store) return fail(store.error());
    if (*store == nullptr) return false;
    rows_ = SealableStore{std::move(*store)};
    keys_ = unknown;
    if (wakes_ == nullptr) return true;
    keys_ = 0;
    const auto scan = rows_.scan({}, {});
    for (; scan->valid(); scan->next()) {
      const auto summary = form_->summary(scan->value(), visit);
      if (!summary) return fail(summary.error());
      ++keys_;
      if (Status waits = wake_at(*summary, scan->key()); !waits) return fail(waits.error());
    }
    if (Status walked = scan->status(); !walked) return fail(walked.error());
    if (Status flushed = flush(); !flushed) return fail(flushed.error());
    return true;
  }

 private:
  /// Of a store that was taken over and not walked over: it is never taken for empty.
  static constexpr std::int64_t unknown = std::numeric_limits<std::int64_t>::max() / 2;

  KeyStore(OwnedStorePtr rows, OwnedStorePtr wakes, EntryFormPtr form)
      : form_{std::move(form)}, rows_{std::move(rows)}, wakes_{std::move(wakes)} {}

  Status wake_at(const EntrySummary& summary, std::string_view key);
  Status find(std::span<const windows::KeyRef> keys);
  Status forget();

  EntryFormPtr form_;
  SealableStore rows_;
  OwnedStorePtr wakes_;  ///< null: no key has a time
  std::int64_t keys_ = 0;
  std::int64_t earliest_ = KeyEntry::never;
  StoreBatch changes_;
  StoreBatch wake_changes_;
  // Put and not written:
  std::vector<windows::KeyRef> put_keys_;
  std::vector<KeyEntry> put_entries_;
  std::size_t put_bytes_ = 0;
  // Of the last lookup, in the order of the store's keys:
  std::vector<std::size_t> order_;  ///< which of the keys asked for
  std::vector<std::string_view> lookup_;
  StoreValues values_;
  DecodedRows decoded_;
  // Scratch.
  std::vector<std::string> stored_keys_;
  std::vector<std::string> stored_values_;
  std::vector<windows::KeyRef> sorted_keys_;
  std::vector<std::optional<std::string_view>> found_;
  std::string wake_key_;
  std::vector<std::string> due_keys_;
};

}  // namespace dataflow::joins
