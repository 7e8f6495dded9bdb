#include "libdataflow/windows/sliced_windows.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace dataflow::windows {

namespace {

constexpr std::size_t changed_bytes = 8;

/// When there are many tables, a look at how large they are is worth so many batches.
constexpr std::uint64_t batches_between_looks = 8;
constexpr std::size_t few_slices = 16;

std::vector<std::byte> with_prefix(std::size_t prefix_bytes, const std::vector<std::byte>& states) {
  std::vector<std::byte> payload(prefix_bytes);
  payload.insert(payload.end(), states.begin(), states.end());
  return payload;
}

/// The mark in front of a row's states; only there with early results.
std::uint64_t& changed_mark(std::byte* states) {
  return *reinterpret_cast<std::uint64_t*>(states - changed_bytes);
}
std::uint64_t changed_mark(const std::byte* states) {
  return *reinterpret_cast<const std::uint64_t*>(states - changed_bytes);
}

}  // namespace

SlicedWindows::SlicedWindows(const WindowSpec& spec, SchemaPtr input, std::unique_ptr<SliceGrid> grid,
                             std::size_t link_bytes)
    : WindowOperator{spec, std::move(input)},
      grid_{std::move(grid)},
      layout_{key_form(), with_prefix(link_bytes + (spec.early ? changed_bytes : 0), aggregation().initial_states())},
      extra_layout_{key_form(), aggregation().initial_states()},
      states_offset_{layout_.payload_offset() + link_bytes + (spec.early ? changed_bytes : 0)},
      store_{layout_},
      assigner_{*grid_},
      key_groups_{spec.key_fields},
      key_layout_{key_form(), {}},
      held_{aggregation()} {}

SlicedWindows::~SlicedWindows() {
  for (const auto& [start, slice] : store_.all()) release_states(slice->groups, states_offset_);
  for (const auto& slice : dropped_) release_states(slice->groups, states_offset_);
  for (auto& [end, groups] : extra_) release_states(groups, extra_layout_.payload_offset());
  for (GroupTable& groups : extra_done_) release_states(groups, extra_layout_.payload_offset());
  for (auto& [start, groups] : looked_up_) release_states(groups, extra_layout_.payload_offset());
}

Status SlicedWindows::opened() {
  const StateBackendPtr backend = context().spill_backend();
  if (!backend || spec().key_fields.empty()) return {};
  auto folder = backend->open_folder();
  if (!folder) return fail(folder.error());
  spilled_ = std::make_unique<SpilledGroups>(
      std::move(*folder),
      SpilledForm{key_form(), &aggregation(), spec().early ? SpilledHeader::mark : SpilledHeader::none}, states_offset_,
      lateness() > 0 ? RunIndex::pieces : RunIndex::none);
  return {};
}

void SlicedWindows::release_states(GroupTable& groups, std::size_t states_offset) {
  if (!aggregation().states_own_memory()) return;
  GroupTable::Cursor cursor;
  for (std::byte* row = nullptr; groups.next_rows(cursor, 1, &row) == 1;) {
    groups.before_write(row);
    aggregation().release(row + states_offset);
  }
}

Status SlicedWindows::absorb(const Records& records, std::vector<std::uint32_t>& late) {
  assigner_.assign(records.times, progress(), lateness(), store_, late);
  const bool by_key = !records.combined && assigner_.all_in_one() &&
                      !counts_elsewhere(*assigner_.runs().front().slice) && key_groups_.read(*records.batch);
  if (Status added = by_key ? add_by_key(records) : add_by_record(records); !added) return added;
  if (!spilled_) return {};
  const bool look = ++batches_ % batches_between_looks == 0 || store_.all().size() <= few_slices;
  return look ? make_room() : Status{};
}

/// All of one slice, and known by key.
Status SlicedWindows::add_by_key(const Records& records) {
  Slice& slice = *assigner_.runs().front().slice;
  const std::size_t count = key_groups_.size();
  found_.resize(std::max(found_.size(), count));
  slice.groups.find_or_insert(records.key_reader->read(*records.batch, key_groups_.first_rows()), nullptr, count,
                              found_.data());
  for (std::size_t i = 0; i < count; ++i) found_[i] += states_offset_;
  const GroupRows by_key{key_groups_.of_rows(), key_groups_.sizes(), found_.data(), records.first_sequence};
  if (auto status = aggregation().update(by_key); !status) return status;
  note_change(slice, found_.data(), count);
  return {};
}

