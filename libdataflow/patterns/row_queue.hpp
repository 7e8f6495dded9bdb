#pragma once
// Rows that wait until the watermark has passed them, and come out in the order of event time, and of arrival where
// that is equal. Each batch that arrives is sorted once, which costs nothing when it is in order; the batches are
// merged.

#include <memory>
#include <vector>

#include "libdataflow/patterns/pattern_logic.hpp"
#include "libdataflow/windows/key_batch.hpp"

namespace dataflow::patterns {

/// Rows of one batch that wait.
struct WaitingRows {
  WaitingRows(BatchPtr rows, const Schema& schema, const std::vector<std::size_t>& key_fields)
      : batch{std::move(rows)}, key_reader{schema, key_fields}, keys{&key_reader.read(*batch)} {}

  BatchPtr batch;
  windows::KeyReader key_reader;  ///< has what `keys` refers to
  const windows::KeyBatch* keys;
  LoadedRows loaded;
  std::uint64_t first_sequence = 0;
  std::vector<std::uint64_t> sequences;  ///< of rows that come from a checkpoint; else they count from the first
  std::vector<std::uint32_t> order;      ///< of the rows by position; empty: as they lie
  std::uint32_t next = 0;                ///< in that order

  [[nodiscard]] bool at_end() const { return next == batch->rows(); }
  [[nodiscard]] std::uint32_t row() const { return order.empty() ? next : order[next]; }
  [[nodiscard]] Position position_of(std::uint32_t row) const {
    return {batch->timestamps()->values.as<std::int64_t>()[row],
            sequences.empty() ? first_sequence + row : sequences[row]};
  }
  [[nodiscard]] Position position() const { return position_of(row()); }
};

class RowQueue {
 public:
  void push(std::unique_ptr<WaitingRows> rows);
  [[nodiscard]] bool empty() const { return heap_.empty(); }
  /// The rows with the first one of all; only when not empty.
  [[nodiscard]] WaitingRows& first() { return *heap_.front(); }
  [[nodiscard]] const WaitingRows& first() const { return *heap_.front(); }
  /// Goes past the first row.
  void pop();
  /// What waits, in no order.
  [[nodiscard]] const std::vector<std::unique_ptr<WaitingRows>>& all() const { return heap_; }

 private:
  void sink();
  std::vector<std::unique_ptr<WaitingRows>> heap_;  ///< by their next rows
};

}  // namespace dataflow::patterns
