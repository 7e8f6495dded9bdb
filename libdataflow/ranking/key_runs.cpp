#include "libdataflow/ranking/key_runs.hpp"

#include <algorithm>
#include <numeric>
#include <span>

namespace dataflow {

namespace {

/// Where runs are shorter than that in the mean, looking for them is for nothing.
constexpr std::uint32_t rows_of_a_long_run = 8;
constexpr std::uint32_t rows_compared_at_once = 64;

}  // namespace

void KeyRuns::find(const BatchPtr& batch) {
  if (find_long_ones(*batch)) {
    heads_ = batch->select_rows(std::span{begins_}.first(size()));
    return;
  }
  begins_.resize(batch->rows() + std::size_t{1});
  std::iota(begins_.begin(), begins_.end(), 0U);
  heads_ = batch;
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
  const auto begins_run = [&](std::uint32_t row) {
    return std::any_of(columns_.begin(), columns_.end(), [row](const auto* of) { return of[row] != of[row - 1]; });
  };
  for (std::uint32_t row = 1; row < rows;) {
    const std::uint32_t end = std::min(row + rows_compared_at_once, rows);
    std::int64_t differences = 0;
    for (const std::int64_t* const of : columns_) {
      for (std::uint32_t i = row; i < end; ++i) differences |= of[i] ^ of[i - 1];
    }
    for (; differences != 0 && row < end; ++row) {
      if (begins_run(row)) begins_.push_back(row);
    }
    row = end;
    if (begins_.size() > most) return false;
  }
  begins_.push_back(rows);
  return true;
}

}  // namespace dataflow