Status SlicedWindows::add_by_record(const Records& records) {
  const std::size_t count = assigner_.count();
  const std::uint32_t* rows = assigner_.rows();
  found_.resize(std::max(found_.size(), count));
  const KeyBatch& keys = records.keys();
  for (const SliceAssigner::Run& run : assigner_.runs()) {
    run.slice->groups.find_or_insert(keys, rows == nullptr ? nullptr : rows + run.first, run.count,
                                     found_.data() + run.first);
  }
  for (std::size_t i = 0; i < count; ++i) found_[i] += states_offset_;
  if (auto status = aggregation().update({found_.data(), rows, count, records.first_sequence}); !status) return status;
  for (const SliceAssigner::Run& run : assigner_.runs()) note_change(*run.slice, found_.data() + run.first, run.count);
  for (const SliceAssigner::Run& run : assigner_.runs()) {
    if (!counts_elsewhere(*run.slice)) continue;
    if (auto status = count_elsewhere(records, run, found_.data()); !status) return status;
  }
  return {};
}

/// Of groups of the slice, by their states.
void SlicedWindows::note_change(Slice& slice, std::byte* const* states, std::size_t count) {
  slice.changed = true;
  if (spec().early) {
    for (std::size_t i = 0; i < count; ++i) changed_mark(states[i]) = 1;
  }
  if (lateness() > 0 && complete(grid_->first_window_end(slice.start))) note_late(slice, states, count);
}

void SlicedWindows::add_extra(std::int64_t window_end, const KeyRef& key) {
  auto it = extra_.find(window_end);
  if (it == extra_.end()) it = extra_.emplace(window_end, GroupTable{extra_layout_}).first;
  it->second.find_or_insert(key);
}

void SlicedWindows::note_late(const Slice& slice, std::byte* const* states, std::size_t count) {
  std::int64_t end = grid_->first_window_end(slice.start);
  while (complete(end)) {
    if (!expired(end)) {
      for (std::size_t i = 0; i < count; ++i) add_extra(end, slice.groups.key_of(states[i] - states_offset_));
    }
    if (end >= slice.last_window_end) return;
    end = grid_->next_window_end(end);
  }
}

void SlicedWindows::start_early() {
  bool any = false;
  for (const auto& [start, slice] : store_.all()) {
    if (!slice->changed) continue;
    any = true;
    for (std::int64_t end = grid_->first_window_end(start);; end = grid_->next_window_end(end)) {
      if (!complete(end)) early_ends_.insert(end);
      if (end >= slice->last_window_end) break;
    }
  }
  if (any && early_ends_.empty()) forget_changes();
}

/// One window after the other, so that not all of them have their keys twice.
Result<WindowOperator::More> SlicedWindows::produce_early(ResultWriter& writer) {
  const std::int64_t end = *early_ends_.begin();
  if (walking()) {
    auto more = walk(writer);
    if (!more || *more == More::yes) return more;
  } else if (on_disk(end)) {
    if (auto status = begin_walk(end, Give::changed); !status) return fail(status.error());
    return More::yes;
  } else {
    add_changed(end);
  }
  early_ends_.erase(early_ends_.begin());
  if (early_ends_.empty()) forget_changes();
  return More::yes;
}

void SlicedWindows::add_changed(std::int64_t window_end) {
  auto slice = store_.all().lower_bound(grid_->window_start(window_end));
  for (; slice != store_.all().end() && slice->first < window_end; ++slice) {
    if (!slice->second->changed) continue;
    const GroupTable& groups = slice->second->groups;
    GroupTable::Cursor cursor;
    for (std::byte* row = nullptr; groups.next_rows(cursor, 1, &row) == 1;) {
      if (changed_mark(row + states_offset_) != 0) add_extra(window_end, groups.key_of(row));
    }
  }
}

void SlicedWindows::forget_changes() {
  for (const auto& [start, slice] : store_.all()) {
    if (!std::exchange(slice->changed, false)) continue;
    GroupTable::Cursor cursor;
    for (std::byte* row = nullptr; slice->groups.next_rows(cursor, 1, &row) == 1;) {
      std::uint64_t& changed = changed_mark(row + states_offset_);
      if (changed == 0) continue;
      slice->groups.before_write(row);
      changed = 0;
    }
  }
  if (spilled_) spilled_->next_period();
}

Result<WindowOperator::More> SlicedWindows::produce(ResultWriter& writer) {
  if (!extra_.empty()) return produce_extra(writer);
  return early_ends_.empty() ? produce_due(writer) : produce_early(writer);
}

