#pragma once
// Rows of both sides by key and, within a key, by time: the state of joins that go by how the times of two rows lie to
// each other. Found by binary search, so that a key with very many rows costs what its matches cost. With a state
// backend keys that memory has no room for lie on disk.

#include <algorithm>
#include <limits>
#include <optional>
#include <span>
#include <vector>

#include "libdataflow/joins/join_operator.hpp"
#include "libdataflow/joins/key_cache.hpp"
#include "libdataflow/windows/group_table.hpp"

namespace dataflow::joins {

/// What stands in memory before a row's bytes.
struct TimedRow {
  std::byte* key;  ///< its row of the table of keys; null: it is about to be freed
  std::int64_t time;
  std::int64_t due_time;  ///< when time has passed it, something is to be done about the row
  std::int64_t sequence;  ///< in the order of arrival
  std::uint32_t side;
  std::uint32_t flag;     ///< what the join wants to know of it; kept in checkpoints
  std::int64_t best = 0;  ///< likewise, where the join's table has a fourth number

  [[nodiscard]] std::int64_t due() const { return due_time; }
  [[nodiscard]] const std::byte* bytes() const { return reinterpret_cast<const std::byte*>(this + 1); }
  [[nodiscard]] std::byte* bytes() { return reinterpret_cast<std::byte*>(this + 1); }
  [[nodiscard]] std::size_t size() const { return sizeof(TimedRow) + PackedLayout::size_of(bytes()); }
  [[nodiscard]] RowNumbers numbers() const { return {time, sequence, flag, best}; }
};

/// Rows of one key on one side, ascending by time, in the order of arrival when times are equal. Zeros are an empty
/// one, and it may be moved as bytes: it lies in a row of a GroupTable. A single row needs no memory, as where a side
/// has each key once.
class TimedRowList {
 public:
  [[nodiscard]] std::span<TimedRow* const> rows() const { return {capacity_ == 0 ? &one_ : items_ + first_, count_}; }
  [[nodiscard]] bool empty() const { return count_ == 0; }
  /// The row when there is a single one that no memory was needed for; null: there may be any number of them.
  [[nodiscard]] TimedRow* only() const { return capacity_ == 0 && count_ == 1 ? one_ : nullptr; }
  /// The same, but `none` when there is no row.
  [[nodiscard]] const TimedRow* only_or(const TimedRow* none) const {
    const TimedRow* const row = count_ == 0 ? none : one_;
    return capacity_ == 0 ? row : nullptr;
  }
  /// Those from `first` to `last`, both inclusive.
  [[nodiscard]] std::span<TimedRow* const> between(std::int64_t first, std::int64_t last) const {
    if (capacity_ != 0) return search(first, last);
    return count_ != 0 && one_->time >= first && one_->time <= last ? rows() : std::span<TimedRow* const>{};
  }
  void insert(TimedRow* row);
  void erase(const TimedRow* row);
  /// Frees its memory, not that of the rows.
  void release();

 private:
  [[nodiscard]] std::span<TimedRow* const> search(std::int64_t first, std::int64_t last) const;
  [[nodiscard]] std::uint32_t lower_bound(std::int64_t time) const;
  [[nodiscard]] std::uint32_t upper_bound(std::int64_t time) const;

  union {
    TimedRow* one_;  ///< without capacity
    TimedRow** items_;
  };
  std::uint32_t first_;  ///< rows go from the front as time passes
  std::uint32_t count_;
  std::uint32_t capacity_;
};

/// The rows of a batch that are worth keeping, as bytes.
struct TimedBatch {
  std::vector<std::uint32_t> rows;   ///< of the batch
  std::vector<std::byte*> keys;      ///< for each of them, in the table of keys
  std::vector<std::uint32_t> sizes;  ///< in bytes
  std::vector<TimedRow*> stored;     ///< once they are packed
};

/// The join whose rows they are: it has them in the order of the times at which they are due.
class TimedRowsOwner {
 public:
  virtual ~TimedRowsOwner() = default;
  /// A row of the state is in memory (again): sets when it is due, and remembers it until then.
  virtual void came_back(TimedRow& row) = 0;
  /// Rows without a key are about to be freed.
  virtual void forget_rows_without_key() = 0;
  /// When something is to be done about a key with these rows, which is going to disk: `wakes` and `ends` of `entry`.
  virtual void set_waking(std::span<TimedRow* const> left, std::span<TimedRow* const> right, KeyEntry& entry) const = 0;
};

class TimedRows {
 public:
  /// `owner` outlives it.
  TimedRows(windows::KeyForm form, TimedRowsOwner& owner);
  ~TimedRows();
  TimedRows(const TimedRows&) = delete;
  TimedRows& operator=(const TimedRows&) = delete;

