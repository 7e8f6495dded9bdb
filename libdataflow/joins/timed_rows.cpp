#include "libdataflow/joins/timed_rows.hpp"

#include <algorithm>
#include <cassert>
#include <cstdlib>
#include <new>

namespace dataflow::joins {

namespace {

constexpr std::uint32_t first_capacity = 2;

}  // namespace

std::uint32_t TimedRowList::lower_bound(std::int64_t time) const {
  const auto all = rows();
  const auto at =
      std::lower_bound(all.begin(), all.end(), time, [](const TimedRow* row, std::int64_t t) { return row->time < t; });
  return static_cast<std::uint32_t>(at - all.begin());
}

std::uint32_t TimedRowList::upper_bound(std::int64_t time) const {
  const auto all = rows();
  const auto at =
      std::upper_bound(all.begin(), all.end(), time, [](std::int64_t t, const TimedRow* row) { return t < row->time; });
  return static_cast<std::uint32_t>(at - all.begin());
}

std::span<TimedRow* const> TimedRowList::between(std::int64_t first, std::int64_t last) const {
  if (first > last) return {};
  const std::uint32_t from = lower_bound(first);
  return rows().subspan(from, upper_bound(last) - from);
}

void TimedRowList::insert(TimedRow* row) {
  if (first_ + count_ == capacity_) {
    if (first_ > capacity_ / 2) {
      std::copy(items_ + first_, items_ + first_ + count_, items_);
    } else {
      capacity_ = capacity_ == 0 ? first_capacity : capacity_ * 2;
      auto** const larger = static_cast<TimedRow**>(std::malloc(capacity_ * sizeof(TimedRow*)));
      if (larger == nullptr) throw std::bad_alloc{};
      std::copy(items_ + first_, items_ + first_ + count_, larger);
      std::free(items_);
      items_ = larger;
    }
    first_ = 0;
  }
  const bool is_last = count_ == 0 || items_[first_ + count_ - 1]->time <= row->time;
  TimedRow** const at = items_ + first_ + (is_last ? count_ : upper_bound(row->time));
  std::copy_backward(at, items_ + first_ + count_, items_ + first_ + count_ + 1);
  *at = row;
  ++count_;
}

void TimedRowList::erase(const TimedRow* row) {
  TimedRow** const end = items_ + first_ + count_;
  TimedRow** at = items_ + first_ + lower_bound(row->time);
  while (at != end && *at != row) ++at;
  assert(at != end);
  if (at == items_ + first_) {
    ++first_;
  } else {
    std::copy(at + 1, end, at);
  }
  if (--count_ == 0) release();
}

void TimedRowList::release() {
  std::free(items_);
  *this = TimedRowList{};
}

TimedRows::TimedRows(windows::KeyForm form)
    : layout_{form, std::vector<std::byte>(2 * sizeof(TimedRowList))}, groups_{layout_} {}

TimedRows::~TimedRows() {
  windows::GroupTable::Cursor cursor;
  for (std::byte* group = nullptr; groups_.next_rows(cursor, 1, &group) == 1;) {
    for (const std::size_t side : {left_input, right_input}) list(group, side).release();
  }
}

TimedRowList& TimedRows::of_key(const TimedRow& row, std::size_t side) const {
  return list(row.group, side);
}

void TimedRows::free(TimedRow* row) {
  ++freed_;
  arena_.free(reinterpret_cast<std::byte*>(row), row->size());
}

void TimedRows::pack(const PackedLayout& layout, windows::KeyReader& keys, const Batch& from,
                     std::span<const std::int64_t> times, std::uint32_t side, TimedBatch& batch) {
  const std::size_t count = batch.rows.size();
  found_.resize(count);
  groups_.find_or_insert(keys.read(from), count == from.rows() ? nullptr : batch.rows.data(), count, found_.data());
  layout.sizes(from, batch.rows, batch.sizes);
  batch.stored.resize(count);
  to_.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    auto* const row = reinterpret_cast<TimedRow*>(arena_.allocate(sizeof(TimedRow) + batch.sizes[i]));
    *row = {found_[i], times[batch.rows[i]], 0, sequence_++, side, 0};
    batch.stored[i] = row;
    to_[i] = row->bytes();
  }
  layout.pack(from, batch.rows, to_.data());
}

void TimedRows::tidy() {
  if (freed_ <= groups_.size() / 2 + few_empty_keys) return;
  groups_.retain(
      [&](std::byte* group) { return !list(group, left_input).empty() || !list(group, right_input).empty(); },
      [&](std::byte*, std::byte* to) {
        for (const std::size_t side : {left_input, right_input}) {
          for (TimedRow* row : list(to, side).rows()) row->group = to;
        }
      });
  freed_ = 0;
}

}  // namespace dataflow::joins
