#pragma once
// Private to this folder.
//
// Rows that wait for a watermark which is far off, in a store: those that come first wait in memory.

#include <cstdint>
#include <string>
#include <vector>

#include "libdataflow/patterns/match_buffer.hpp"
#include "libdataflow/process/later_entries.hpp"
#include "libdataflow/ranking/row_bytes.hpp"
#include "serialization/batch.hpp"

namespace dataflow::patterns {

class LaterRows {
 public:
  LaterRows(StateBackendPtr backend, SchemaPtr input)
      : entries_{std::move(backend)}, input_{std::move(input)}, codec_{*input_} {}

  [[nodiscard]] bool any() const { return entries_.any(); }
  /// None is of an earlier time; only when there may be any.
  [[nodiscard]] std::int64_t first_time() const;
  /// All waiting rows from this position on are put next.
  Status set_horizon(Position position);
  /// Puts the row, if it belongs here: at or behind the horizon.
  bool put(const Batch& batch, std::uint32_t row, Position position);
  /// To be called after puts. Errors: of the store, here and below.
  Status flush() { return entries_.flush(); }

  struct Taken {
    BatchPtr batch;  ///< under the input's schema; null when there was nothing
    std::vector<std::uint64_t> sequences;
  };
  /// Takes the first ones out, a batch of them, in order.
  Result<Taken> take();

  Result<FrozenLaterEntriesPtr> freeze() { return entries_.freeze(); }
  /// Of an entry.
  static Position position(std::string_view key);
  [[nodiscard]] const RowBytes& codec() const { return codec_; }

 private:
  LaterEntries entries_;
  SchemaPtr input_;
  RowBytes codec_;
  std::uint64_t number_ = 0;  ///< tells rows at one position apart: of other subtasks' numbers before a checkpoint
  std::string key_;           // scratch
  std::string value_;
};

}  // namespace dataflow::patterns
