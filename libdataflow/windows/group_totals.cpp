#include "libdataflow/windows/group_totals.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <limits>
#include <numeric>

namespace dataflow::windows {

namespace {

constexpr int bits_of_a_count = 16;

void add_value(Totals& totals, std::int64_t value) {
  totals.least = std::min(totals.least, value);
  totals.most = std::max(totals.most, value);
  totals.sum = static_cast<std::int64_t>(static_cast<std::uint64_t>(totals.sum) + static_cast<std::uint64_t>(value));
}

template <std::size_t Conditions>
void count_all(const std::uint16_t* groups, std::size_t rows, std::span<const std::uint8_t* const> conditions,
               std::uint64_t* counts) {
  std::array<const std::uint8_t*, Conditions> pass;
  std::copy_n(conditions.begin(), Conditions, pass.begin());
  for (std::size_t row = 0; row < rows; ++row) {
    std::uint64_t passed = 0;
    for (std::size_t i = 0; i < Conditions; ++i) passed |= std::uint64_t{pass[i][row]} << (bits_of_a_count * i);
    counts[groups[row]] += passed;
  }
}

}  // namespace

void GroupTotals::begin(const GroupRows& rows) {
  rows_ = rows;
  count_ = std::accumulate(rows.sizes.begin(), rows.sizes.end(), std::size_t{0});
  assert(count_ <= most_rows);
  totals_.resize(rows.sizes.size());
}

void GroupTotals::count(std::span<const std::uint8_t* const> conditions) {
  counts_.assign(rows_.sizes.size(), 0);
  switch (conditions.size()) {
    case 0: break;
    case 1: count_all<1>(rows_.groups, count_, conditions, counts_.data()); break;
    case 2: count_all<2>(rows_.groups, count_, conditions, counts_.data()); break;
    case 3: count_all<3>(rows_.groups, count_, conditions, counts_.data()); break;
    default:
      assert(conditions.size() == conditions_in_a_pass);
      count_all<conditions_in_a_pass>(rows_.groups, count_, conditions, counts_.data());
  }
}

const Totals* GroupTotals::counted(std::size_t condition) {
  for (std::size_t group = 0; group < totals_.size(); ++group) {
    totals_[group].count = static_cast<std::int64_t>(counts_[group] >> (bits_of_a_count * condition) & most_rows);
  }
  return totals_.data();
}

const Totals* GroupTotals::all() {
  for (std::size_t group = 0; group < totals_.size(); ++group) totals_[group].count = rows_.sizes[group];
  return totals_.data();
}

const Totals* GroupTotals::of(const std::int64_t* values) {
  for (std::size_t group = 0; group < totals_.size(); ++group) {
    totals_[group] = {rows_.sizes[group], std::numeric_limits<std::int64_t>::max(),
                      std::numeric_limits<std::int64_t>::min(), 0};
  }
  if (totals_.size() == 1) {  // in registers (nexmark_q7)
    Totals totals = totals_[0];
    for (std::size_t row = 0; row < count_; ++row) add_value(totals, values[row]);
    totals_[0] = totals;
    return totals_.data();
  }
  for (std::size_t row = 0; row < count_; ++row) add_value(totals_[rows_.groups[row]], values[row]);
  return totals_.data();
}

bool GroupTotals::sums_fit() const {
  return std::all_of(totals_.begin(), totals_.end(), [](const Totals& totals) {
    const std::int64_t largest =
        std::numeric_limits<std::int64_t>::max() >> std::bit_width(static_cast<std::uint64_t>(totals.count));
    return totals.least >= -largest && totals.most <= largest;
  });
}

}  // namespace dataflow::windows
