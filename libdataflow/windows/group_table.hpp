#pragma once
// One row of fixed width for each key of a window: the key and, beside it, the states of its aggregates.
//
// The index is open addressing over 8-byte slots: 16 bits of the hash and the 48 bits of the row's address, so that a
// lookup touches one line of the index and one of the row, and both can be fetched for a whole block of records before
// the first is needed (group prefetching: Chen et al., "Improving hash join performance through prefetching", ICDE
// 2004). Rows lie in pages in the order in which their keys came and never move: addresses stay valid, and walking a
// window's groups is a linear read in an order that depends on the input only.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "libdataflow/windows/frozen_rows.hpp"
#include "libdataflow/windows/key_batch.hpp"

namespace dataflow::windows {

/// What a row looks like: its key (0, 8 or 16 bytes by form), then the payload.
class RowLayout {
 public:
  /// `payload` is what a new row starts with; its size is rounded up to 8 bytes.
  RowLayout(KeyForm form, std::vector<std::byte> payload);

  [[nodiscard]] KeyForm form() const { return form_; }
  [[nodiscard]] std::size_t payload_offset() const { return payload_offset_; }
  [[nodiscard]] std::size_t stride() const { return image_.size(); }
  /// A new row without its key.
  [[nodiscard]] const std::byte* image() const { return image_.data(); }

 private:
  KeyForm form_;
  std::size_t payload_offset_;
  std::vector<std::byte> image_;
};

/// The keys of a table's rows, which never change: readable on another thread, whatever becomes of the table.
class FrozenKeys {
 public:
  /// Of a row that was there when the keys were frozen.
  [[nodiscard]] KeyRef key_of(const std::byte* row) const;

 private:
  friend class GroupTable;
  std::vector<std::shared_ptr<std::byte[]>> pages_;  ///< kept alive, like the texts
  std::vector<std::shared_ptr<char[]>> texts_;
  RowLayout layout_{KeyForm::none, {}};
  const std::byte* null_row_ = nullptr;
};

class GroupTable {
 public:
  /// Where a walk over the rows is. Rows that are added during a walk are seen by it.
  struct Cursor {
    std::size_t page = 0;
    std::size_t row = 0;
  };

  /// `layout` outlives the table.
  explicit GroupTable(const RowLayout& layout) : layout_{&layout} {}
  GroupTable(GroupTable&&) noexcept = default;
  GroupTable& operator=(GroupTable&&) noexcept = default;

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] const RowLayout& layout() const { return *layout_; }
  /// Of the index, the rows and long keys; not what the rows' states own.
  [[nodiscard]] std::size_t byte_size() const;

  /// The row of every key in `rows` (null: the first `count` rows of the batch), made when it is not there.
  void find_or_insert(const KeyBatch& keys, const std::uint32_t* rows, std::size_t count, std::byte** found);
  std::byte* find_or_insert(const KeyRef& key);
  /// The rows of the keys that rows of another table have.
  void find_or_insert(const GroupTable& other, std::byte* const* rows, std::size_t count, std::byte** found);
  /// Null when the key has no row.
  [[nodiscard]] std::byte* find(const KeyRef& key) const;
  /// The row of every key in `rows` (null: the first `count` rows of the batch), null where it has none.
  void find(const KeyBatch& keys, const std::uint32_t* rows, std::size_t count, std::byte** found) const;
  /// The key of one of this table's rows.
  [[nodiscard]] KeyRef key_of(const std::byte* row) const;
  void keys_of(std::byte* const* rows, std::size_t count, KeyRef* keys) const;

  /// Takes up to `max` rows from where `cursor` is, in order of insertion, and moves it. 0 at the end.
  std::size_t next_rows(Cursor& cursor, std::size_t max, std::byte** rows) const;

  /// Forgets all rows and keeps the memory for the next ones.
  void clear();

