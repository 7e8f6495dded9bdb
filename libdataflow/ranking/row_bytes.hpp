#pragma once
// One row as a string of bytes, for state that keeps single rows of many batches: a row of a batch that is kept as it
// is would keep the whole batch.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "serialization/batch.hpp"
#include "serialization/builder.hpp"

namespace dataflow {

/// Fields of rows of one schema, as stored_table.hpp has them.
class RowBytes {
 public:
  /// All fields.
  explicit RowBytes(const Schema& schema);
  RowBytes(const Schema& schema, std::vector<std::size_t> fields);

  /// Appends the fields of the row to `out`. One that nobody reads is a NULL.
  void append(const Batch& batch, std::uint32_t row, std::string& out) const;
  /// Appends the fields of what `append` wrote to the first columns of `rows`. The row is not ended.
  void restore(std::string_view bytes, BatchBuilder& rows) const;

 private:
  std::vector<std::size_t> fields_;
  std::vector<DataType> types_;
  std::size_t most_bytes_ = 0;  ///< of a row without its texts
};

}  // namespace dataflow
