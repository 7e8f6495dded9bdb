#include "libdataflow/joins/regular_rows.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "libdataflow/joins/join_operator.hpp"
#include "libdataflow/state/ttl_sweep.hpp"
#include "libdataflow/windows/assign.hpp"

namespace dataflow::joins {

namespace {

/// Of keys so many are looked at in one go when rows have a time to live, and all within this part of it.
constexpr std::size_t keys_in_a_sweep = 1024;
constexpr Duration soon = std::chrono::milliseconds{1};

}  // namespace

RegularRows::RegularRows(windows::KeyForm form, std::optional<Duration> ttl)
    : ttl_{ttl}, form_{form}, layout_{form, std::vector<std::byte>(sizeof(KeyRows))}, keys_{layout_} {}

Status RegularRows::use_backend(const StateBackendPtr& backend, EntryFormPtr form) {
  auto store = KeyStore::open(backend, std::move(form), ttl_.has_value());
  if (!store) return fail(store.error());
  layout_ = {form_, std::vector<std::byte>(sizeof(KeyRows) + sizeof(KeyUse))};
  cache_.emplace(std::move(*store), layout_.payload_offset() + sizeof(KeyRows));
  return {};
}

Status RegularRows::find(const windows::KeyBatch& keys, const std::uint32_t* rows, std::size_t count,
                         std::vector<std::byte*>& found) {
  found.resize(count);
  keys_.find_or_insert(keys, rows, count, found.data());
  if (!cache_) return {};
  return cache_->load(keys_, found, [&](std::byte* key, const RowEntry& entry) { bring_in(key, entry); });
}

void RegularRows::bring_in(std::byte* key, const RowEntry& entry) {
  RegularRow* const row = allocate(entry.size());
  *row = {nullptr, entry.numbers[0], entry.numbers[1], static_cast<std::uint64_t>(entry.numbers[2])};
  std::memcpy(row->bytes(), entry.bytes, entry.size());
  of(key).sides[entry.side].append(row);
}

void RegularRows::write_rows(std::byte* key, KeyEntry& entry) {
  std::int64_t newest = 0;
  for (const std::size_t side : {left_input, right_input}) {
    SideRows& list = of(key).sides[side];
    while (RegularRow* const row = list.first) {
      list.first = row->next;
      append_row({side, row->numbers(), row->bytes()}, entry.rows);
      newest = std::max(newest, row->seen);
      free(row);
    }
    list.last = nullptr;
  }
  // What has expired is not seen, whenever it goes: all of them may go together.
  if (!ttl_) return;
  entry.wake_at(saturating_add(newest, ttl_->count()));
  entry.ends = true;
}

Status RegularRows::make_room() {
  if (removed_rows_ > keys_.size() / 2 + few_empty_keys) drop_empty_keys();
  if (!cache_) return {};
  const std::size_t bytes = arena_.bytes_in_use() + keys_.byte_size();
  if (!cache_->is_full(bytes)) return {};
  Status written = cache_->write_out(keys_, bytes, [&](std::byte* key, KeyEntry& entry) { write_rows(key, entry); });
  keys_.retain([&](std::byte* key) { return cache_->here(key); }, [](std::byte*, std::byte*) {});
  sweep_ = {};
  return written;
}

void RegularRows::drop_empty_keys() {
  keys_.retain([&](std::byte* key) { return !of(key).empty(); }, [](std::byte*, std::byte*) {});
  removed_rows_ = 0;
  sweep_ = {};
}

RegularRow* RegularRows::take_equal(SideRows& list, const RegularRow& like) {
  RegularRow* before = nullptr;
  for (RegularRow* row = list.first; row != nullptr; before = row, row = row->next) {
    if (is_expired(*row) || !PackedLayout::equal(row->bytes(), like.bytes())) continue;
    (before == nullptr ? list.first : before->next) = row->next;
    if (list.last == row) list.last = before;
    ++removed_rows_;
    return row;
  }
  return nullptr;
}

void RegularRows::forget_expired(SideRows& list) {
  while (list.first != nullptr && is_expired(*list.first)) {
    RegularRow* const row = list.first;
    list.first = row->next;
    if (list.first == nullptr) list.last = nullptr;
    free(row);
    ++removed_rows_;
  }
}

Result<std::optional<Duration>> RegularRows::sweep() {
  std::byte* key = nullptr;
  for (std::size_t n = 0; n < keys_in_a_sweep; ++n) {
    if (keys_.next_rows(sweep_, 1, &key) == 0) {
      sweep_ = {};
      break;
    }
    for (SideRows& list : of(key).sides) forget_expired(list);
  }
  bool more = false;
  if (cache_) {
    const auto forgotten = cache_->forget_due(now_);
    if (!forgotten) return fail(forgotten.error());
    more = *forgotten;
  }
  if (Status made = make_room(); !made) return fail(made.error());
  return more ? std::optional{soon} : pause();
}

std::optional<Duration> RegularRows::pause() const {
  if (keys_.empty() && (!cache_ || cache_->store().empty())) return std::nullopt;
  return pause_between_sweeps(*ttl_, keys_.size(), keys_in_a_sweep);
}

Status RegularRows::capture(const std::array<const RowTable*, 2>& tables, CapturedRows& captured) {
  for (const RowTable* table : tables) {
    captured.begin(*table, arena_.bytes_in_use());
    windows::GroupTable::Cursor cursor;
    for (std::byte* key = nullptr; keys_.next_rows(cursor, 1, &key) == 1;) {
      for (const RegularRow* row = of(key).sides[table->side()].first; row != nullptr; row = row->next) {
        if (is_expired(*row)) continue;
        captured.add(row->bytes(), row->numbers());
      }
    }
  }
  return cache_ ? cache_->store().capture(captured) : Status{};
}

Result<bool> RegularRows::restore_store(StateReader& state) {
  if (!cache_) return false;
  return cache_->store().restore(state, [](const RowNumbers&) {});
}

Status RegularRows::restore(const RowTable& table, windows::KeyReader& keys, std::size_t side, const Batch& rows) {
  all_.resize(rows.rows());
  std::iota(all_.begin(), all_.end(), 0U);
  if (Status found = find(keys.read(rows), nullptr, all_.size(), found_); !found) return found;
  table.own_layout().sizes(rows, all_, sizes_);
  to_.resize(all_.size());
  for (std::size_t i = 0; i < all_.size(); ++i) {
    RegularRow* const row = allocate(sizes_[i]);
    *row = {nullptr, table.number(rows, 0)[i], table.number(rows, 1)[i],
            static_cast<std::uint64_t>(table.number(rows, 2)[i])};
    to_[i] = row->bytes();
    of(found_[i]).sides[side].append(row);
  }
  table.own_layout().pack(rows, all_, sizes_, to_.data());
  return make_room();
}

}  // namespace dataflow::joins
