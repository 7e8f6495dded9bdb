#pragma once
// Private to this folder.
//
// The rows of a batch by runs of equal keys. Rows of a window come one after the other where its bounds are the whole
// key: it is then looked up for a run instead of for each row.

#include <cstdint>
#include <vector>

#include "serialization/batch.hpp"

namespace dataflow {

class KeyRuns {
 public:
  explicit KeyRuns(std::vector<std::size_t> fields) : fields_{std::move(fields)} {}

  /// Each row is a run where keys are not only whole numbers and times, or change often. A batch with a row of each
  /// run's key.
  BatchPtr find(const BatchPtr& batch);

  [[nodiscard]] std::uint32_t size() const { return static_cast<std::uint32_t>(begins_.size()) - 1; }
  /// The first row of a run; of `size()` the number of rows.
  [[nodiscard]] std::uint32_t begin(std::uint32_t run) const { return begins_[run]; }

 private:
  bool find_long_ones(const Batch& batch);
  [[nodiscard]] bool changes(std::uint32_t row) const;
  [[nodiscard]] bool changes_in_block(std::uint32_t row) const;
  [[nodiscard]] bool has_last_key() const;
  [[nodiscard]] bool has_last_columns(const Batch& batch) const;

  std::vector<std::size_t> fields_;
  std::vector<const std::int64_t*> columns_;  // scratch
  std::vector<std::uint32_t> begins_;
  BatchPtr last_;                     ///< one row, of the batch before if that had one key only
  std::vector<ColumnPtr> last_keys_;  ///< of that batch: batches of one window share its bounds
};

}  // namespace dataflow
