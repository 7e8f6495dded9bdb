#include "libdataflow/windows/slices.hpp"

#include <algorithm>

namespace dataflow::windows {

Slice& SliceStore::find_or_create(std::int64_t start, std::int64_t end, std::int64_t last_window_end) {
  auto& slot = slices_[start];
  if (slot == nullptr) {
    GroupTable groups = spare_ ? std::move(*spare_) : GroupTable{layout_};
    spare_.reset();
    slot = std::make_unique<Slice>(Slice{start, end, last_window_end, std::move(groups), false, {}, 0, 0});
  }
  return *slot;
}

Slice* SliceStore::find(std::int64_t start) const {
  const auto it = slices_.find(start);
  return it == slices_.end() ? nullptr : it->second.get();
}

std::unique_ptr<Slice> SliceStore::take(std::int64_t start) {
  return std::move(slices_.extract(start).mapped());
}

void SliceStore::recycle(std::unique_ptr<Slice> slice) {
  // A table that is much larger than its last use would keep that memory, and its clearing would cost more than
  // growing.
  constexpr std::size_t small = 64 * 1024;
  GroupTable& groups = slice->groups;
  const std::size_t used = (groups.size() + 1) * (groups.layout().stride() + 16);
  if (groups.byte_size() > small && groups.byte_size() > 8 * used) return;
  if (spare_ && spare_->byte_size() >= groups.byte_size()) return;
  groups.clear();
  spare_ = std::make_unique<GroupTable>(std::move(groups));
}

SliceAssigner::Cached SliceAssigner::look_up(std::int64_t time, std::int64_t progress, std::int64_t lateness,
                                             SliceStore& store) {
  const std::int64_t start = grid_.start(time);
  const std::int64_t end = grid_.end(time);
  Cached& cached = cache_[(static_cast<std::uint64_t>(start) * 0x9e3779b97f4a7c15ULL) >> 58];
  if (cached.width != 0 && cached.start == start) return cached;
  cached.start = start;
  cached.width = static_cast<std::uint64_t>(end) - static_cast<std::uint64_t>(start);
  const std::int64_t last = grid_.last_window_end(start);
  if (window_expired(last, lateness, progress)) {
    cached.ordinal = late_ordinal;
    return cached;
  }
  Slice& slice = store.find_or_create(start, end, last);
  if (slice.batch != batch_) {
    slice.batch = batch_;
    slice.ordinal = static_cast<std::uint32_t>(runs_.size());
    runs_.push_back({&slice, 0, 0});
  }
  cached.ordinal = slice.ordinal;
  return cached;
}

void SliceAssigner::assign(std::span<const std::int64_t> times, std::int64_t progress, std::int64_t lateness,
                           SliceStore& store, std::vector<std::uint32_t>& late) {
  ++batch_;
  runs_.clear();
  cache_.fill({});
  count_ = 0;
  std::int64_t low = times[0];
  std::int64_t high = times[0];
  for (const std::int64_t time : times) {
    low = std::min(low, time);
    high = std::max(high, time);
  }
  Cached current = look_up(low, progress, lateness, store);
  if (current.ordinal != late_ordinal &&
      static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(current.start) < current.width) {
    all_rows_ = true;
    count_ = times.size();
    runs_[0].count = count_;
    return;
  }
  all_rows_ = false;
  ordinals_.resize(std::max(ordinals_.size(), times.size()));
  for (std::size_t i = 0; i < times.size(); ++i) {
    if (static_cast<std::uint64_t>(times[i]) - static_cast<std::uint64_t>(current.start) >= current.width) {
      current = look_up(times[i], progress, lateness, store);
    }
    ordinals_[i] = current.ordinal;
  }
  sort_rows(times.size(), late);
}

/// Counting sort by ordinal.
void SliceAssigner::sort_rows(std::size_t count, std::vector<std::uint32_t>& late) {
  for (std::size_t i = 0; i < count; ++i) {
    if (ordinals_[i] != late_ordinal) ++runs_[ordinals_[i]].count;
  }
  for (Run& run : runs_) {
    run.first = count_;
    count_ += run.count;
    run.count = 0;
  }
  rows_.resize(std::max(rows_.size(), count_));
  for (std::size_t i = 0; i < count; ++i) {
    const auto row = static_cast<std::uint32_t>(i);
    if (ordinals_[i] == late_ordinal) {
      late.push_back(row);
    } else {
      Run& run = runs_[ordinals_[i]];
      rows_[run.first + run.count++] = row;
    }
  }
}

}  // namespace dataflow::windows
