#pragma once
// Private to this folder.
//
// Most rows of a long-lived key are behind all that are kept of it, and one field tells: the first of the order. A
// column of it is compared with the last row that counts, without a sort key for each row (nexmark_q7).

#include <cstdint>
#include <optional>
#include <vector>

#include "libdataflow/ranking/ranked_rows.hpp"

namespace dataflow {

class Cutoff {
 public:
  Cutoff(const std::vector<SortField>& order, const RowLimit& limit);

  /// Whether rows can be compared by this column, which is of the first field of the order.
  [[nodiscard]] static bool knows(const Column& column);
  /// To the last row that counts of `kept`, which is null when there is none.
  void set(const RankedRows* kept);
  /// To the last row that counts by its value, as `turned` gives it; nothing: any row counts.
  void set(std::optional<std::int64_t> last);
  /// A row's value, of which the first rows have the least.
  [[nodiscard]] std::int64_t turned(const Column& column, std::uint32_t row) const {
    return column.values.as<std::int64_t>()[row] ^ turn_;
  }
  /// The first of the rows from `row` to before `end` that may be among the first ones; `end` when none may. May be
  /// called only of a column that it knows.
  [[nodiscard]] std::uint32_t next(const Column& column, std::uint32_t row, std::uint32_t end) const;

 private:
  RowLimit limit_;
  bool equal_enter_;       ///< rows with the value of the last one may be before it, or tie with it
  std::int64_t turn_;      ///< values are turned with it (XOR) into such that the first rows have the least of
  std::int64_t most_ = 0;  ///< of those that may be among the first
};

}  // namespace dataflow
