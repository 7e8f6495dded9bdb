#pragma once
// Rows of both sides by key, in the order in which they came: the state of a join without bounds in time. With a state
// backend keys that memory has no room for lie on disk.

#include <optional>
#include <span>
#include <vector>

#include "libdataflow/joins/key_cache.hpp"
#include "libdataflow/joins/row_state.hpp"
#include "libdataflow/windows/group_table.hpp"

namespace dataflow::joins {

/// What stands in memory before a row's bytes.
struct RegularRow {
  RegularRow* next;
  std::int64_t time;      ///< its event time
  std::int64_t seen;      ///< by the clock, when it came
  std::uint64_t matches;  ///< rows of the other side, where that is asked for

  [[nodiscard]] const std::byte* bytes() const { return reinterpret_cast<const std::byte*>(this + 1); }
  [[nodiscard]] std::byte* bytes() { return reinterpret_cast<std::byte*>(this + 1); }
  [[nodiscard]] std::size_t size() const { return sizeof(RegularRow) + PackedLayout::size_of(bytes()); }
  [[nodiscard]] RowNumbers numbers() const { return {time, seen, static_cast<std::int64_t>(matches)}; }
};

/// Rows of one key on one side, in the order in which they came.
struct SideRows {
  RegularRow* first;
  RegularRow* last;

  void append(RegularRow* row) {
    (first == nullptr ? first : last->next) = row;
    last = row;
  }
};
/// What a key has; zeros when it is new.
struct KeyRows {
  SideRows sides[2];
  [[nodiscard]] bool empty() const { return sides[0].first == nullptr && sides[1].first == nullptr; }
};

class RegularRows {
 public:
  RegularRows(windows::KeyForm form, std::optional<Duration> ttl);

  /// Before the first row. Errors of this and the following: io, malformed_data.
  Status use_backend(const StateBackendPtr& backend, EntryFormPtr form);
  /// Of so many rows the keys may be found at once.
  [[nodiscard]] std::size_t rows_at_once() const { return cache_ ? cache_->rows_at_once() : SIZE_MAX; }
  /// What there is of the keys of `rows` (null: of the first `count` rows). Valid until `make_room`.
  Status find(const windows::KeyBatch& keys, const std::uint32_t* rows, std::size_t count,
              std::vector<std::byte*>& found);
  [[nodiscard]] KeyRows& of(std::byte* key) const {
    return *reinterpret_cast<KeyRows*>(key + layout_.payload_offset());
  }
  /// Between two batches, when nothing refers to rows any more: rows go to disk and keys without rows go, when there
  /// are many.
  Status make_room();

  /// The clock, by which rows expire.
  void set_now(std::int64_t now) { now_ = now; }
  [[nodiscard]] std::int64_t now() const { return now_; }
  [[nodiscard]] bool is_expired(const RegularRow& row) const { return ttl_ && now_ - row.seen >= ttl_->count(); }

  /// A row that is in no list yet, with room for so many bytes.
  RegularRow* allocate(std::size_t bytes) {
    return reinterpret_cast<RegularRow*>(arena_.allocate(sizeof(RegularRow) + bytes));
  }
  void free(RegularRow* row) { arena_.free(reinterpret_cast<std::byte*>(row), row->size()); }
  /// Takes the first row equal to `like` out of the list, which must be freed; null when there is none.
  RegularRow* take_equal(SideRows& list, const RegularRow& like);
  void forget_expired(SideRows& list);

  /// Looks for rows that have expired among some of the keys. When it wants to be called again, if there are keys.
  Result<std::optional<Duration>> sweep();
  /// How long to the first sweep.
  [[nodiscard]] std::optional<Duration> pause() const;

  /// Of both sides.
  Status capture(const std::array<const RowTable*, 2>& tables, CapturedRows& captured);
  /// Takes over the store of a checkpoint, if there is one that can be used as it is: whether its rows are here now.
  Result<bool> restore_store(StateReader& state);
  /// Takes a batch of the table.
  Status restore(const RowTable& table, windows::KeyReader& keys, std::size_t side, const Batch& rows);

 private:
  void drop_empty_keys();
  void write_rows(std::byte* key, KeyEntry& entry);
  void bring_in(std::byte* key, const RowEntry& entry);

  std::optional<Duration> ttl_;
  windows::KeyForm form_;
  windows::RowLayout layout_;
  windows::GroupTable keys_;
  RowArena arena_;
  std::optional<KeyCache> cache_;
  std::int64_t now_ = 0;
  std::size_t removed_rows_ = 0;  ///< since the table of keys was last made anew
  windows::GroupTable::Cursor sweep_;
  // Scratch.
  std::vector<std::byte*> found_;
  std::vector<std::uint32_t> all_;
  std::vector<std::uint32_t> sizes_;
  std::vector<std::byte*> to_;
};

}  // namespace dataflow::joins
