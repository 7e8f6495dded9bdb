#pragma once
// Rows that each stand for several records of a key: what a combiner makes in front of an exchange, and the window
// operator behind it folds in as it does records. Both sides are of one build: a graph's hash has the version.
//
// A batch has the fields of the input and, behind them, what each row stands for. It is either one of records, where
// that is unread, or one of combined rows, where of the input's fields only keys need to be there; the time of a row is
// then that of the last of its records.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "serialization/batch.hpp"
#include "serialization/result.hpp"

namespace dataflow::windows {

/// In the last column, in front of the states that the row's records come to.
struct CombinedHead {
  std::int64_t records;  ///< how many they are
  std::int64_t first;    ///< the first one's time; 0 without event time
};

/// The combined rows of a batch, which must outlive them.
class CombinedRows {
 public:
  /// Nothing: the batch is one of records. Errors: malformed_data when the states of the rows are not `state_bytes`
  /// each.
  static Result<std::optional<CombinedRows>> of(const Batch& batch, const Schema& input, std::size_t state_bytes);

  [[nodiscard]] const CombinedHead& head(std::size_t row) const {
    return *reinterpret_cast<const CombinedHead*>(rows_ + row * width_);
  }
  /// Of the first row; those of the next are so many bytes behind them.
  [[nodiscard]] const std::byte* states() const { return rows_ + sizeof(CombinedHead); }
  [[nodiscard]] std::size_t width() const { return width_; }

 private:
  CombinedRows(const std::byte* rows, std::size_t width) : rows_{rows}, width_{width} {}
  const std::byte* rows_;
  std::size_t width_;
};

[[nodiscard]] SchemaPtr combined_schema(const Schema& input);
/// A batch of the combined schema. `columns`: of the input's fields; `rows`: heads and states, each `width` bytes.
[[nodiscard]] BatchPtr combined_batch(const SchemaPtr& combined, std::vector<ColumnPtr> columns, GrowingBuffer rows,
                                      std::size_t width, ColumnPtr timestamps);
/// A batch of records in the combined schema.
[[nodiscard]] BatchPtr as_combined_batch(const SchemaPtr& combined, const Batch& records);
/// The batch of records with the input's fields alone.
[[nodiscard]] BatchPtr without_combined_field(const BatchPtr& batch, const SchemaPtr& input);

}  // namespace dataflow::windows
