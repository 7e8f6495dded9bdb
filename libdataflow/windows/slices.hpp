#pragma once
// Time cut into slices of equal width, each with its groups: the state of tumbling, sliding and cumulating windows
// (Carbone et al., "Cutty", CIKM 2016: a record is aggregated once, in its slice, however many windows contain it).

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "libdataflow/windows/assign.hpp"
#include "libdataflow/windows/group_table.hpp"

namespace dataflow::windows {

struct Slice {
  std::int64_t start;
  std::int64_t end;
  std::int64_t last_window_end;  ///< of the windows that contain the slice: when it passes, the slice can go
  GroupTable groups;
  bool changed = false;  ///< since the last early results
  /// For sliding windows: a turned slice's sums up to the newest turned one (see shared_slices).
  std::vector<std::unique_ptr<std::byte[]>> blocks = {};
  std::uint64_t batch = 0;    ///< the last assignment that met this slice,
  std::uint32_t ordinal = 0;  ///< and its run in that
};

/// The slices by start. Owns a spare table, so that a new slice need not grow and fault in its memory anew.
class SliceStore {
 public:
  using Map = std::map<std::int64_t, std::unique_ptr<Slice>>;

  explicit SliceStore(const RowLayout& layout) : layout_{layout} {}

  Slice& find_or_create(std::int64_t start, std::int64_t end, std::int64_t last_window_end);
  [[nodiscard]] Slice* find(std::int64_t start) const;
  [[nodiscard]] const Map& all() const { return slices_; }
  /// Takes the slice out; give it to `recycle` when nothing refers to its rows any more.
  [[nodiscard]] std::unique_ptr<Slice> take(std::int64_t start);
  /// What the spare table takes, and that it goes.
  [[nodiscard]] std::uint64_t spare_bytes() const { return spare_ ? spare_->byte_size() : 0; }
  void drop_spare() { spare_.reset(); }
  /// The rows' states must have been released.
  void recycle(std::unique_ptr<Slice> slice);

 private:
  const RowLayout& layout_;
  Map slices_;
  std::unique_ptr<GroupTable> spare_;
};

/// How windows lie over slices.
class SliceGrid {
 public:
  SliceGrid(std::int64_t width, std::int64_t offset) : width_{width}, offset_{offset} {}
  virtual ~SliceGrid() = default;
  [[nodiscard]] std::int64_t start(std::int64_t ts) const { return tumbling_start(ts, width_, offset_); }
  [[nodiscard]] std::int64_t end(std::int64_t ts) const { return tumbling_end(ts, width_, offset_); }
  [[nodiscard]] std::int64_t width() const { return width_; }
  [[nodiscard]] std::int64_t offset() const { return offset_; }
  /// Ends of the first and last window that contain the slice starting at `slice_start`.
  [[nodiscard]] virtual std::int64_t first_window_end(std::int64_t slice_start) const = 0;
  [[nodiscard]] virtual std::int64_t last_window_end(std::int64_t slice_start) const = 0;
  /// The end of the next window after the one that ends at `end`; saturates.
  [[nodiscard]] virtual std::int64_t next_window_end(std::int64_t end) const = 0;
  [[nodiscard]] virtual std::int64_t window_start(std::int64_t window_end) const = 0;
  /// The end of the first window that ends after `ts`.
  [[nodiscard]] virtual std::int64_t first_end_after(std::int64_t ts) const = 0;

 private:
  std::int64_t width_;
  std::int64_t offset_;
};

/// Sorts a batch's records by slice: stable, and free of charge when all are in one.
class SliceAssigner {
 public:
  /// Records rows()[first .. first + count) of a slice; rows() is null when they are all records of the batch.
  struct Run {
    Slice* slice = nullptr;
    std::size_t first = 0;
    std::size_t count = 0;
  };

  explicit SliceAssigner(const SliceGrid& grid) : grid_{grid} {}

  /// Finds or makes the slice of every record whose last window has not expired; the others go to `late`, ascending.
  void assign(std::span<const std::int64_t> times, std::int64_t progress, std::int64_t lateness, SliceStore& store,
              std::vector<std::uint32_t>& late);
  [[nodiscard]] std::span<const Run> runs() const { return runs_; }
  /// Whether there is one run, of all records of the batch.
  [[nodiscard]] bool all_in_one() const { return all_rows_; }
  [[nodiscard]] const std::uint32_t* rows() const { return all_rows_ ? nullptr : rows_.data(); }
  /// Over all runs.
  [[nodiscard]] std::size_t count() const { return count_; }

 private:
  static constexpr std::uint32_t late_ordinal = 0xffffffff;
  struct Cached {
    std::int64_t start = 0;
    std::uint64_t width = 0;  ///< 0: nothing cached
    std::uint32_t ordinal = 0;
  };

  Cached look_up(std::int64_t time, std::int64_t progress, std::int64_t lateness, SliceStore& store);
  void sort_rows(std::size_t count, std::vector<std::uint32_t>& late);

  const SliceGrid& grid_;
  std::vector<Run> runs_;
  std::vector<std::uint32_t> rows_;
  std::vector<std::uint32_t> ordinals_;
  std::array<Cached, 64> cache_;
  std::uint64_t batch_ = 0;
  std::size_t count_ = 0;
  bool all_rows_ = true;
};

}  // namespace dataflow::windows
