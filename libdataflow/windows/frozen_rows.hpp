#pragma once
// A group table's rows as they were at one moment, read on another thread while the table goes on changing them.
//
// Copy before write, a few kilobytes at a time: a batch after a barrier touches rows all over the table, so that
// copying whole pages would copy the heap at once. Whoever comes first to a piece copies it, the table before it hands
// out one of its rows to be changed, or the reader; rows themselves never move (their addresses are in the table's
// index, which is not part of the snapshot). A table that is cleared or destroyed leaves its memory to the reader.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace dataflow::windows {

/// What rows own outside of themselves. On any thread.
class RowOwnership {
 public:
  virtual ~RowOwnership() = default;
  /// `row` is a copy byte by byte: makes it own a copy of what the original owns.
  virtual void own_copy(std::byte* row) const = 0;
  /// Gives back what the row owns.
  virtual void release(std::byte* row) const = 0;
};
using RowOwnershipPtr = std::shared_ptr<const RowOwnership>;

class FrozenRows {
 public:
  /// A run of rows in memory.
  struct Page {
    std::shared_ptr<std::byte[]> data;
    std::size_t rows = 0;
  };
  /// A copy of some rows.
  struct Rows {
    const std::byte* first = nullptr;
    std::size_t count = 0;
    const std::byte* null_key = nullptr;  ///< the one of them whose key is NULL, if there is such
  };

  /// `stride`: the bytes of a row. `texts`: what the keys in the rows refer to. `null_row`: see Rows; null when none
  /// is. `ownership`: null when rows own nothing.
  FrozenRows(std::vector<Page> pages, std::vector<std::shared_ptr<char[]>> texts, std::size_t stride,
             const std::byte* null_row, RowOwnershipPtr ownership = nullptr);
  ~FrozenRows();
  FrozenRows(const FrozenRows&) = delete;
  FrozenRows& operator=(const FrozenRows&) = delete;

  /// The table's side: these rows are about to be changed, or what they own to be given back.
  void before_write(std::byte* const* rows, std::size_t count);

  /// The reader's side: the next rows, in the table's order; valid until the next call. False at the end.
  bool next(Rows& rows);

  /// Of copies that the table has made and the reader has not read yet.
  [[nodiscard]] std::size_t copied_bytes() const { return copied_.load(std::memory_order_relaxed); }

 private:
  enum State : std::uint8_t { original, being_copied, copied };
  struct Span {
    const std::byte* begin;
    const std::byte* end;
    std::size_t first_piece;
  };

  [[nodiscard]] const Span* span_of(const std::byte* row) const;
  void copy_first(const Span& span, std::size_t piece);
  [[nodiscard]] std::size_t size_of(const Span& span, std::size_t piece) const;
  void copy_rows(const std::byte* from, std::size_t bytes, std::byte* to) const;
  void release_rows(std::byte* rows, std::size_t bytes) const;

  std::vector<Page> pages_;  ///< kept alive, like the texts
  std::vector<std::shared_ptr<char[]>> texts_;
  std::size_t stride_;
  std::size_t piece_bytes_;
  const std::byte* null_row_;
  RowOwnershipPtr ownership_;
  std::vector<Span> spans_;                              ///< the pages in the table's order,
  std::vector<std::size_t> by_address_;                  ///< and by where they lie
  std::unique_ptr<std::atomic<std::uint8_t>[]> states_;  ///< of each piece of each page
  std::vector<std::unique_ptr<std::byte[]>> copies_;     ///< where the table has come first
  std::atomic<std::size_t> copied_ = 0;
  std::size_t span_ = 0;  ///< where the reader is
  std::size_t piece_ = 0;
  std::unique_ptr<std::byte[]> buffer_;  ///< the rows that the reader has,
  std::size_t buffered_ = 0;             ///< and how many bytes of them
};

/// The readers that memory has at a time: one, or also those of snapshots that have been given up and are still at it.
class FrozenReaders {
 public:
  [[nodiscard]] bool empty() const { return readers_.empty(); }
  void add(std::shared_ptr<FrozenRows> reader) { readers_.push_back(std::move(reader)); }
  void clear() { readers_.clear(); }
  /// Forgets readers that nobody else has, and tells the others.
  void before_write(std::byte* const* rows, std::size_t count) {
    std::erase_if(readers_, [](const auto& reader) { return reader.use_count() == 1; });
    for (const auto& reader : readers_) reader->before_write(rows, count);
  }

 private:
  std::vector<std::shared_ptr<FrozenRows>> readers_;
};

}  // namespace dataflow::windows
