#include "libdataflow/joins/key_cache.hpp"

#include "serialization/batch.hpp"

namespace dataflow::joins {

namespace {

/// What the keys of a batch bring with them may take this part of what there is room for.
constexpr double part_for_a_batch = 0.125;
constexpr double least_rows_at_once = 64;
constexpr double weight_of_newest = 0.01;

}  // namespace

std::size_t KeyCache::rows_at_once() const {
  if (key_bytes_ == 0) return max_batch_rows;
  const double room = part_for_a_batch * static_cast<double>(store_.budget_bytes());
  const double rows = std::clamp(room / key_bytes_, least_rows_at_once, static_cast<double>(max_batch_rows));
  return static_cast<std::size_t>(rows);
}

void KeyCache::note_size(std::size_t bytes) {
  const auto size = static_cast<double>(bytes);
  key_bytes_ = key_bytes_ == 0 ? size : key_bytes_ + weight_of_newest * (size - key_bytes_);
}

Result<bool> KeyCache::forget_due(std::int64_t now) {
  const auto until = store_.due(now, keys_at_once_, due_);
  if (!until) return fail(until.error());
  return may_wake(now);
}

std::vector<std::pair<std::uint64_t, std::byte*>> KeyCache::by_use(const windows::GroupTable& table) const {
  std::vector<std::pair<std::uint64_t, std::byte*>> rows;
  rows.reserve(table.size());
  windows::GroupTable::Cursor cursor;
  for (std::byte* row = nullptr; table.next_rows(cursor, 1, &row) == 1;) rows.emplace_back(use_of(row).last, row);
  std::stable_sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  return rows;
}

}  // namespace dataflow::joins
