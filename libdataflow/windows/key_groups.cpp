#include "libdataflow/windows/key_groups.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "libdataflow/windows/key_batch.hpp"

namespace dataflow::windows {

namespace {

/// Of fewer records the passes over groups cost as much as they save.
constexpr std::size_t least_rows = 64;
/// Numbers of keys, and counts of their records, have 16 bits.
constexpr std::size_t most_rows = 0xFFFF;
/// A key must have so many records on average.
constexpr std::size_t records_of_a_key = 2;
/// After a batch with too many keys so many are not tried.
constexpr std::size_t pause_batches = 15;

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
  if (batches_left_out_ != 0) {
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
  first_rows_.clear();
  sizes_.clear();
  if (differs == nullptr) {
    group_all(rows);
    return true;
  }
  if (group(key_words(*differs, words_), rows)) return true;
  batches_left_out_ = pause_batches;
  return false;
}

/// All in one.
void KeyGroups::group_all(std::size_t rows) {
  std::fill_n(groups_.begin(), rows, std::uint16_t{0});
  first_rows_.push_back(0);
  sizes_.push_back(static_cast<std::uint32_t>(rows));
}

/// False when there are too many.
bool KeyGroups::group(const std::uint64_t* words, std::size_t rows) {
  const std::size_t most = rows / records_of_a_key;
  slots_.assign(std::bit_ceil(most * 2), 0);
  key_words_.clear();
  const std::size_t mask = slots_.size() - 1;
  const int shift = std::countl_zero(std::uint64_t{mask});
  for (std::size_t row = 0; row < rows; ++row) {
    const std::uint64_t word = words[row];
    // The high bits of the product depend on all of the key's.
    std::size_t at = word * 0x9e3779b97f4a7c15ULL >> shift;
    while (slots_[at] != 0 && key_words_[slots_[at] - 1U] != word) at = (at + 1) & mask;
    if (slots_[at] == 0) {
      if (key_words_.size() == most) return false;
      key_words_.push_back(word);
      first_rows_.push_back(static_cast<std::uint32_t>(row));
      sizes_.push_back(0);
      slots_[at] = static_cast<std::uint16_t>(key_words_.size());
    }
    const auto group = static_cast<std::uint16_t>(slots_[at] - 1);
    groups_[row] = group;
    ++sizes_[group];
  }
  return true;
}

}  // namespace dataflow::windows
