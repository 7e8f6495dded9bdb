#pragma once
// A table with a row for each key as a cache of groups in a store. Each row has an age, the number of the last batch
// that had records of its key, 0 when the row is new: its key may be in the store then.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "libdataflow/windows/group_table.hpp"
#include "libdataflow/windows/stored_groups.hpp"

namespace dataflow::windows {

class GroupCache {
 public:
  /// Of a row that has what its key has, and has not had a record since.
  static constexpr std::uint64_t fetched_age = 1;

  /// `table` and `aggregation` outlive it. `age_offset`: from a row to its age.
  GroupCache(GroupTable& table, std::size_t age_offset, const Aggregation& aggregation)
      : table_{table}, age_offset_{age_offset}, aggregation_{aggregation} {}

  /// Puts a store behind the table; null: all groups stay in it.
  void open(std::unique_ptr<StoredGroups> stored) { stored_ = std::move(stored); }
  /// False: all groups are in memory, and will be.
  [[nodiscard]] explicit operator bool() const { return stored_ != nullptr; }
  [[nodiscard]] StoredGroups& operator*() const { return *stored_; }
  [[nodiscard]] StoredGroups* operator->() const { return stored_.get(); }
  /// Null when all groups stay in memory.
  [[nodiscard]] StoredGroups* get() const { return stored_.get(); }
  /// Whether any group may be in the store.
  [[nodiscard]] bool any_stored() const { return stored_ != nullptr && !stored_->empty(); }
  [[nodiscard]] std::uint64_t stored_keys() const { return stored_ == nullptr ? 0 : stored_->size(); }
  void close() { stored_.reset(); }

  /// Takes what the keys of new rows have out of the store: `load(row, stored)` for each stored row of theirs. Rows may
  /// be there more than once. Without a store nothing happens.
  template <class Load>
  Status fetch(std::byte* const* rows, std::size_t count, Load&& load);

  /// When the table, what its states own and `other_bytes` are more than memory may have: the half of the keys whose
  /// last records are oldest leaves the table. `put(row)` puts it into the store, if it has anything to keep, and gives
  /// back what it owns; `moved(old, row)` is called for the rows that stay. Nothing may refer to rows.
  /// `states_offset`: from a row to its states; nothing: they are not in rows.
  template <class Put, class Moved>
  Status make_room(std::uint64_t other_bytes, std::optional<std::size_t> states_offset, Put&& put, Moved&& moved);

 private:
  [[nodiscard]] std::uint64_t& age(std::byte* row) const {
    return *reinterpret_cast<std::uint64_t*>(row + age_offset_);
  }

  GroupTable& table_;
  std::size_t age_offset_;
  const Aggregation& aggregation_;
  std::unique_ptr<StoredGroups> stored_;
  std::vector<std::byte*> new_rows_;
  std::vector<KeyRef> new_keys_;
};

template <class Load>
Status GroupCache::fetch(std::byte* const* rows, std::size_t count, Load&& load) {
  if (!any_stored()) return {};
  new_rows_.clear();
  new_keys_.clear();
  for (std::size_t i = 0; i < count; ++i) {
    if (age(rows[i]) != 0) continue;
    age(rows[i]) = fetched_age;
    new_rows_.push_back(rows[i]);
    new_keys_.push_back(table_.key_of(rows[i]));
  }
  if (Status taken = stored_->take(new_keys_); !taken) return taken;
  for (std::size_t i = 0; i < new_rows_.size(); ++i) {
    StoredRows stored = stored_->taken(i);
    for (StoredRow row; stored.next(row);) {
      if (Status loaded = load(new_rows_[i], row); !loaded) return loaded;
    }
  }
  return {};
}

template <class Put, class Moved>
Status GroupCache::make_room(std::uint64_t other_bytes, std::optional<std::size_t> states_offset, Put&& put,
                             Moved&& moved) {
  if (stored_ == nullptr || table_.empty()) return {};
  const std::uint64_t owned = states_offset ? owned_bytes(aggregation_, table_, *states_offset) : 0;
  if (table_.byte_size() + owned + other_bytes <= stored_->budget_bytes()) return {};
  std::vector<std::uint64_t> ages;
  ages.reserve(table_.size());
  GroupTable::Cursor cursor;
  for (std::byte* row = nullptr; table_.next_rows(cursor, 1, &row) == 1;) ages.push_back(age(row));
  const std::uint64_t oldest = oldest_half(ages);
  Status status;
  table_.retain(
      [&](std::byte* row) {
        // What states own is read by a snapshot from the old row.
        if (states_offset && aggregation_.states_own_memory()) table_.before_write(row);
        if (!status || age(row) > oldest) return true;
        status = put(row);
        return !status;
      },
      moved);
  return status ? stored_->flush() : status;
}

}  // namespace dataflow::windows
