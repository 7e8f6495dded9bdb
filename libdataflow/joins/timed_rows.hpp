#pragma once
// Rows of both sides by key and, within a key, by time: the state of joins that go by how the times of two rows lie to
// each other. Found by binary search, so that a key with very many rows costs what its matches cost.

#include <algorithm>
#include <span>
#include <vector>

#include "libdataflow/joins/join_operator.hpp"
#include "libdataflow/windows/group_table.hpp"

namespace dataflow::joins {

/// What stands in memory before a row's bytes.
struct TimedRow {
  std::byte* group;  ///< its key's
  std::int64_t time;
  std::int64_t due_time;  ///< when time has passed it, something is to be done about the row
  std::int64_t sequence;  ///< in the order of arrival
  std::uint32_t side;
  std::uint32_t flag;  ///< what the join wants to know of it; kept in checkpoints

  [[nodiscard]] std::int64_t due() const { return due_time; }
  [[nodiscard]] const std::byte* bytes() const { return reinterpret_cast<const std::byte*>(this + 1); }
  [[nodiscard]] std::byte* bytes() { return reinterpret_cast<std::byte*>(this + 1); }
  [[nodiscard]] std::size_t size() const { return sizeof(TimedRow) + PackedLayout::size_of(bytes()); }
};

/// Rows of one key on one side, ascending by time, in the order of arrival when times are equal. Zeros are an empty
/// one, and it may be moved as bytes: it lies in a row of a GroupTable.
class TimedRowList {
 public:
  [[nodiscard]] std::span<TimedRow* const> rows() const { return {items_ + first_, count_}; }
  [[nodiscard]] bool empty() const { return count_ == 0; }
  /// Those from `first` to `last`, both inclusive.
  [[nodiscard]] std::span<TimedRow* const> between(std::int64_t first, std::int64_t last) const;
  void insert(TimedRow* row);
  void erase(const TimedRow* row);
  /// Frees its memory, not that of the rows.
  void release();

 private:
  [[nodiscard]] std::uint32_t lower_bound(std::int64_t time) const;
  [[nodiscard]] std::uint32_t upper_bound(std::int64_t time) const;

  TimedRow** items_;
  std::uint32_t first_;  ///< rows go from the front as time passes
  std::uint32_t count_;
  std::uint32_t capacity_;
};

/// The rows of a batch that are worth keeping, as bytes.
struct TimedBatch {
  std::vector<std::uint32_t> rows;   ///< of the batch
  std::vector<TimedRow*> stored;     ///< for each of them
  std::vector<std::uint32_t> sizes;  ///< in bytes
};

class TimedRows {
 public:
  explicit TimedRows(windows::KeyForm form);
  ~TimedRows();
  TimedRows(const TimedRows&) = delete;
  TimedRows& operator=(const TimedRows&) = delete;

  /// Packs `batch.rows`, which have a key and the times `times`, without keeping them: `keep` or `free` each.
  void pack(const PackedLayout& layout, windows::KeyReader& keys, const Batch& from,
            std::span<const std::int64_t> times, std::uint32_t side, TimedBatch& batch);
  [[nodiscard]] TimedRowList& of_key(const TimedRow& row, std::size_t side) const;
  void keep(TimedRow* row) { of_key(*row, row->side).insert(row); }
  /// Takes a row that is kept out; it must be freed.
  void take_out(TimedRow& row) { of_key(row, row.side).erase(&row); }
  void free(TimedRow* row);

  /// Keeps the rows of a batch of `table`, whose numbers are the time, the sequence and the flag; `visit(row)` for
  /// each.
  template <class Visit>
  void restore(const RowTable& table, windows::KeyReader& keys, const Batch& rows, std::uint32_t side, Visit&& visit) {
    TimedBatch batch;
    for (std::uint32_t row = 0; row < rows.rows(); ++row) batch.rows.push_back(row);
    pack(table.own_layout(), keys, rows, table.number(rows, 0), side, batch);
    for (std::uint32_t i = 0; i < rows.rows(); ++i) {
      TimedRow* const row = batch.stored[i];
      row->sequence = table.number(rows, 1)[i];
      row->flag = static_cast<std::uint32_t>(table.number(rows, 2)[i]);
      sequence_ = std::max(sequence_, row->sequence + 1);
      visit(row);
      keep(row);
    }
  }

  /// Between two batches: keys without rows go when there are many.
  void tidy();
  /// Calls `visit(row)` for each row that is kept of a side, key after key.
  template <class Visit>
  void for_each(std::size_t side, Visit&& visit) const {
    windows::GroupTable::Cursor cursor;
    for (std::byte* group = nullptr; groups_.next_rows(cursor, 1, &group) == 1;) {
      for (TimedRow* row : list(group, side).rows()) visit(*row);
    }
  }

 private:
  [[nodiscard]] TimedRowList& list(std::byte* group, std::size_t side) const {
    return reinterpret_cast<TimedRowList*>(group + layout_.payload_offset())[side];
  }

  windows::RowLayout layout_;
  windows::GroupTable groups_;
  RowArena arena_;
  std::size_t freed_ = 0;  ///< since the table was last tidied
  std::int64_t sequence_ = 0;
  std::vector<std::byte*> found_;  // scratch
  std::vector<std::byte*> to_;
};

}  // namespace dataflow::joins
