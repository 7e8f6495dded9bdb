#pragma once
// The rows of a window join until their windows are over: slices of time, each of which is in whole windows. With a
// state backend the slices that memory has no room for lie on disk, as runs of rows in the order of their keys' hashes,
// so that a window of any size is joined one range of hashes after the other (a hash join by partitions: Kitsuregawa et
// al., "Application of hash to data base machine and its architecture", New Generation Computing 1, 1983; here the
// partitions are made when they are read, as large as memory allows).

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "libdataflow/joins/join_spec.hpp"
#include "libdataflow/joins/row_state.hpp"
#include "libdataflow/state/sorted_run.hpp"
#include "libdataflow/state/state_backend.hpp"
#include "libdataflow/windows/assign.hpp"
#include "libdataflow/windows/group_table.hpp"

namespace dataflow::joins {

/// What stands in memory before a row's bytes.
struct WindowRow {
  std::uint64_t hash;
  std::int64_t time;
  std::int64_t sequence;  ///< in the order of arrival
  std::uint64_t has_key;  ///< else it has no match, and any hash

  [[nodiscard]] const std::byte* bytes() const { return reinterpret_cast<const std::byte*>(this + 1); }
  [[nodiscard]] std::byte* bytes() { return reinterpret_cast<std::byte*>(this + 1); }
};
using WindowRows = std::vector<WindowRow*>;

struct Slice {
  std::int64_t last_end = first_micros;  ///< of the last window that it is in
  WindowRows sides[2];
  RowArena arena;
  std::vector<SortedRunPtr> runs;  ///< its other rows
  /// Of the right's rows in memory, where one of each key is enough.
  std::optional<windows::GroupTable> right_keys;

  /// A row, and room for so many bytes behind it.
  WindowRow* add(std::size_t side, const WindowRow& row, std::size_t bytes);
  [[nodiscard]] std::size_t byte_size() const {
    return arena.bytes_in_use() + (sides[0].size() + sides[1].size()) * sizeof(WindowRow*) +
           (right_keys ? right_keys->byte_size() : 0);
  }
};
using Slices = std::map<std::int64_t, Slice>;  ///< by their start

/// The slices' place on disk. Errors of all calls: io, malformed_data.
class SliceSpill {
 public:
  explicit SliceSpill(OwnedFolderPtr folder) : folder_{std::move(folder)} {}

  /// Writes slices out when there is no room for all of them.
  Status make_room(Slices& slices);
  /// Adds rows to the table that is being captured.
  void capture(const Slice& slice, CapturedRows& captured) const;
  /// What the rows of a window that is being joined may take.
  [[nodiscard]] std::size_t part_bytes() const { return folder_->backend()->cache_bytes() / 4; }

 private:
  Status write(Slice& slice);
  Status merge_smallest(std::vector<SortedRunPtr>& runs);

  OwnedFolderPtr folder_;
};

/// The rows of a window, part by part when some of them are on disk: rows with equal keys are in the same part.
class WindowParts {
 public:
  /// Of these slices, which outlive it. `part_bytes`: of rows in a part; more when a key has more.
  WindowParts(Slices::const_iterator first, Slices::const_iterator last, std::size_t part_bytes);

  [[nodiscard]] bool more() const { return more_; }
  /// Whether a part's rows go when the next one is asked for.
  [[nodiscard]] bool from_disk() const { return scan_ != nullptr; }
  /// The rows of the next part, in the order of arrival.
  Status next(WindowRows (&sides)[2]);

 private:
  Status read(WindowRows (&sides)[2], std::uint64_t& last_hash);

  std::size_t part_bytes_;
  std::unique_ptr<StoreScan> scan_;  ///< null: all rows are in memory
  WindowRows in_memory_[2];          ///< by hash, if not all are in memory
  std::size_t taken_[2] = {0, 0};    ///< of them
  RowArena arena_;                   ///< of the rows that have been read
  bool more_ = true;
};

}  // namespace dataflow::joins
