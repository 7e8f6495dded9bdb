#pragma once
// The `file` sink: part files in a folder, exactly once.
//
// Rows go to hidden parts. pre_commit makes them durable (written, fsynced, closed), commit renames them to visible
// names; an attempt that ends before takes its hidden parts with it. The names and rules are output_folder.hpp's.
// A part is rolled, that is finished and followed by another, at roll_size or after roll_interval; it becomes visible
// at the next commit like any other.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "libdataflow/formats/row_encoder.hpp"
#include "libdataflow/operators/operator.hpp"
#include "libdataflow/sinks/output_folder.hpp"
#include "libdataflow/sinks/part_file.hpp"
#include "serialization/schema.hpp"

namespace dataflow {

inline constexpr std::uint64_t default_roll_size = 128ULL << 20;

struct FileSinkSpec {
  std::string folder;
  std::string uid;  ///< of the node: sets its hidden files apart from those of other sinks
  SchemaPtr schema;
  OutputFormat format = OutputFormat::json;     ///< json or csv
  std::vector<std::size_t> partition_by{};      ///< fields; they stay in the rows too
  std::uint64_t roll_size = default_roll_size;  ///< bytes before compression
  std::optional<Duration> roll_interval{};
  OutputCompression compression = OutputCompression::none;
  OnExisting on_existing = OnExisting::error;
  PartFilesPtr files = system_part_files();                ///< where the parts are written
  std::function<std::unique_ptr<RowEncoder>()> encoder{};  ///< instead of the format's
};

/// Errors while running: io, naming the file and what to do.
OperatorFactoryPtr make_file_sink(FileSinkSpec spec);

}  // namespace dataflow