/// A window's result for single keys, from the slices themselves.
Result<WindowOperator::More> SlicedWindows::produce_extra(ResultWriter& writer) {
  const std::int64_t end = extra_.begin()->first;
  const std::int64_t start = grid_->window_start(end);
  GroupTable& groups = extra_.begin()->second;
  const auto first = store_.all().lower_bound(start);
  if (spilled_ && !spilled_->empty() && !extra_looked_up_) {
    if (auto status = look_up_extra(); !status) return fail(status.error());
  }
  std::byte* row = nullptr;
  while (writer.room() > 0 && groups.next_rows(extra_cursor_, 1, &row) == 1) {
    const KeyRef key = groups.key_of(row);
    std::byte* states = row + extra_layout_.payload_offset();
    const auto merge = [&](const std::byte* from) { return aggregation().merge(&states, &from, 1); };
    for (auto it = first; it != store_.all().end() && it->first < end; ++it) {
      const std::byte* in_slice = it->second->groups.find(key);
      if (in_slice == nullptr) continue;
      if (auto status = merge(in_slice + states_offset_); !status) return fail(status.error());
    }
    for (auto it = looked_up_.lower_bound(start); it != looked_up_.end() && it->first < end; ++it) {
      const std::byte* on_disk = it->second.find(key);
      if (on_disk == nullptr) continue;
      if (auto status = merge(on_disk + extra_layout_.payload_offset()); !status) return fail(status.error());
    }
    writer.add(key, states, start, end, saturating_sub(end, 1));
  }
  if (writer.room() == 0) return More::yes;
  extra_done_.push_back(std::move(groups));
  extra_.erase(extra_.begin());
  extra_cursor_ = {};
  if (extra_.empty()) {
    for (auto& [slice, looked_up] : looked_up_) release_states(looked_up, extra_layout_.payload_offset());
    looked_up_.clear();
    extra_looked_up_ = false;
  }
  return More::yes;
}

void SlicedWindows::release_slice(Slice& slice) {
  release_states(slice.groups, states_offset_);
}

void SlicedWindows::flushed() {
  for (GroupTable& groups : extra_done_) release_states(groups, extra_layout_.payload_offset());
  extra_done_.clear();
  held_.clear();
  for (auto& slice : dropped_) {
    release_slice(*slice);
    store_.recycle(std::move(slice));
  }
  dropped_.clear();
}

void SlicedWindows::drop_expired(std::int64_t until) {
  while (!store_.all().empty()) {
    const Slice& slice = *store_.all().begin()->second;
    if (slice.start >= until || !expired(slice.last_window_end)) return;
    drop(slice.start);
  }
}

void SlicedWindows::freeze_groups(const GroupFormPtr& form, std::vector<FrozenGroupsPtr>& groups) {
  const RowOwnershipPtr ownership = ownership_of_states(form, states_offset_);
  for (const auto& [start, slice] : store_.all()) {
    if (slice->groups.empty()) continue;
    auto save = [layout = layout_, offset = states_offset_, start = start, early = spec().early.has_value()](
                    const FrozenRows::Rows& rows, GroupSaver& saver) -> Status {
      for (std::size_t i = 0; i < rows.count; ++i) {
        const std::byte* row = rows.first + i * layout.stride();
        const auto changed = early ? static_cast<std::int64_t>(changed_mark(row + offset)) : std::int64_t{0};
        const KeyRef key = GroupTable::key_of_copy(layout, row, row == rows.null_key);
        if (Status saved = saver.add(key, std::array{start, changed}, row + offset); !saved) return saved;
      }
      return {};
    };
    groups.push_back(frozen_groups(slice->groups.freeze(ownership), std::move(save)));
  }
  if (spilled_) spilled_->freeze(form, groups);
}

Status SlicedWindows::load_groups(const SavedGroups& saved) {
  for (std::uint32_t row = 0; row < saved.batch.rows(); ++row) {
    const std::int64_t start = saved.number(row, 0);
    Slice& slice = store_.find_or_create(start, grid_->end(start), grid_->last_window_end(start));
    std::byte* group = nullptr;
    const std::size_t before = slice.groups.size();
    slice.groups.find_or_insert(saved.keys, &row, 1, &group);
    std::byte* states = group + states_offset_;
    // A window that had not enough memory has written a group in parts.
    Status loaded = slice.groups.size() != before ? saved.load(row, states) : saved.merge(row, states);
    if (!loaded) return loaded;
    if (spec().early && saved.number(row, 1) != 0) {
      changed_mark(states) = 1;
      slice.changed = true;
    }
  }
  return spilled_ ? make_room() : Status{};
}

std::optional<std::int64_t> SlicedWindows::first_open_end() const {
  return next_due();
}

}  // namespace dataflow::windows
