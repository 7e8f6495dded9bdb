#pragma once
// Splits of a source whose rows are numbered and can be made in any order: ranges [first, end) of row numbers.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "libdataflow/sources/source.hpp"

namespace dataflow {

/// Hands out rows [0, count) in ranges that grow: a slow source with several readers keeps them close in time, a fast
/// one rarely asks for the next.
std::unique_ptr<SplitEnumerator> enumerate_row_ranges(std::uint64_t count);

/// Where a reader is in its range.
class RowRange {
 public:
  [[nodiscard]] std::uint64_t next() const { return next_; }
  [[nodiscard]] std::uint64_t left() const { return end_ - next_; }
  [[nodiscard]] const std::string& split() const { return split_; }
  void advance(std::uint64_t rows) { next_ += rows; }

  /// As SourceReader has them. Errors: internal for a split of another source, malformed_data for another's position.
  Status start(const Split& split);
  Status resume(const Split& split, std::string_view position);
  [[nodiscard]] std::string position() const { return "1 " + std::to_string(next_); }

 private:
  std::string split_;
  std::uint64_t next_ = 0;
  std::uint64_t end_ = 0;
};

}  // namespace dataflow
