#pragma once
// What a savepoint or checkpoint holds, for people: its states with their schemas and sizes, and rows of them as JSON.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "libdataflow/checkpoint/restored_checkpoint.hpp"

namespace dataflow {

struct StateSummary {
  StateDescription description;
  std::uint64_t rows = 0;  ///< without those in stores
  std::uint64_t bytes = 0;
  std::uint32_t key_groups = 0;  ///< that have such rows; 0 for what is not keyed
  bool in_store = false;         ///< it is a store's files, whose rows are known to nobody who does not read them

  [[nodiscard]] bool empty() const { return rows == 0 && !in_store; }
};

struct OperatorSummary {
  std::string uid;
  std::uint32_t parallelism = 0;
  bool enumerator = false;  ///< it is a source whose splits are handed out by the master
  std::vector<StateSummary> states;
  std::uint64_t bytes = 0;
};

/// In the order of the metadata; reads nothing else. States whose names begin with "$" are the engine's own.
std::vector<OperatorSummary> list_state(const CheckpointMetadata& metadata);

/// Which rows are wanted.
struct StateQuery {
  std::string op;     ///< uid
  std::string state;  ///< name
  /// A bare JSON value for the table's first column, or an object of column names and values; empty: all rows.
  std::string key_json{};
  std::uint64_t limit = ~std::uint64_t{0};
  /// What the bytes in a column are, as JSON, for those that somebody can read; nothing: they stay bytes.
  std::function<std::optional<std::string>(std::string_view column, std::string_view bytes)> read_bytes{};
};

/// Calls `visit` with each of the rows as a JSON object; bytes that nobody reads are in base64. Errors: not_found
/// naming the operators or states that there are; invalid_argument when the key is none; those of reading.
Status show_state(const RestoredCheckpoint& checkpoint, const StateQuery& query,
                  const std::function<void(const std::string& row)>& visit);

}  // namespace dataflow
