#pragma once
// A table of keys in memory as a write-back cache of those on disk. What a batch's keys have there is brought in before
// the batch is joined; the keys that have not been used for longest are written out when there is no room for more. So
// a join sees keys that are in memory, whole, and works as it does on the heap.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "libdataflow/joins/key_store.hpp"
#include "libdataflow/runtime/buggify.hpp"
#include "libdataflow/windows/group_table.hpp"

namespace dataflow::joins {

/// What a table's rows have for it: zeros when the key is new.
struct KeyUse {
  std::uint64_t last;  ///< the number of the batch that used it last; 0: it is not known yet what the store has
};

class KeyCache {
 public:
  /// Of a table of keys in whose rows a KeyUse lies at `use_offset`.
  KeyCache(KeyStore store, std::size_t use_offset) : store_{std::move(store)}, use_offset_{use_offset} {}

  [[nodiscard]] const KeyStore& store() const { return store_; }
  /// For checkpoints.
  [[nodiscard]] KeyStore& store() { return store_; }
  /// Of so many rows the keys may be brought in at once: what they bring with them should fit.
  [[nodiscard]] std::size_t rows_at_once() const;

  /// Brings in what the store has of the keys of these rows of the table; `visit(row, entry)` for each of their rows.
  /// Errors of this and the following: io, malformed_data.
  template <class Visit>
  Status load(const windows::GroupTable& table, std::span<std::byte* const> rows, Visit&& visit) {
    begin_batch();
    for (std::byte* const row : rows) {
      KeyUse& use = use_of(row);
      if (use.last == 0 && !store_.empty()) {
        missing_.push_back(row);
        keys_.push_back(table.key_of(row));
      }
      use.last = batch_;
    }
    return fetch(std::forward<Visit>(visit));
  }

  /// Whether something is to be done about keys that are not here.
  [[nodiscard]] bool may_wake(std::int64_t now) const { return store_.may_wake(now); }
  /// Brings in keys whose time is `now` or earlier, some of them when there are many; returns the time up to which they
  /// are all here.
  template <class Visit>
  Result<std::int64_t> wake(windows::GroupTable& table, std::int64_t now, Visit&& visit) {
    auto until = store_.due(now, keys_at_once_, due_);
    if (!until) return until;
    begin_batch();
    for (const windows::KeyRef& key : due_) {
      std::byte* const row = table.find_or_insert(key);
      use_of(row).last = batch_;
      missing_.push_back(row);
      keys_.push_back(key);
    }
    if (Status fetched = fetch(std::forward<Visit>(visit)); !fetched) return fail(fetched.error());
    return until;
  }
  /// For joins all of whose keys only end: those whose time is `now` or earlier go. Whether there may be more of them.
  Result<bool> forget_due(std::int64_t now);

  /// Whether so many bytes in memory are too many.
  [[nodiscard]] bool is_full(std::size_t bytes) const { return bytes > store_.budget_bytes(); }
  /// Writes keys out until of `bytes` half of what there may be is left. `write(row, entry)` gives the key's rows to
  /// the entry and lets them go. Whoever calls drops the table's rows that are not `here` any more.
  template <class Write>
  Status write_out(const windows::GroupTable& table, std::size_t bytes, Write&& write) {
    const std::size_t wanted = store_.budget_bytes() / 2;
    for (const auto& [last, row] : by_use(table)) {
      if (bytes <= wanted) break;
      entry_.clear();
      write(row, entry_);
      bytes -= std::min(bytes, entry_.rows.size() + table.layout().stride());
      use_of(row).last = 0;
      if (entry_.rows.empty()) continue;
      if (Status put = store_.put(table.key_of(row), entry_); !put) return put;
    }
    return store_.flush();
  }
  [[nodiscard]] bool here(std::byte* row) const { return use_of(row).last != 0; }

 private:
  [[nodiscard]] KeyUse& use_of(std::byte* row) const { return *reinterpret_cast<KeyUse*>(row + use_offset_); }
  [[nodiscard]] std::vector<std::pair<std::uint64_t, std::byte*>> by_use(const windows::GroupTable& table) const;
  void note_size(std::size_t bytes);
  void begin_batch() {
    ++batch_;
    missing_.clear();
    keys_.clear();
  }

  template <class Visit>
  Status fetch(Visit&& visit) {
    if (missing_.empty()) return {};
    std::size_t bytes = 0;  // of the key at hand
    const std::byte* key = nullptr;
    Status taken = store_.take(keys_, [&](std::size_t i, const RowEntry& entry) {
      if (missing_[i] != key && std::exchange(key, missing_[i]) != nullptr) note_size(std::exchange(bytes, 0));
      bytes += entry.size();
      visit(missing_[i], entry);
    });
    if (key != nullptr) note_size(bytes);
    return taken;
  }

  KeyStore store_;
  const std::size_t keys_at_once_ = buggified(Buggify::few_join_results) ? 2 : 1024;
  std::size_t use_offset_;
  std::uint64_t batch_ = 0;
  double key_bytes_ = 0;  ///< of the rows of a key that was fetched, about
  KeyEntry entry_;
  // Scratch.
  std::vector<std::byte*> missing_;    ///< rows whose keys may be in the store,
  std::vector<windows::KeyRef> keys_;  ///< and these
  std::vector<windows::KeyRef> due_;
};

}  // namespace dataflow::joins
