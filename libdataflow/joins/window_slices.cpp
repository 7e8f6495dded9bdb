#include "libdataflow/joins/window_slices.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

#include "libdataflow/state/store_key.hpp"

namespace dataflow::joins {

namespace {

/// Each takes a buffer when a window is joined.
constexpr std::size_t most_runs_of_a_slice = 32;

bool earlier_hash(const WindowRow* a, const WindowRow* b) {
  return a->hash != b->hash ? a->hash < b->hash : a->sequence < b->sequence;
}
bool earlier_arrival(const WindowRow* a, const WindowRow* b) {
  return a->sequence < b->sequence;
}

}  // namespace

WindowRow* Slice::add(std::size_t side, const WindowRow& row, std::size_t bytes) {
  auto* const added = reinterpret_cast<WindowRow*>(arena.allocate(sizeof(WindowRow) + bytes));
  *added = row;
  sides[side].push_back(added);
  return added;
}

Status SliceSpill::make_room(Slices& slices) {
  std::size_t bytes = 0;
  for (const auto& [start, slice] : slices) bytes += slice.byte_size();
  const std::size_t room = folder_->backend()->cache_bytes() / 4 * 3;  // beside a part
  if (bytes <= room) return {};
  while (bytes > room / 2) {
    const auto largest = std::max_element(slices.begin(), slices.end(), [](const auto& a, const auto& b) {
      return a.second.byte_size() < b.second.byte_size();
    });
    const std::size_t of_it = largest->second.byte_size();
    if (of_it == 0) break;
    if (Status written = write(largest->second); !written) return written;
    bytes -= of_it;
  }
  return {};
}

Status SliceSpill::write(Slice& slice) {
  struct Row {
    const WindowRow* row;
    std::size_t side;
  };
  std::vector<Row> rows;
  rows.reserve(slice.sides[0].size() + slice.sides[1].size());
  for (const std::size_t side : {left_input, right_input}) {
    for (const WindowRow* row : slice.sides[side]) rows.push_back({row, side});
  }
  std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return earlier_hash(a.row, b.row); });
  auto writer = SortedRunWriter::create(folder_->new_file());
  if (!writer) return fail(writer.error());
  std::string key;
  std::string value;
  for (const auto& [row, side] : rows) {
    key.clear();
    value.clear();
    put_ordered(key, row->hash);
    append_row({side, {row->time, row->sequence, static_cast<std::int64_t>(row->has_key)}, row->bytes()}, value);
    if (Status added = (*writer)->add(key, value); !added) return added;
  }
  auto run = (*writer)->finish();
  if (!run) return fail(run.error());
  slice.runs.push_back(std::move(*run));
  for (WindowRows& side : slice.sides) WindowRows{}.swap(side);
  slice.arena = RowArena{};
  slice.right_keys.reset();
  return slice.runs.size() < most_runs_of_a_slice ? Status{} : merge_smallest(slice.runs);
}

/// Half of them become one. So it takes hundreds of runs until a row, and what a checkpoint has of it, is written a
/// third time.
Status SliceSpill::merge_smallest(std::vector<SortedRunPtr>& runs) {
  auto writer = SortedRunWriter::create(folder_->new_file());
  if (!writer) return fail(writer.error());
  const auto half = runs.begin() + most_runs_of_a_slice / 2;
  std::nth_element(runs.begin(), half, runs.end(),
                   [](const SortedRunPtr& a, const SortedRunPtr& b) { return a->bytes() < b->bytes(); });
  const auto scan = merge_runs({runs.begin(), half});
  for (; scan->valid(); scan->next()) {
    if (Status added = (*writer)->add(scan->key(), scan->value()); !added) return added;
  }
  if (Status walked = scan->status(); !walked) return walked;
  auto run = (*writer)->finish();
  if (!run) return fail(run.error());
  runs.erase(runs.begin(), half);
  runs.push_back(std::move(*run));
  return {};
}

void SliceSpill::capture(const Slice& slice, CapturedRows& captured) const {
  if (!slice.runs.empty()) captured.add_stored({folder_, slice.runs});
}

WindowParts::WindowParts(Slices::const_iterator first, Slices::const_iterator last, std::size_t part_bytes)
    : part_bytes_{part_bytes} {
  std::vector<SortedRunPtr> runs;
  for (; first != last; ++first) {
    const Slice& slice = first->second;
    runs.insert(runs.end(), slice.runs.begin(), slice.runs.end());
    for (const std::size_t side : {left_input, right_input}) {
      in_memory_[side].insert(in_memory_[side].end(), slice.sides[side].begin(), slice.sides[side].end());
    }
  }
  if (runs.empty()) return;
  for (WindowRows& rows : in_memory_) std::sort(rows.begin(), rows.end(), earlier_hash);
  scan_ = merge_runs(runs);
}

Status WindowParts::next(WindowRows (&sides)[2]) {
  if (scan_ == nullptr) {
    for (const std::size_t side : {left_input, right_input}) sides[side] = std::move(in_memory_[side]);
    more_ = false;
    return {};
  }
  std::uint64_t last_hash = 0;
  if (Status got = read(sides, last_hash); !got) return got;
  for (const std::size_t side : {left_input, right_input}) {
    const WindowRows& rows = in_memory_[side];
    std::size_t& taken = taken_[side];
    while (taken < rows.size() && rows[taken]->hash <= last_hash) sides[side].push_back(rows[taken++]);
    std::sort(sides[side].begin(), sides[side].end(), earlier_arrival);
  }
  return {};
}

/// As many rows as a part has, and all with the last one's hash.
Status WindowParts::read(WindowRows (&sides)[2], std::uint64_t& last_hash) {
  arena_ = RowArena{};
  for (WindowRows& rows : sides) rows.clear();
  for (; scan_->valid(); scan_->next()) {
    const auto hash = get_ordered<std::uint64_t>(scan_->key());
    if (arena_.bytes_in_use() > part_bytes_ && hash != last_hash) return {};
    last_hash = hash;
    RowEntries entries{scan_->value()};
    for (RowEntry entry; entries.next(entry);) {
      auto* const row = reinterpret_cast<WindowRow*>(arena_.allocate(sizeof(WindowRow) + entry.size()));
      *row = {hash, entry.numbers[0], entry.numbers[1], static_cast<std::uint64_t>(entry.numbers[2])};
      std::memcpy(row->bytes(), entry.bytes, entry.size());
      sides[entry.side].push_back(row);
    }
  }
  last_hash = std::numeric_limits<std::uint64_t>::max();
  more_ = false;
  return scan_->status();
}

}  // namespace dataflow::joins
