#include "libdataflow/ranking/cutoff.hpp"

#include <limits>

namespace dataflow {

namespace {

constexpr std::uint32_t rows_in_a_block = 64;
constexpr std::int64_t anything = std::numeric_limits<std::int64_t>::max();

}  // namespace

Cutoff::Cutoff(const std::vector<SortField>& order, const RowLimit& limit)
    : limit_{limit},
      equal_enter_{order.size() > 1 || limit.with_ties},
      turn_{order.front().descending ? ~std::int64_t{0} : 0},
      most_{anything} {}

bool Cutoff::knows(const Column& column) {
  return column.type.width() == sizeof(std::int64_t) && column.type.kind() != TypeKind::float64 &&
         !column.has_nulls() && !is_unread(column);
}

void Cutoff::set(const RankedRows* kept) {
  most_ = anything;
  if (kept == nullptr || kept->rows.size() < limit_.rows) return;
  // A byte that says whether there is a value, and the value: see sort_key.hpp.
  const std::string_view order = kept->rows[limit_.rows - 1].order();
  const bool has_value = (order.front() & 1) != (turn_ & 1);
  if (!has_value) return;
  most_ = static_cast<std::int64_t>(last_sort_number(order.substr(0, 9))) ^ std::numeric_limits<std::int64_t>::min();
  if (!equal_enter_ && most_ != std::numeric_limits<std::int64_t>::min()) --most_;
}

std::uint32_t Cutoff::next(const Column& column, std::uint32_t row, std::uint32_t end) const {
  const std::int64_t* const values = column.values.as<std::int64_t>();
  const auto enters = [&](std::uint32_t i) { return (values[i] ^ turn_) <= most_; };
  if (row == end || enters(row)) return row;
  while (end - row >= rows_in_a_block) {
    bool any = false;  // no way out in between: the compiler compares several at once
    for (std::uint32_t i = row; i < row + rows_in_a_block; ++i) any |= enters(i);
    if (any) break;
    row += rows_in_a_block;
  }
  while (row != end && !enters(row)) ++row;
  return row;
}

}  // namespace dataflow
