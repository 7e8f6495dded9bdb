#pragma once
// What tumbling, sliding and cumulating windows share: records go to slices; windows that have fired fire again for
// the keys that a late record within the allowed lateness has changed; early results.
//
// A record that is late for some of its windows counts in the others only. Flink fires a late window again for each
// record; here once for each key and window at the end of the batch, with everything in it.

#include <map>

#include "libdataflow/windows/slices.hpp"
#include "libdataflow/windows/window_operator.hpp"

namespace dataflow::windows {

class SlicedWindows : public WindowOperator {
 protected:
  /// A group's row is: key, `link_bytes` of the kind's own, whether it changed (with early results only), states.
  SlicedWindows(const WindowSpec& spec, SchemaPtr input, std::unique_ptr<SliceGrid> grid, std::size_t link_bytes);
  ~SlicedWindows() override;

  Status absorb(const Records& records, std::vector<std::uint32_t>& late) final;
  Result<More> produce(ResultWriter& writer) final;
  void flushed() override;
  void start_early() final;
  [[nodiscard]] std::optional<std::int64_t> first_open_end() const final;
  [[nodiscard]] std::vector<std::string> saved_numbers() const final { return {"slice_start", "changed"}; }
  void freeze_groups(const GroupFormPtr& form, std::vector<FrozenGroupsPtr>& groups) final;
  Status load_groups(const SavedGroups& saved) final;

  /// Groups of a checkpoint are in their slices.
  virtual Status after_load() { return {}; }
  /// Captures groups that are not in the slices' tables.
  virtual void freeze_others(const GroupFormPtr& /*form*/, std::vector<FrozenGroupsPtr>& /*groups*/) {}
  /// The batch's records are in their slices: carry them on to where else they count. `states[i]` are those of the
  /// i-th of the assigner's records.
  virtual Status after_absorb(const Records&, std::byte* const*) { return {}; }
  /// Adds results of windows that are complete, in order of their ends; expires slices when there are no more.
  virtual Result<More> produce_due(ResultWriter& writer) = 0;
  /// In processing time: the end of the window that fires next.
  [[nodiscard]] virtual std::optional<std::int64_t> next_due() const = 0;

  [[nodiscard]] SliceStore& store() { return store_; }
  [[nodiscard]] const SliceStore& store() const { return store_; }
  [[nodiscard]] const SliceGrid& grid() const { return *grid_; }
  [[nodiscard]] const SliceAssigner& assigner() const { return assigner_; }
  /// From a row to its states.
  [[nodiscard]] std::size_t states_offset() const { return states_offset_; }
  /// The slice goes once the writer's results are out.
  void drop(std::int64_t slice_start) { dropped_.push_back(store_.take(slice_start)); }
  /// The slice has no groups any more. Nothing refers to its rows.
  void clear_groups(Slice& slice);
  /// Called before a dropped slice's memory goes.
  virtual void release_slice(Slice& slice);
  /// Drops the slices before `until` whose last window has expired.
  void drop_expired(std::int64_t until);
  void release_states(GroupTable& groups, std::size_t states_offset);

 private:
  /// Windows that give results beside their turn, and the keys that do: each row is a key and room for its states.
  using Extra = std::map<std::int64_t, GroupTable>;

  void add_extra(std::int64_t window_end, const KeyRef& key);
  void note_late(const Slice& slice, std::byte* const* states, std::size_t count);
  Result<More> produce_extra(ResultWriter& writer);
  Status merge_saved(const SavedGroups& saved, std::uint32_t row, std::byte* states);

  std::unique_ptr<SliceGrid> grid_;
  RowLayout layout_;
  RowLayout extra_layout_;
  std::size_t states_offset_;
  SliceStore store_;
  SliceAssigner assigner_;
  std::vector<std::byte*> found_;
  Extra extra_;
  GroupTable::Cursor extra_cursor_;
  std::vector<GroupTable> extra_done_;
  std::vector<std::unique_ptr<Slice>> dropped_;
};

}  // namespace dataflow::windows
