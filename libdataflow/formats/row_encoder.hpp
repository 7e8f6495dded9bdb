#pragma once
// Batches turned into text for people and other programs: JSON lines, CSV, an aligned table.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "serialization/batch.hpp"
#include "serialization/result.hpp"

namespace dataflow {

enum class OutputFormat : std::uint8_t { json, csv, table };

std::string_view to_string(OutputFormat format);

/// "+I", "-U", "+U", "-D": how Flink prints what a row does to a changelog.
std::string_view to_string(RowKind kind);

class RowEncoder {
 public:
  virtual ~RowEncoder() = default;
  /// Appends what stands before the first row, once: a CSV header, a table's heading; nothing for JSON.
  virtual void begin(std::string& out) = 0;
  /// Appends every row, each with its newline.
  virtual void encode(const Batch& batch, std::string& out) = 0;
};

/// An encoder for rows of `schema`. With `changelog` each row begins with its kind as "op"; JSON rows also do so in a
/// batch that has kinds. A table takes its columns' widths from the first batch; a wider cell pushes its row out.
std::unique_ptr<RowEncoder> make_encoder(OutputFormat format, SchemaPtr schema, bool changelog = false);

}  // namespace dataflow
