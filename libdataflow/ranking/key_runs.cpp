#include "libdataflow/ranking/key_runs.hpp"

#include <algorithm>
#include <numeric>
#include <span>

namespace dataflow {

namespace {

/// Where runs are shorter than that in the mean, looking for them is for nothing.
constexpr std::uint32_t rows_of_a_long_run = 8;
constexpr std::uint32_t rows_of_a_block = 64;

}  // namespace

BatchPtr KeyRuns::find(const BatchPtr& batch) {
  if (has_last_columns(*batch)) {
    begins_.assign({0, batch->rows()});
    return last_;
  }
  last_keys_.clear();
  if (!find_long_ones(*batch)) {
    begins_.resize(batch->rows() + std::size_t{1});
    std::iota(begins_.begin(), begins_.end(), 0U);
    return batch;
  }
  if (size() != 1) {
    last_ = nullptr;
    return batch->select_rows(std::span{begins_}.first(size()));
  }
  for (const std::size_t field : fields_) last_keys_.push_back(batch->columns()[field]);
  if (!has_last_key()) last_ = batch->select_rows(std::span{begins_}.first(1));
  return last_;
}

bool KeyRuns::find_long_ones(const Batch& batch) {
  columns_.clear();
  for (const std::size_t field : fields_) {
    const Column& column = batch.column(field);
    if (column.type.width() != sizeof(std::int64_t) || column.has_nulls()) return false;
    columns_.push_back(column.values.as<std::int64_t>());
  }
  const std::uint32_t rows = batch.rows();
  const std::size_t most = rows / rows_of_a_long_run + 1;
  begins_.assign(1, 0);
  for (std::uint32_t row = 1; row < rows;) {
    if (rows - row >= rows_of_a_block && !changes_in_block(row)) {
      row += rows_of_a_block;
      continue;
    }
    for (const std::uint32_t end = std::min(row + rows_of_a_block, rows); row < end; ++row) {
      if (changes(row)) begins_.push_back(row);
    }
    if (begins_.size() > most) return false;
  }
  begins_.push_back(rows);
  return true;
}

/// From the row before.
bool KeyRuns::changes(std::uint32_t row) const {
  return std::any_of(columns_.begin(), columns_.end(), [row](const auto* of) { return of[row] != of[row - 1]; });
}

/// No branches but between columns: the compiler compares several rows at once.
bool KeyRuns::changes_in_block(std::uint32_t row) const {
  return std::any_of(columns_.begin(), columns_.end(), [row](const auto* of) {
    std::int64_t changed = 0;
    for (std::uint32_t i = 0; i < rows_of_a_block; ++i) changed |= of[row + i] ^ of[row + i - 1];
    return changed != 0;
  });
}

/// Whether the columns of the keys are those of the batch before, which had one key.
bool KeyRuns::has_last_columns(const Batch& batch) const {
  return !last_keys_.empty() &&
         std::equal(fields_.begin(), fields_.end(), last_keys_.begin(), last_keys_.end(),
                    [&](std::size_t field, const ColumnPtr& last) { return batch.columns()[field] == last; });
}

/// Whether the batch begins with the key that the one before had.
bool KeyRuns::has_last_key() const {
  if (!last_) return false;
  for (std::size_t i = 0; i < fields_.size(); ++i) {
    if (last_->column(fields_[i]).values.as<std::int64_t>()[0] != columns_[i][0]) return false;
  }
  return true;
}

}  // namespace dataflow
