#pragma once
// What tumbling, sliding and cumulating windows share: records go to slices; windows that have fired fire again for
// the keys that a late record within the allowed lateness has changed; early results.
//
// A record that is late for some of its windows counts in the others only. Flink fires a late window again for each
// record; here once for each key and window at the end of the batch, with everything in it.
//
// With a state backend slices that memory has no room for are written to disk (see spilled_groups.hpp), and a window of
// which anything is there fires from it, in the order of its keys.

#include <map>
#include <memory>
#include <set>
#include <string_view>
#include <vector>

#include "libdataflow/windows/held_groups.hpp"
#include "libdataflow/windows/key_groups.hpp"
#include "libdataflow/windows/slices.hpp"
#include "libdataflow/windows/spilled_groups.hpp"
#include "libdataflow/windows/window_operator.hpp"

namespace dataflow::windows {

class SlicedWindows : public WindowOperator {
 protected:
  /// A group's row is: key, `link_bytes` of the kind's own, whether it changed (with early results only), states.
  SlicedWindows(const WindowSpec& spec, SchemaPtr input, std::unique_ptr<SliceGrid> grid, std::size_t link_bytes);
  ~SlicedWindows() override;

  Status opened() final;
  Status absorb(const Records& records, std::vector<std::uint32_t>& late) final;
  Result<More> produce(ResultWriter& writer) final;
  void flushed() override;
  void start_early() final;
  [[nodiscard]] std::optional<std::int64_t> first_open_end() const final;
  [[nodiscard]] std::vector<std::string> saved_numbers() const final { return {"slice_start", "changed"}; }
  void freeze_groups(const GroupFormPtr& form, std::vector<FrozenGroupsPtr>& groups) final;
  Status load_groups(const SavedGroups& saved) final;

  /// Whether the slice's records, each by itself, count somewhere else, too.
  [[nodiscard]] virtual bool counts_elsewhere(const Slice&) const { return false; }
  /// The batch's records are in their slices: carry those of this one on to where else they count. `states[i]` are
  /// those of the i-th of the assigner's records.
  virtual Status count_elsewhere(const Records&, const SliceAssigner::Run&, std::byte* const*) { return {}; }
  /// Adds results of windows that are complete, in order of their ends; expires slices when there are no more.
  virtual Result<More> produce_due(ResultWriter& writer) = 0;
  /// In processing time: the end of the window that fires next.
  [[nodiscard]] virtual std::optional<std::int64_t> next_due() const = 0;

  // With slices on disk:
  /// What the kind keeps beside the slices' tables.
  [[nodiscard]] virtual std::uint64_t bytes_beside() const { return 0; }
  /// Slices are about to go to disk: nothing may refer to their rows any more.
  virtual void before_spill() {}
  /// Writes the largest slices until the others have room.
  Status make_room();
  /// Whether anything of the window is on disk.
  [[nodiscard]] bool on_disk(std::int64_t window_end) const {
    return spilled_ != nullptr && spilled_->has(grid_->window_start(window_end), window_end);
  }
  enum class Give : std::uint8_t { all, changed };
  /// Begins to give a window's results from disk; what it has in memory goes there, too.
  Status begin_walk(std::int64_t window_end, Give give);
  [[nodiscard]] bool walking() const { return reader_ != nullptr; }
  /// Adds up to the writer's room. No: the walk is over.
  Result<More> walk(ResultWriter& writer);

  [[nodiscard]] SliceStore& store() { return store_; }
  [[nodiscard]] const SliceStore& store() const { return store_; }
  [[nodiscard]] const SliceGrid& grid() const { return *grid_; }
  [[nodiscard]] const SliceAssigner& assigner() const { return assigner_; }
  /// From a row to its states.
  [[nodiscard]] std::size_t states_offset() const { return states_offset_; }
  /// The slice goes once the writer's results are out.
  void drop(std::int64_t slice_start) {
    dropped_.push_back(store_.take(slice_start));
    if (spilled_) spilled_->forget(slice_start);
  }
  /// Called before a dropped slice's memory goes.
  virtual void release_slice(Slice& slice);
  /// Drops the slices before `until` whose last window has expired.
  void drop_expired(std::int64_t until);
  void release_states(GroupTable& groups, std::size_t states_offset);

 private:
  /// Windows that give results beside their turn, and the keys that do: each row is a key and room for its states.
  using Extra = std::map<std::int64_t, GroupTable>;

  Status add_by_key(const Records& records);
  Status add_by_record(const Records& records);
  void note_change(Slice& slice, std::byte* const* states, std::size_t count);
  void add_extra(std::int64_t window_end, const KeyRef& key);
  void note_late(const Slice& slice, std::byte* const* states, std::size_t count);
  Result<More> produce_extra(ResultWriter& writer);
  Result<More> produce_early(ResultWriter& writer);
  void add_changed(std::int64_t window_end);
  void forget_changes();
  Status look_up_extra();
  [[nodiscard]] std::uint64_t bytes_of(const Slice& slice) const;
  Status spill(Slice& slice);

  std::unique_ptr<SliceGrid> grid_;
  RowLayout layout_;
  RowLayout extra_layout_;
  std::size_t states_offset_;
  SliceStore store_;
  SliceAssigner assigner_;
  KeyGroups key_groups_;
  std::vector<std::byte*> found_;  ///< states of the assigner's records, or of each key
  Extra extra_;
  GroupTable::Cursor extra_cursor_;
  std::vector<GroupTable> extra_done_;
  bool extra_looked_up_ = false;  ///< what their keys have on disk is in looked_up_
  RowLayout key_layout_;
  std::map<std::int64_t, GroupTable> looked_up_;  ///< by slice
  std::set<std::int64_t> early_ends_;             ///< of windows that have early results to give
  std::vector<std::unique_ptr<Slice>> dropped_;
  std::unique_ptr<SpilledGroups> spilled_;  ///< null: everything stays in memory
  std::unique_ptr<SpilledReader> reader_;   ///< of the window that gives results from disk
  std::int64_t walk_end_ = 0;
  Give walk_gives_ = Give::all;
  HeldGroups held_;  ///< of that window, on their way out
  std::uint64_t batches_ = 0;
};

}  // namespace dataflow::windows
