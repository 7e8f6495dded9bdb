// Sliced windows with more groups than memory has room for: the largest tables go to disk, windows give their results
// from there, and late records' keys are looked up there.

#include <algorithm>

#include "libdataflow/windows/key_bytes.hpp"
#include "libdataflow/windows/sliced_windows.hpp"

namespace dataflow::windows {

std::uint64_t SlicedWindows::bytes_of(const Slice& slice) const {
  return slice.groups.byte_size() + owned_bytes(aggregation(), slice.groups, states_offset_);
}

Status SlicedWindows::make_room() {
  std::uint64_t bytes = bytes_beside() + store_.spare_bytes();
  for (const auto& [start, slice] : store_.all()) bytes += bytes_of(*slice);
  if (bytes <= spilled_->budget_bytes()) return {};
  store_.drop_spare();
  before_spill();
  while (true) {
    bytes = 0;
    std::uint64_t most = 0;
    Slice* largest = nullptr;
    for (const auto& [start, slice] : store_.all()) {
      const std::uint64_t takes = bytes_of(*slice);
      bytes += takes;
      if (takes <= most || slice->groups.empty()) continue;
      most = takes;
      largest = slice.get();
    }
    if (largest == nullptr || bytes <= spilled_->budget_bytes()) return {};
    if (Status written = spill(*largest); !written) return written;
  }
}

/// Nothing refers to the slice's rows.
Status SlicedWindows::spill(Slice& slice) {
  if (Status written = spilled_->write(slice.start, slice.groups); !written) return written;
  release_states(slice.groups, states_offset_);
  slice.groups = GroupTable{layout_};
  return {};
}

Status SlicedWindows::begin_walk(std::int64_t window_end, Give give) {
  const std::int64_t start = grid_->window_start(window_end);
  // What a key has in memory is one more part of it.
  for (auto slice = store_.all().lower_bound(start); slice != store_.all().end() && slice->first < window_end;
       ++slice) {
    if (Status written = spill(*slice->second); !written) return written;
    if (lateness() == 0) continue;
    if (Status compacted = spilled_->compact(slice->first); !compacted) return compacted;
  }
  auto reader = spilled_->read(start, window_end);
  if (!reader) return fail(reader.error());
  reader_ = std::move(*reader);
  walk_end_ = window_end;
  walk_gives_ = give;
  return {};
}

Result<WindowOperator::More> SlicedWindows::walk(ResultWriter& writer) {
  const std::int64_t start = grid_->window_start(walk_end_);
  while (writer.room() > 0) {
    std::byte* states = held_.add();
    const auto more = reader_->next(states);
    if (!more) return fail(more.error());
    if (!*more) {
      reader_.reset();
      return More::no;
    }
    if (walk_gives_ == Give::changed && !reader_->changed()) {
      held_.drop_newest();
      continue;
    }
    writer.add(held_.keep(key_form(), reader_->key()), states, start, walk_end_, saturating_sub(walk_end_, 1));
  }
  return More::yes;
}

/// What the keys with results beside their windows' turn have on disk, once for all windows.
Status SlicedWindows::look_up_extra() {
  extra_looked_up_ = true;
  GroupTable keys{key_layout_};
  std::int64_t first = last_micros;
  std::int64_t last = first_micros;
  for (const auto& [end, groups] : extra_) {
    if (!on_disk(end)) continue;
    first = std::min(first, grid_->window_start(end));
    last = std::max(last, end);
    GroupTable::Cursor cursor;
    for (std::byte* row = nullptr; groups.next_rows(cursor, 1, &row) == 1;) keys.find_or_insert(groups.key_of(row));
  }
  if (keys.empty()) return {};
  std::vector<std::pair<std::string, KeyRef>> wanted;
  GroupTable::Cursor cursor;
  for (std::byte* row = nullptr; keys.next_rows(cursor, 1, &row) == 1;) {
    wanted.emplace_back(std::string{}, keys.key_of(row));
    append_key_bytes(key_form(), wanted.back().second, wanted.back().first);
  }
  std::sort(wanted.begin(), wanted.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::string_view> bytes;
  for (const auto& [key, ref] : wanted) bytes.push_back(key);
  for (auto slice = store_.all().lower_bound(first); slice != store_.all().end() && slice->first < last; ++slice) {
    if (!spilled_->has(slice->first, slice->second->end)) continue;
    GroupTable& found = looked_up_.try_emplace(slice->first, extra_layout_).first->second;
    Status read = spilled_->look_up(slice->first, bytes, [&](std::size_t i, const std::byte* part) {
      std::byte* states = found.find_or_insert(wanted[i].second) + extra_layout_.payload_offset();
      return aggregation().merge(&states, &part, 1);
    });
    if (!read) return read;
  }
  return {};
}

}  // namespace dataflow::windows
