#pragma once
// Groups that memory has no room for, in a store: where an operator that looks its keys up for each record has those
// that it has not heard of for long. A batch's keys that are not in memory are fetched together.
//
// What a key has is in memory or in the store, never in both: taking it erases it. So the checkpoint of a running job
// has those in memory as rows, frozen, and the store's files, of which it shares most with the checkpoint before. In
// the store lies what is in those rows (state/stored_table.hpp), so that either backend reads it.
//
// Where groups are due at a time of their own (sessions), their deadlines lie in a store beside it.

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "libdataflow/state/sealable_store.hpp"
#include "libdataflow/windows/group_deadlines.hpp"
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
  /// The schema outlives it.
  StoredRows(std::string_view bytes, const GroupSchema& schema) : left_{bytes}, schema_{&schema} {}
  /// False after the last one. One that is damaged has no states.
  bool next(StoredRow& row);
  [[nodiscard]] std::string_view left() const { return left_; }

 private:
  std::string_view left_;
  const GroupSchema* schema_ = nullptr;
};

class StoredGroups;

/// A walk over all keys in the store, as it was when the walk began, in the order of key groups.
class StoredWalk {
 public:
  /// `groups` outlive it.
  explicit StoredWalk(StoredGroups& groups);
  /// Goes to the next key; false at the end.
  Result<bool> next();
  // Of the key; valid until `next`.
  [[nodiscard]] const KeyRef& key() const { return key_; }
  /// Its next row; false after the last one.
  bool next_row(StoredRow& row);
  /// Makes the last number of that row 0 in the store: the row has been given, and is to be given again when it has
  /// changed. The key is not taken before the walk is at the next one.
  void clear_mark();

 private:
  StoredGroups& groups_;
  std::unique_ptr<StoreScan> scan_;
  bool begun_ = false;
  KeyRef key_;
  StoredRows rows_;
  std::size_t row_at_ = 0;  ///< in the key's value
  std::string cleared_;     ///< the value without marks; empty: it is as it was
};

/// Errors of all calls: io and malformed_data, of the store.
class StoredGroups {
 public:
  static Result<std::unique_ptr<StoredGroups>> open(const StateBackendPtr& backend, GroupFormPtr form);

  /// How many keys it has; of a store that came with a checkpoint, about.
  [[nodiscard]] std::uint64_t size() const { return size_; }
  /// False when there may be any.
  [[nodiscard]] bool empty() const { return size_ == 0 && counted_; }
  /// What the groups in memory may take.
  [[nodiscard]] std::uint64_t budget_bytes() const;

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

  /// Erases those of the keys that a look comes by for which `dead(row)` is true of every row; the next look goes on
  /// where this one ended. Returns how many.
  template <class Dead>
  Result<std::uint64_t> sweep(std::size_t looked_at, Dead&& dead);

  /// Of keys that are put; taken back when a key is taken.
  [[nodiscard]] GroupDeadlines& deadlines() { return deadlines_; }
  [[nodiscard]] const GroupDeadlines& deadlines() const { return deadlines_; }

  Result<std::unique_ptr<StoredWalk>> walk();

  /// All groups as they are now, as files or rows of the form's schema; null when there are none.
  Result<SealedStorePtr> seal();
  /// Goes on with the groups of a checkpoint, instead of none; false when the table has no store's files that fit. The
  /// deadlines are not there.
  Result<bool> restore(StateReader& state, std::string_view table);

 private:
  friend class StoredWalk;
  StoredGroups(OwnedStorePtr store, GroupFormPtr form);
  /// The key groups of `rows` keys in key_columns_, which are empty again.
  const std::vector<std::uint64_t>& hash_keys(std::uint32_t rows);
  [[nodiscard]] std::uint32_t group_of(std::uint64_t hash) const { return key_group_of(hash, form_->max_parallelism); }
  Status change(std::string_view key, std::optional<std::string_view> value);
  void one_less() { size_ -= size_ == 0 ? 0 : 1; }

  GroupFormPtr form_;
  SealableStore store_;
  GroupDeadlines deadlines_;
  std::uint64_t size_ = 0;
  bool counted_ = true;  ///< `size_` is right
  StoreBatch changes_;   ///< that wait
  std::vector<ColumnBuilder> key_columns_;
  std::vector<ColumnBuilder*> key_builders_;
  std::vector<std::uint64_t> hashes_;
  // Keys that have been put, one behind the other, until their key groups are known:
  struct Put {
    std::size_t key_bytes;
    std::size_t value_bytes;
  };
  std::vector<Put> puts_;
  std::string put_bytes_;
  // Of the last `take`:
  std::string key_bytes_;
  std::vector<std::size_t> ends_;
  std::vector<std::uint32_t> order_;
  std::vector<std::uint32_t> position_;
  std::vector<std::string_view> lookup_;
  StoreValues values_;
  std::string sweep_;
};

template <class Dead>
Result<std::uint64_t> StoredGroups::sweep(std::size_t looked_at, Dead&& dead) {
  if (Status flushed = flush(); !flushed) return fail(flushed.error());
  std::uint64_t alive = 0;
  std::uint64_t erased = 0;
  const bool from_the_first = sweep_.empty();
  const auto scan = store_.scan(sweep_, {});
  for (; scan->valid() && looked_at > 0; scan->next(), --looked_at) {
    StoredRows rows{scan->value(), form_->schema};
    bool all_dead = true;
    for (StoredRow row; rows.next(row);) all_dead &= dead(row);
    ++(all_dead ? erased : alive);
    if (all_dead) changes_.erase(scan->key());
  }
  if (Status walked = scan->status(); !walked) return fail(walked.error());
  sweep_ = scan->valid() ? std::string{scan->key()} : std::string{};
  size_ -= std::min(size_, erased);
  if (from_the_first && sweep_.empty()) {  // these were all
    size_ = alive;
    counted_ = true;
  }
  if (Status flushed = flush(); !flushed) return fail(flushed.error());
  return erased;
}

/// The age up to which groups leave when there are too many: that of the half that has not been heard of for longest,
/// at least one. `ages` ascend with the last use, are not empty, and lose their order.
[[nodiscard]] std::uint64_t oldest_half(std::vector<std::uint64_t>& ages);

/// What states in `table`'s rows own besides, by the example of some of them. `offset`: from a row to its states.
[[nodiscard]] std::uint64_t owned_bytes(const Aggregation& aggregation, const GroupTable& table, std::size_t offset);

}  // namespace dataflow::windows