  /// The rows as they are now, for a reader on another thread. Costs microseconds; until the reader gives it up, the
  /// first change to each few kilobytes of rows costs a copy of them. `ownership`: when rows own memory.
  std::shared_ptr<FrozenRows> freeze(RowOwnershipPtr ownership = nullptr);
  /// Before rows are changed that did not come from find_or_insert, or what they own is given back.
  void before_write(std::byte* row) {
    if (!frozen_.empty()) [[unlikely]]
      frozen_.before_write(&row, 1);
  }
  void before_write(std::byte* const* rows, std::size_t count) {
    if (!frozen_.empty()) [[unlikely]]
      frozen_.before_write(rows, count);
  }
  /// The table must not be cleared while they are in use; see `retain`.
  [[nodiscard]] FrozenKeys freeze_keys() const;
  /// The key of a row that `freeze` has copied.
  [[nodiscard]] static KeyRef key_of_copy(const RowLayout& layout, const std::byte* row, bool null);

  /// Drops the rows for which `live(row)` is false. The others move: `moved(old, new)` is called for each, in order.
  /// Returns the old table, which still has its rows.
  template <class Live, class Moved>
  GroupTable retain(Live&& live, Moved&& moved) {
    GroupTable kept{*layout_};
    kept.reserve(size_ / 2);
    std::byte* rows[moved_together];
    Cursor cursor;
    while (const std::size_t count = next_rows(cursor, moved_together, rows)) {
      kept.reserve(count);
      for (std::size_t i = 0; i < count; ++i) kept.prefetch_slot(rows[i]);
      for (std::size_t i = 0; i < count; ++i) {
        if (live(rows[i])) moved(rows[i], kept.add_copy(rows[i], rows[i] == null_row_));
      }
    }
    std::swap(*this, kept);
    return kept;
  }

 private:
  /// Rows whose slots are asked for before the first is needed.
  static constexpr std::size_t moved_together = 64;
  struct Page {
    std::shared_ptr<std::byte[]> data;  ///< shared with a snapshot that is being read
    std::size_t capacity = 0;           ///< in rows
    std::size_t used = 0;
  };

  template <class Key>
  void find_or_insert_all(const Key& keys, const std::uint8_t* validity, const std::uint32_t* rows, std::size_t count,
                          std::byte** found);
  template <class Key, class Rows>
  void find_or_insert_block(const Key& keys, const Rows& rows, std::size_t count, std::byte** found);
  template <class Key>
  void find_all(const Key& keys, const std::uint8_t* validity, const std::uint32_t* rows, std::size_t count,
                std::byte** found) const;
  template <class Key>
  [[nodiscard]] std::byte* find_one(const Key& keys, std::size_t i, std::uint64_t hash) const;
  template <class Key>
  std::byte* probe(const Key& keys, std::size_t i, std::uint64_t hash);
  template <class Key>
  std::byte* insert(const Key& keys, std::size_t i, std::uint64_t hash, std::size_t slot);
  std::byte* new_row();
  std::byte* null_row();
  std::byte* add_copy(const std::byte* row, bool null);
  void add_page();
  void reserve(std::size_t more_rows);
  void rehash(std::size_t slots);
  void put_in_slot(const std::byte* row, std::uint64_t hash);
  void prefetch_slot(const std::byte* row) const;
  [[nodiscard]] std::uint64_t hash_of_row(const std::byte* row) const;
  const char* keep_text(const char* bytes, std::uint32_t length);

  const RowLayout* layout_;
  std::vector<std::uint64_t> slots_;  ///< 0: free; else hash bits 48 to 63 above the address of a row
  std::size_t mask_ = 0;
  std::vector<Page> pages_;
  std::size_t page_ = 0;  ///< the one that rows are added to
  std::size_t size_ = 0;
  std::byte* null_row_ = nullptr;               ///< the NULL key's, or the only one of a table without keys
  std::vector<std::shared_ptr<char[]>> texts_;  ///< bytes of keys that are not inline
  std::size_t text_used_ = 0;
  std::size_t text_capacity_ = 0;
  std::size_t text_bytes_ = 0;
  FrozenReaders frozen_;  ///< snapshots of these rows that are being read
};

}  // namespace dataflow::windows
