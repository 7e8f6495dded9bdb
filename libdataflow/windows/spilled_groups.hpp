#pragma once
// Groups of slices that memory has no room for, on disk. A slice's table that has grown too large is sorted by its keys
// and written as a run, without having read one of them before, and begins anew: aggregates merge, so that a key may be
// in several runs, of one slice and of the slices of a window. What a key has is put together when a window fires
// (external hash aggregation: Graefe, "Query evaluation techniques for large databases", ACM Computing Surveys 25(2),
// 1993). Many runs of a slice become one. Where windows fire again for late records, what single keys have is looked up
// in the runs.
//
// The runs are this operator's own: checkpoints have its groups as rows. Those of a running job write the rows of a run
// once, as a segment; what a key has is then in several rows, like it is in several runs.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "libdataflow/state/sorted_run.hpp"
#include "libdataflow/state/state_backend.hpp"
#include "libdataflow/windows/assign.hpp"
#include "libdataflow/windows/group_table.hpp"
#include "libdataflow/windows/window_state.hpp"

namespace dataflow::windows {

/// What is in a row in front of its states, eight bytes each.
enum class SpilledHeader : std::uint8_t {
  none,
  mark,           ///< whether the group has changed since the last early result
  time_and_mark,  ///< and, before that, the newest of its records' times
};

/// How groups lie in runs: the header's time, in which period they last changed, and their states.
struct SpilledForm {
  KeyForm keys;
  const Aggregation* aggregation;
  SpilledHeader header;
  std::int64_t period = 1;  ///< number of the time between two early results
};

/// What was written at a time.
struct SpilledRun {
  SortedRunPtr groups;
  std::int64_t period;  ///< in which it was; those of its groups that have changed have done so in this one
};

/// Groups from runs, in the order of their keys, each once. On any thread.
class SpilledReader {
 public:
  /// The form's aggregation outlives it.
  SpilledReader(const std::vector<SortedRunPtr>& runs, const SpilledForm& form);

  /// Goes to the next group, and folds what it has into `states`, which are initial ones. False at the end.
  Result<bool> next(std::byte* states);
  // Of the group; valid until `next`.
  [[nodiscard]] const KeyRef& key() const { return key_; }
  [[nodiscard]] const std::string& key_bytes() const { return group_; }
  /// In the form's period.
  [[nodiscard]] bool changed() const { return changed_; }
  [[nodiscard]] std::int64_t newest() const { return newest_; }

 private:
  void read_header();
  Status fold(std::byte* states);

  std::unique_ptr<StoreScan> scan_;
  SpilledForm form_;
  std::string group_;  ///< the key as the runs have it
  std::string text_;
  KeyRef key_;
  bool changed_ = false;
  std::int64_t newest_ = first_micros;
  std::unique_ptr<std::byte[]> part_;  ///< states of one entry
};

/// Errors: io, malformed_data.
class SpilledGroups {
 public:
  /// The form's aggregation outlives it. `states_offset`: from a row to its states. `index`: whether look_up will be
  /// called.
  SpilledGroups(OwnedFolderPtr folder, const SpilledForm& form, std::size_t states_offset, RunIndex index)
      : folder_{std::move(folder)}, form_{form}, states_offset_{states_offset}, index_{index} {}

  /// Writes all groups of a slice. They are in its table, too, until that is cleared.
  Status write(std::int64_t slice_start, const GroupTable& groups);
  /// Whether anything is here of the slices that start in [from, until).
  [[nodiscard]] bool has(std::int64_t from, std::int64_t until) const;
  [[nodiscard]] bool empty() const { return runs_.empty(); }
  /// The groups of the slices that start in [from, until), put together.
  Result<std::unique_ptr<SpilledReader>> read(std::int64_t from, std::int64_t until);
  /// Calls `visit(i, states)` for each part of the i-th of `keys`, which ascend and are as append_key_bytes writes
  /// them. The states are gone after it.
  Status look_up(std::int64_t slice_start, std::span<const std::string_view> keys,
                 const std::function<Status(std::size_t, const std::byte*)>& visit);
  /// Makes one run of a slice's that will be looked up, if it has several.
  Status compact(std::int64_t slice_start);
  /// The slice is over.
  void forget(std::int64_t slice_start) { runs_.erase(slice_start); }
  /// Early results have been given.
  void next_period() { ++form_.period; }
  /// Of each slice what there is now, for a thread that writes a snapshot in `form`.
  void freeze(const GroupFormPtr& form, std::vector<FrozenGroupsPtr>& groups) const;
  /// What the tables in memory may take.
  [[nodiscard]] std::uint64_t budget_bytes() const { return folder_->backend()->cache_bytes(); }

 private:
  Status merge_smallest(std::vector<SpilledRun>& runs);
  Result<SortedRunPtr> merged(const std::vector<SortedRunPtr>& runs, RunIndex index);

  OwnedFolderPtr folder_;
  SpilledForm form_;
  std::size_t states_offset_;
  RunIndex index_;
  std::map<std::int64_t, std::vector<SpilledRun>> runs_;  ///< by slice; none is without
  StoreValues values_;
};

}  // namespace dataflow::windows
