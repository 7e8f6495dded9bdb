#include "libdataflow/joins/timed_rows.hpp"

#include <algorithm>
#include <cassert>
#include <cstdlib>
#include <cstring>
#include <new>
#include <numeric>

namespace dataflow::joins {

namespace {

constexpr std::uint32_t first_capacity = 4;
/// Its places in its key's list and among the rows that are due together, both of which have room for more.
constexpr std::size_t bytes_to_find_a_row = 24;
constexpr std::size_t keys_at_once = 256;
/// A larger table of keys is given back when there are few left.
constexpr std::size_t most_spare_bytes = 1024 * 1024;

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

std::span<TimedRow* const> TimedRowList::search(std::int64_t first, std::int64_t last) const {
  if (first > last) return {};
  const std::uint32_t from = lower_bound(first);
  return rows().subspan(from, upper_bound(last) - from);
}

void TimedRowList::insert(TimedRow* row) {
  if (count_ == 0 && capacity_ == 0) {
    one_ = row;
    count_ = 1;
    return;
  }
  if (capacity_ == 0 || first_ + count_ == capacity_) {
    if (first_ > capacity_ / 2) {
      std::copy(items_ + first_, items_ + first_ + count_, items_);
    } else {
      const std::uint32_t capacity = capacity_ == 0 ? first_capacity : capacity_ * 2;
      auto** const larger = static_cast<TimedRow**>(std::malloc(capacity * sizeof(TimedRow*)));
      if (larger == nullptr) throw std::bad_alloc{};
      std::copy(rows().begin(), rows().end(), larger);
      if (capacity_ != 0) std::free(items_);
      items_ = larger;
      capacity_ = capacity;
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
  if (capacity_ == 0) {
    assert(one_ == row);
    count_ = 0;
    return;
  }
  TimedRow** const end = items_ + first_ + count_;
  TimedRow** at = items_ + first_;
  if (*at != row) at += lower_bound(row->time);  // the first one mostly goes first
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
  if (capacity_ != 0) std::free(items_);
  *this = TimedRowList{};
}

TimedRows::TimedRows(windows::KeyForm form, TimedRowsOwner& owner)
    : owner_{owner},
      form_{form},
      layout_{form, std::vector<std::byte>(2 * sizeof(TimedRowList))},
      keys_{layout_},
      spare_{layout_} {}

TimedRows::~TimedRows() {
  windows::GroupTable::Cursor cursor;
  for (std::byte* key = nullptr; keys_.next_rows(cursor, 1, &key) == 1;) {
    for (const std::size_t side : {left_input, right_input}) list(key, side).release();
  }
}

Status TimedRows::use_backend(const StateBackendPtr& backend, EntryFormPtr form) {
  auto store = KeyStore::open(backend, std::move(form), true);
  if (!store) return fail(store.error());
  constexpr std::size_t lists = 2 * sizeof(TimedRowList);
  layout_ = {form_, std::vector<std::byte>(lists + sizeof(KeyUse))};
  cache_.emplace(std::move(*store), layout_.payload_offset() + lists);
  return {};
}

void TimedRows::free(TimedRow* row) {
  --rows_;
  arena_.free(reinterpret_cast<std::byte*>(row), row->size());
}

Status TimedRows::find(const PackedLayout& layout, const windows::KeyBatch& keys, const Batch& from,
                       TimedBatch& batch) {
  const std::size_t count = batch.rows.size();
  batch.keys.resize(count);
  keys_.find_or_insert(keys, count == from.rows() ? nullptr : batch.rows.data(), count, batch.keys.data());
  layout.sizes(from, batch.rows, batch.sizes);
  if (!cache_) return {};
  return cache_->load(keys_, batch.keys, [&](std::byte* key, const RowEntry& entry) { bring_in(key, entry); });
}

Status TimedRows::find_known(const PackedLayout& layout, const windows::KeyBatch& keys, const Batch& from,
                             TimedBatch& batch) {
  if (cache_) return find(layout, keys, from, batch);  // the rest of them may be on disk
  const std::size_t count = batch.rows.size();
  batch.keys.resize(count);
  keys_.find(keys, count == from.rows() ? nullptr : batch.rows.data(), count, batch.keys.data());
  return {};
}

void TimedRows::pack(const PackedLayout& layout, const Batch& from, std::span<const std::int64_t> times,
                     std::uint32_t side, TimedBatch& batch) {
  const std::size_t count = batch.rows.size();
  batch.stored.resize(count);
  to_.resize(count);
  rows_ += count;
  for (std::size_t i = 0; i < count; ++i) {
    auto* const row = reinterpret_cast<TimedRow*>(arena_.allocate(sizeof(TimedRow) + batch.sizes[i]));
    *row = {batch.keys[i], times[batch.rows[i]], 0, sequence_++, side, 0};
    batch.stored[i] = row;
    to_[i] = row->bytes();
  }
  layout.pack(from, batch.rows, batch.sizes, to_.data());
}

Status TimedRows::find_and_pack(const PackedLayout& layout, windows::KeyReader& keys, const Batch& from,
                                std::span<const std::int64_t> times, std::uint32_t side, TimedBatch& batch) {
  if (Status found = find(layout, keys.read(from), from, batch); !found) return found;
  pack(layout, from, times, side, batch);
  return {};
}

void TimedRows::bring_in(std::byte* key, const RowEntry& entry) {
  auto* const row = reinterpret_cast<TimedRow*>(arena_.allocate(sizeof(TimedRow) + entry.size()));
  *row = {key,
          entry.numbers[0],
          0,
          entry.numbers[1],
          static_cast<std::uint32_t>(entry.side),
          static_cast<std::uint32_t>(entry.numbers[2]),
          entry.numbers[3]};
  std::memcpy(row->bytes(), entry.bytes, entry.size());
  ++rows_;
  owner_.came_back(*row);
  keep(row);
}

Result<std::int64_t> TimedRows::wake(std::int64_t now) {
  if (!may_wake(now)) return now;
  return cache_->wake(keys_, now, [&](std::byte* key, const RowEntry& entry) { bring_in(key, entry); });
}

void TimedRows::write_rows(std::byte* key, KeyEntry& entry) {
  if (!is_empty(key)) --keys_with_rows_;
  owner_.set_waking(list(key, left_input).rows(), list(key, right_input).rows(), entry);
  for (const std::size_t side : {left_input, right_input}) {
    for (TimedRow* row : list(key, side).rows()) {
      append_row({side, row->numbers(), row->bytes()}, entry.rows);
      row->key = nullptr;
      written_.push_back(row);
    }
    list(key, side).release();
  }
}

template <class Live>
void TimedRows::retain(Live&& live) {
  const std::size_t offset = layout_.payload_offset();
  std::array<std::byte*, keys_at_once> rows;
  windows::GroupTable::Cursor cursor;
  while (const std::size_t count = keys_.next_rows(cursor, rows.size(), rows.data())) {
    for (std::byte* const from : std::span{rows.data(), count}) {
      if (!live(from)) continue;
      std::byte* const to = spare_.find_or_insert(keys_.key_of(from));
      std::memcpy(to + offset, from + offset, layout_.stride() - offset);
      for (const std::size_t side : {left_input, right_input}) {
        for (TimedRow* row : list(to, side).rows()) row->key = to;
      }
    }
  }
  std::swap(keys_, spare_);
  if (cache_ || spare_.byte_size() > most_spare_bytes) spare_ = windows::GroupTable{layout_};  // memory counts there
  spare_.clear();
}

Status TimedRows::make_room() {
  if (keys_.size() - keys_with_rows_ > keys_.size() / 2 + few_empty_keys) {
    retain([&](std::byte* key) { return !is_empty(key); });
  }
  if (!cache_) return {};
  const std::size_t bytes = arena_.bytes_in_use() + keys_.byte_size() + rows_ * bytes_to_find_a_row;
  if (!cache_->is_full(bytes)) return {};
  Status written = cache_->write_out(keys_, bytes, [&](std::byte* key, KeyEntry& entry) { write_rows(key, entry); });
  owner_.forget_rows_without_key();
  for (TimedRow* row : written_) free(row);
  written_.clear();
  retain([&](std::byte* key) { return cache_->here(key); });
  return written;
}

Status TimedRows::capture(const std::array<const RowTable*, 2>& tables, CapturedRows& captured) {
  for (const RowTable* table : tables) {
    captured.begin(*table, arena_.bytes_in_use());
    windows::GroupTable::Cursor cursor;
    for (std::byte* key = nullptr; keys_.next_rows(cursor, 1, &key) == 1;) {
      for (const TimedRow* row : list(key, table->side()).rows()) captured.add(row->bytes(), row->numbers());
    }
  }
  return cache_ ? cache_->store().capture(captured) : Status{};
}

Result<bool> TimedRows::restore_store(StateReader& state) {
  if (!cache_) return false;
  return cache_->store().restore(state,
                                 [&](const RowNumbers& numbers) { sequence_ = std::max(sequence_, numbers[1] + 1); });
}

Status TimedRows::restore(const RowTable& table, windows::KeyReader& keys, const Batch& rows, std::uint32_t side) {
  TimedBatch batch;
  batch.rows.resize(rows.rows());
  std::iota(batch.rows.begin(), batch.rows.end(), 0U);
  Status packed = find_and_pack(table.own_layout(), keys, rows, table.number(rows, 0), side, batch);
  if (!packed) return packed;
  for (std::uint32_t i = 0; i < rows.rows(); ++i) {
    TimedRow* const row = batch.stored[i];
    row->sequence = table.number(rows, 1)[i];
    row->flag = static_cast<std::uint32_t>(table.number(rows, 2)[i]);
    if (table.numbers() > 3) {
      row->best = table.number(rows, 3)[i];
      if (table.is_unknown(rows, 3, i)) row->flag = 0;  // the best of what it has had, if anything, is not known
    }
    sequence_ = std::max(sequence_, row->sequence + 1);
    owner_.came_back(*row);
    keep(row);
  }
  return make_room();
}

}  // namespace dataflow::joins
