#pragma once
// Groups of slices that memory has no room for, on disk. A slice's table that has grown too large is sorted by its keys
// and written as a run, without having read one of them before, and begins anew: aggregates merge, so that a key may be
// in several runs. What a key has is put together when the slice fires (external hash aggregation: Graefe, "Query
// evaluation techniques for large databases", ACM Computing Surveys 25(2), 1993). Many runs of a slice become one.
//
// The runs are this operator's own: checkpoints have its groups as rows.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "libdataflow/state/sorted_run.hpp"
#include "libdataflow/state/state_backend.hpp"
#include "libdataflow/windows/slices.hpp"
#include "libdataflow/windows/window_state.hpp"

namespace dataflow::windows {

/// A slice's groups from its runs, in the order of their keys, each once. On any thread.
class SpilledReader {
 public:
  /// `aggregation` outlives it.
  SpilledReader(const std::vector<SortedRunPtr>& runs, KeyForm form, const Aggregation& aggregation);

  /// Goes to the next group, and folds what it has into `states`, which are initial ones. False at the end.
  Result<bool> next(std::byte* states);
  // Of the group; valid until `next`.
  [[nodiscard]] const KeyRef& key() const { return key_; }
  [[nodiscard]] const std::string& key_bytes() const { return group_; }

 private:
  void read_key();

  std::unique_ptr<StoreScan> scan_;
  KeyForm form_;
  const Aggregation& aggregation_;
  std::string group_;  ///< the key as the runs have it
  std::string text_;
  KeyRef key_;
  std::unique_ptr<std::byte[]> part_;  ///< states of one entry
};

class SpilledGroups {
 public:
  /// `aggregation` outlives it. `states_offset`: from a row to its states.
  SpilledGroups(OwnedFolderPtr folder, KeyForm form, const Aggregation& aggregation, std::size_t states_offset);

  /// Writes all groups of the slice. They are the slice's until its table is cleared. Errors: io, as below.
  Status write(const Slice& slice);
  [[nodiscard]] bool has(std::int64_t slice_start) const { return runs_.contains(slice_start); }
  [[nodiscard]] std::unique_ptr<SpilledReader> read(std::int64_t slice_start) const;
  /// The slice has fired.
  void forget(std::int64_t slice_start) { runs_.erase(slice_start); }
  /// Of each slice what there is now, for a thread that writes a snapshot in `form`.
  void freeze(const GroupFormPtr& form, std::vector<FrozenGroupsPtr>& groups) const;
  /// What the tables in memory may take.
  [[nodiscard]] std::uint64_t budget_bytes() const { return folder_->backend()->cache_bytes(); }

 private:
  Status merge(std::vector<SortedRunPtr>& runs);

  OwnedFolderPtr folder_;
  KeyForm form_;
  const Aggregation& aggregation_;
  std::size_t states_offset_;
  std::map<std::int64_t, std::vector<SortedRunPtr>> runs_;  ///< by slice; none is without
};

}  // namespace dataflow::windows
