#include "libdataflow/windows/key_groups.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>

#include "libdataflow/windows/key_batch.hpp"

namespace dataflow::windows {

namespace {

/// Of fewer records the passes over groups cost as much as they save.
constexpr std::size_t least_rows = 64;
/// Numbers of keys, and counts of their records, have 16 bits.
constexpr std::size_t most_rows = 0xFFFF;
/// A key must have so many records on average.
constexpr std::size_t records_of_a_key = 4;
/// Whether there are too many is looked at after so many records.
constexpr std::size_t rows_looked_at = 256;
constexpr std::uint16_t free_slot = 0xFFFF;
/// And after the first of them: so many keys there mean that there are too many in the whole batch.
constexpr std::size_t keys_looked_at = rows_looked_at * 7 / 8;
/// After two batches in a row with too many keys one is not tried; after more, twice as many each time, up to the most.
/// One alone says nothing: behind an exchange, batches of a frequent key take turns with others (nexmark_q12). Nor do
/// small ones of those that are more than so many times as large: keys that are rare come in several small batches
/// between those of a frequent one (nexmark_q11).
constexpr std::size_t longest_pause = 255;
constexpr std::size_t times_as_large = 2;

/// As a mask, as g++ makes branches of `?:` here.
std::size_t all_bits_if(bool condition) {
  return std::size_t{0} - static_cast<std::size_t>(condition);
}

/// Whether the first `size` bytes repeat every `period` bytes.
bool repeats(const char* bytes, std::size_t size, std::size_t period) {
  return size <= period || std::memcmp(bytes, bytes + period, size - period) == 0;
}

/// Whether all rows of a column without NULLs have the same bytes.
bool is_same_in_all_rows(const Column& column) {
  const auto* bytes = column.values.as<char>();
  if (!column.type.is_variable_width()) {
    const std::size_t width = column.type.width();
    return repeats(bytes, width * column.rows, width);
  }
  const std::uint32_t* offsets = column.offset_data();
  const std::uint32_t length = offsets[1];
  if (std::size_t{length} * column.rows != offsets[column.rows]) return false;
  for (std::size_t row = 0; row < column.rows; ++row) {
    if (offsets[row] != row * length) return false;
  }
  return repeats(bytes, offsets[column.rows], length);
}

}  // namespace

bool KeyGroups::read(const Batch& batch) {
  const std::size_t rows = batch.rows();
  if (rows < least_rows || rows > most_rows) return false;
  if (batches_left_out_ != 0 && rows <= rows_with_many_keys_ * times_as_large) {
    --batches_left_out_;
    return false;
  }
  const Column* differs = nullptr;
  for (const std::size_t field : fields_) {
    const Column& column = batch.column(field);
    if (column.has_nulls()) return false;
    if (is_same_in_all_rows(column)) continue;
    if (differs != nullptr || column.type.is_variable_width()) return false;
    differs = &column;
  }
  groups_.resize(std::max(groups_.size(), rows));
  if (differs == nullptr) {
    group_all(rows);
    return true;
  }
  const bool worth_it = group(key_words(*differs, words_), rows);
  if (!worth_it) {
    batches_left_out_ = next_pause_;
    rows_with_many_keys_ = rows;
  }
  next_pause_ = worth_it ? 0 : std::min(longest_pause, next_pause_ * 2 + 1);
  return worth_it;
}

/// All in one.
void KeyGroups::group_all(std::size_t rows) {
  make_room(1);
  std::fill_n(groups_.begin(), rows, std::uint16_t{0});
  first_rows_[0] = 0;
  last_rows_[0] = static_cast<std::uint32_t>(rows - 1);
  sizes_[0] = static_cast<std::uint32_t>(rows);
  size_ = 1;
}

void KeyGroups::make_room(std::size_t keys) {
  if (sizes_.size() >= keys) return;
  first_rows_.resize(keys);
  last_rows_.resize(keys);
  sizes_.resize(keys);
  key_words_.resize(keys);
}

/// False when there are too many.
bool KeyGroups::group(const std::uint64_t* words, std::size_t rows) {
  const std::size_t most = rows / records_of_a_key;
  // What comes after the last key is written with each record, and becomes one if the record's key is new.
  const std::size_t room = most + rows_looked_at + 1;
  make_room(room);
  parts_.assign(room, {});
  slots_.assign(std::bit_ceil(std::max(most * 2, room)) + 1, free_slot);
  size_ = 0;
  for (std::size_t from = 0; from < rows; from += rows_looked_at) {
    if (size_ > most || (from == rows_looked_at && size_ > keys_looked_at)) return false;
    group_some(words, from, std::min(rows, from + rows_looked_at));
  }
  for (std::size_t i = 0; i < size_; ++i) {
    sizes_[i] = std::accumulate(parts_[i].begin(), parts_[i].end(), std::uint32_t{0});
  }
  return size_ <= most;
}

/// Without a branch on whether the key is new, which cannot be foreseen.
void KeyGroups::group_some(const std::uint64_t* words, std::size_t from, std::size_t to) {
  std::uint16_t* const slots = slots_.data();
  std::uint64_t* const keys = key_words_.data();
  std::uint32_t* const first_rows = first_rows_.data();
  std::uint32_t* const last_rows = last_rows_.data();
  auto* const parts = parts_.data();
  std::uint16_t* const groups = groups_.data();
  const std::size_t nowhere = slots_.size() - 1;  // behind the slots
  const std::size_t mask = nowhere - 1;
  std::size_t size = size_;
  for (std::size_t row = from; row < to; ++row) {
    const std::uint64_t word = words[row];
    keys[size] = word;
    first_rows[size] = static_cast<std::uint32_t>(row);
    // The high bits of the product depend on all of the key's.
    std::size_t at = word * 0x9e3779b97f4a7c15ULL >> 48 & mask;
    std::size_t if_new = all_bits_if(slots[at] == free_slot);
    std::size_t group = (size & if_new) | (slots[at] & ~if_new);
    while (keys[group] != word) {
      at = (at + 1) & mask;
      if_new = all_bits_if(slots[at] == free_slot);
      group = (size & if_new) | (slots[at] & ~if_new);
    }
    // The slot of a key that is known is not written, else the next record of the key would wait for that.
    slots[(at & if_new) | (nowhere & ~if_new)] = static_cast<std::uint16_t>(group);
    size += if_new & 1;
    groups[row] = static_cast<std::uint16_t>(group);
    last_rows[group] = static_cast<std::uint32_t>(row);
    ++parts[group][row % parts[group].size()];
  }
  size_ = size;
}

std::span<const KeyGroups::Extent> KeyGroups::extents(std::span<const std::int64_t> times) {
  extents_.resize(size());
  for (std::size_t group = 0; group < size(); ++group) {
    extents_[group] = {times[first_rows_[group]], times[last_rows_[group]]};
  }
  if (std::is_sorted(times.begin(), times.end())) return extents_;
  for (std::size_t row = 0; row < times.size(); ++row) {
    Extent& extent = extents_[groups_[row]];
    extent.first = std::min(extent.first, times[row]);
    extent.last = std::max(extent.last, times[row]);
  }
  return extents_;
}

}  // namespace dataflow::windows
