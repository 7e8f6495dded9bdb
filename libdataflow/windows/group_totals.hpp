#pragma once
// What the records of a batch come to, group by group, in one pass for several aggregates: a pass for each would wait
// every time for the numbers of the group that had a record just before, and look for them among the states of all.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "libdataflow/windows/aggregates/accumulator.hpp"

namespace dataflow::windows {

class GroupTotals {
 public:
  /// The counts of so many conditions lie in one word. They have 16 bits each, so a batch has no more records than
  /// that.
  static constexpr std::size_t conditions_in_a_pass = 4;
  static constexpr std::size_t most_rows = 0xFFFF;

  /// Takes the records of `rows`, which stay; forgets those before.
  void begin(const GroupRows& rows);
  [[nodiscard]] std::size_t records() const { return count_; }
  /// Counts the records that pass each condition, which has 1 or 0 for each record; at most `conditions_in_a_pass`.
  void count(std::span<const std::uint8_t* const> conditions);
  /// How many passed the condition of that place; nothing else is in the totals. Valid until the next call.
  [[nodiscard]] const Totals* counted(std::size_t condition);
  /// How many there are; nothing else is in the totals. Valid until the next call.
  [[nodiscard]] const Totals* all();
  /// All totals, of a value for each record. Valid until the next call.
  [[nodiscard]] const Totals* of(const std::int64_t* values);
  /// Whether the sums of those cannot have left 64 bits.
  [[nodiscard]] bool sums_fit() const;

 private:
  GroupRows rows_;
  std::size_t count_ = 0;  ///< records
  std::vector<std::uint64_t> counts_;
  std::vector<Totals> totals_;
};

}  // namespace dataflow::windows