  /// Before the first row. Errors of this and the following: io, malformed_data.
  Status use_backend(const StateBackendPtr& backend, EntryFormPtr form);
  [[nodiscard]] bool may_be_on_disk() const { return cache_.has_value(); }
  /// Of so many rows the keys may be found at once.
  [[nodiscard]] std::size_t rows_at_once() const { return cache_ ? cache_->rows_at_once() : SIZE_MAX; }
  /// Finds the keys of `batch.rows`, which have one. What there is of them is in memory until `make_room`.
  Status find(const PackedLayout& layout, const windows::KeyBatch& keys, const Batch& from, TimedBatch& batch);
  /// The same for rows that are not going to be packed: null where there is nothing of a key, and no sizes.
  Status find_known(const PackedLayout& layout, const windows::KeyBatch& keys, const Batch& from, TimedBatch& batch);
  /// Packs those rows, which have the times `times`, without keeping them: `keep` or `free` each.
  void pack(const PackedLayout& layout, const Batch& from, std::span<const std::int64_t> times, std::uint32_t side,
            TimedBatch& batch);
  /// Both.
  Status find_and_pack(const PackedLayout& layout, windows::KeyReader& keys, const Batch& from,
                       std::span<const std::int64_t> times, std::uint32_t side, TimedBatch& batch);
  [[nodiscard]] const TimedRowList& of_key(std::byte* key, std::size_t side) const { return list(key, side); }
  /// The only row of a key, or of null; one that is later and better than all when there is none, and null when there
  /// may be more.
  [[nodiscard]] const TimedRow* only_of_key(std::byte* key, std::size_t side) const {
    static constexpr TimedRowList no_rows{};
    static constexpr TimedRow nobody{.key = nullptr,
                                     .time = std::numeric_limits<std::int64_t>::max(),
                                     .due_time = std::numeric_limits<std::int64_t>::min(),
                                     .sequence = 0,
                                     .side = 0,
                                     .flag = 1,
                                     .best = std::numeric_limits<std::int64_t>::max()};
    const TimedRowList* const rows = key == nullptr ? &no_rows : &list(key, side);
    return rows->only_or(&nobody);
  }
  /// The only row of a key, or of null; null when there is none, and when there may be more.
  [[nodiscard]] TimedRow* single_of_key(std::byte* key, std::size_t side) const {
    return key == nullptr ? nullptr : list(key, side).only();
  }
  /// Of a batch whose keys have been found, the first from the `i`-th row on whose key has several rows on that side,
  /// or one with which it `meets(row, the other)`.
  template <class Meets>
  [[nodiscard]] std::size_t next_met(const TimedBatch& batch, std::size_t side, std::size_t i, Meets&& meets) const {
    const std::span<const std::uint32_t> rows = batch.rows;
    const std::span<std::byte* const> keys = batch.keys;
    for (; i < rows.size(); ++i) {
      const TimedRow* const only = only_of_key(keys[i], side);
      if (only == nullptr || meets(rows[i], *only)) break;
    }
    return i;
  }
  [[nodiscard]] const TimedRowList& of_key(const TimedRow& row, std::size_t side) const { return list(row.key, side); }
  void keep(TimedRow* row) {
    if (is_empty(row->key)) ++keys_with_rows_;
    list(row->key, row->side).insert(row);
  }
  /// Takes a row that is kept out; it must be freed.
  void take_out(TimedRow& row) {
    list(row.key, row.side).erase(&row);
    if (is_empty(row.key)) --keys_with_rows_;
  }
  void free(TimedRow* row);
  /// Brings back keys whose time, as the owner set it, is `now` or earlier: some of them when there are many. Returns
  /// the time up to which they are all here.
  Result<std::int64_t> wake(std::int64_t now);
  /// Whether there may be keys on disk whose time that is.
  [[nodiscard]] bool may_wake(std::int64_t now) const { return cache_ && cache_->may_wake(now); }
  /// The earliest time at which a key on disk may be wanted.
  [[nodiscard]] std::int64_t wakes() const { return cache_ ? cache_->store().earliest() : KeyEntry::never; }
  /// Between two batches, when nothing but the owner refers to rows: rows go to disk, and keys without rows go when
  /// there are many.
  Status make_room();

  /// Of both sides.
  Status capture(const std::array<const RowTable*, 2>& tables, CapturedRows& captured);
  /// Takes over the store of a checkpoint, if there is one that can be used as it is: whether its rows are here now.
  Result<bool> restore_store(StateReader& state);
  /// Keeps the rows of a batch of `table`, whose numbers are the time, the sequence and the flag.
  Status restore(const RowTable& table, windows::KeyReader& keys, const Batch& rows, std::uint32_t side);

 private:
  [[nodiscard]] TimedRowList& list(std::byte* key, std::size_t side) const {
    return reinterpret_cast<TimedRowList*>(key + layout_.payload_offset())[side];
  }
  [[nodiscard]] bool is_empty(std::byte* key) const {
    return list(key, left_input).empty() && list(key, right_input).empty();
  }
  void bring_in(std::byte* key, const RowEntry& entry);
  void write_rows(std::byte* key, KeyEntry& entry);
  template <class Live>
  void retain(Live&& live);

  TimedRowsOwner& owner_;
  windows::KeyForm form_;
  windows::RowLayout layout_;
  windows::GroupTable keys_;
  windows::GroupTable spare_;  ///< empty: where keys move to when others are forgotten, so that it need not grow again
  RowArena arena_;
  std::optional<KeyCache> cache_;
  std::size_t rows_ = 0;  ///< in memory
  std::size_t keys_with_rows_ = 0;
  std::int64_t sequence_ = 0;
  std::vector<TimedRow*> written_;  ///< that are going to be freed
  std::vector<std::byte*> to_;      // scratch
};

}  // namespace dataflow::joins
