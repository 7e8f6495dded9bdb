#pragma once
// Groups that memory has no room for, in a store: where an operator that looks its keys up for each record has those
// that it has not heard of for long. A batch's keys that are not in memory are fetched together.
//
// What a key has is in memory or in the store, never in both: taking it erases it. So nothing has to be sealed at a
// barrier. A checkpoint has all groups as rows, those in memory frozen, those in the store from a view of it.
//
// Where groups are due at a time of their own (sessions), their deadlines lie in the store too, in the order of time,
// so that no key is in memory for its deadline's sake.

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "libdataflow/state/state_backend.hpp"
#include "libdataflow/windows/group_table.hpp"
#include "libdataflow/windows/key_batch.hpp"
#include "libdataflow/windows/window_state.hpp"

namespace dataflow::windows {

/// One of a key's rows in the store. Refers to what it was read from.
struct StoredRow {
  static constexpr std::size_t most_numbers = 4;
  std::array<std::int64_t, most_numbers> numbers{};
  std::string_view states;
};

/// Reads a key's rows one after the other.
class StoredRows {
 public:
  StoredRows() = default;
  /// `period`: see StoredGroups::next_period; 0: the last number is none.
  StoredRows(std::string_view bytes, std::size_t numbers, std::int64_t period)
      : left_{bytes}, numbers_{numbers}, period_{period} {}
  /// False after the last one.
  bool next(StoredRow& row);

 private:
  std::string_view left_;
  std::size_t numbers_ = 0;
  std::int64_t period_ = 0;
};

/// A walk over all keys in the store, as it was when the walk began, in the order of their bytes.
class StoredWalk {
 public:
  StoredWalk(OwnedStorePtr store, GroupFormPtr form, std::int64_t period);
  /// Goes to the next key; false at the end.
  Result<bool> next();
  // Of the key; valid until `next`.
  [[nodiscard]] const KeyRef& key() const { return key_; }
  [[nodiscard]] StoredRows rows() const;

 private:
  OwnedStorePtr store_;
  GroupFormPtr form_;
  std::int64_t period_;
  std::unique_ptr<StoreScan> scan_;
  bool begun_ = false;
  KeyRef key_;
  std::string text_;
};

/// Errors of all calls: io and malformed_data, of the store.
class StoredGroups {
 public:
  /// Whether the last of a row's numbers says that it changed since the last early result.
  enum class Marks : std::uint8_t { none, last_number };

  static Result<std::unique_ptr<StoredGroups>> open(const StateBackendPtr& backend, GroupFormPtr form, Marks marks);

  /// How many keys it has.
  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  /// What the groups in memory may take.
  [[nodiscard]] std::uint64_t budget_bytes() const { return store_->backend()->cache_bytes(); }

  /// Puts a key that it does not have: `begin`, `add` for each of its rows, `end`.
  void begin(const KeyRef& key);
  void add(std::span<const std::int64_t> numbers, const std::byte* states);
  Status end();
  /// Writes what waits. After the last `end`.
  Status flush();

  /// Takes keys out, each once. Those that it does not have have no rows.
  Status take(std::span<const KeyRef> keys);
  /// What the i-th of them had; valid until the next `take`.
  [[nodiscard]] StoredRows taken(std::size_t i) const;
  Status load(const StoredRow& row, std::byte* states) const { return form_->aggregation.load(row.states, states); }

  /// Erases up to `most` of the keys that a look comes by and for which `dead(row)` is true of every row; the next look
  /// goes on where this one ended. Returns how many.
  template <class Dead>
  Result<std::uint64_t> sweep(std::size_t looked_at, Dead&& dead);

  // Deadlines of keys that are put, and taken back when a key is taken.
  void put_deadline(std::int64_t time, const KeyRef& key);
  void erase_deadline(std::int64_t time, const KeyRef& key);
  /// No deadline is earlier.
  [[nodiscard]] std::optional<std::int64_t> first_deadline() const { return first_deadline_; }
  /// Takes the first deadlines out, up to `most`, of those at or before `until`. The keys are valid until the next
  /// call.
  Result<std::span<const KeyRef>> take_deadlines(std::int64_t until, std::size_t most);

  /// Early results have been given: no row in the store has changed since.
  void next_period() { ++period_; }
  Result<std::unique_ptr<StoredWalk>> walk();
  /// All groups as they are now. Nothing waits to be written.
  void freeze(std::vector<FrozenGroupsPtr>& groups) const;

 private:
  StoredGroups(OwnedStorePtr store, GroupFormPtr form, Marks marks)
      : store_{std::move(store)}, form_{std::move(form)}, period_{marks == Marks::none ? 0 : 1} {}
  [[nodiscard]] std::size_t numbers() const { return form_->schema.numbers(); }

  OwnedStorePtr store_;
  GroupFormPtr form_;
  std::int64_t period_;  ///< from 1; 0: without marks
  std::uint64_t size_ = 0;
  StoreBatch changes_;  ///< that wait
  std::string key_;
  std::string value_;
  // Of the last `take`:
  std::string key_bytes_;
  std::vector<std::size_t> ends_;
  std::vector<std::uint32_t> order_;
  std::vector<std::uint32_t> position_;
  std::vector<std::string_view> lookup_;
  StoreValues values_;
  std::string sweep_;
  // Deadlines:
  std::optional<std::int64_t> first_deadline_;
  std::string deadlines_from_;  ///< none lies before it: what has been erased there is not walked over again
  std::vector<std::unique_ptr<std::string>> due_texts_;
  std::vector<KeyRef> due_;
};

template <class Dead>
Result<std::uint64_t> StoredGroups::sweep(std::size_t looked_at, Dead&& dead) {
  if (Status flushed = flush(); !flushed) return fail(flushed.error());
  std::uint64_t erased = 0;
  const auto scan = (*store_)->scan(sweep_, "\1");
  for (; scan->valid() && looked_at > 0; scan->next(), --looked_at) {
    StoredRows rows{scan->value(), numbers(), period_};
    bool all_dead = true;
    for (StoredRow row; rows.next(row);) all_dead &= dead(row);
    if (!all_dead) continue;
    changes_.erase(scan->key());
    ++erased;
  }
  if (Status walked = scan->status(); !walked) return fail(walked.error());
  sweep_ = scan->valid() ? std::string{scan->key()} : std::string{};
  size_ -= erased;
  if (Status flushed = flush(); !flushed) return fail(flushed.error());
  return erased;
}

/// The age up to which groups leave when there are too many: that of the half that has not been heard of for longest,
/// at least one. `ages` ascend with the last use, are not empty, and lose their order.
[[nodiscard]] std::uint64_t oldest_half(std::vector<std::uint64_t>& ages);

/// What states in `table`'s rows own besides, by the example of some of them. `offset`: from a row to its states.
[[nodiscard]] std::uint64_t owned_bytes(const Aggregation& aggregation, const GroupTable& table, std::size_t offset);

}  // namespace dataflow::windows
