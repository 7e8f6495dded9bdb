#pragma once
// The state of window operators as tables of a checkpoint: "groups", keyed, with a row for each key of each window (or
// slice), and "clock", with how far time and numbers are.

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "libdataflow/state/snapshot.hpp"
#include "libdataflow/windows/aggregation.hpp"
#include "libdataflow/windows/key_batch.hpp"
#include "serialization/builder.hpp"

namespace dataflow::windows {

/// What a row of "groups" is: the key's columns, numbers that the kind of window names, the aggregates' states.
class GroupSchema {
 public:
  GroupSchema(const Schema& input, const std::vector<std::size_t>& key_fields, std::vector<std::string> numbers,
              const Aggregation& aggregation);

  [[nodiscard]] const SchemaPtr& schema() const { return schema_; }
  [[nodiscard]] std::size_t keys() const { return keys_; }
  [[nodiscard]] std::size_t numbers() const { return numbers_; }
  [[nodiscard]] std::size_t first_aggregate() const { return keys_ + numbers_; }
  [[nodiscard]] std::vector<std::size_t> key_columns() const;
  /// Whether the rows that were written have the same keys. Errors: invalid_argument.
  [[nodiscard]] Status check_keys(const Schema& written) const;

 private:
  SchemaPtr schema_;
  std::size_t keys_;
  std::size_t numbers_;
};

/// Builds the batches of "groups".
class GroupSaver {
 public:
  GroupSaver(const GroupSchema& schema, const KeyReader& keys, const Aggregation& aggregation, CopiedState& state,
             std::uint32_t max_parallelism);
  void add(const KeyRef& key, std::span<const std::int64_t> numbers, const std::byte* states);
  /// After the last one.
  void finish();

 private:
  const GroupSchema& schema_;
  const KeyReader& keys_;
  const Aggregation& aggregation_;
  CopiedState& state_;
  std::uint32_t max_parallelism_;
  BatchBuilder rows_;
  std::vector<ColumnBuilder*> columns_;
};

/// One batch of "groups" on its way back. Row i has the i-th of `keys`.
struct SavedGroups {
  const Batch& batch;
  const KeyBatch& keys;
  const GroupSchema& schema;
  const Aggregation& aggregation;

  [[nodiscard]] std::int64_t number(std::uint32_t row, std::size_t i) const {
    return batch.column(schema.keys() + i).as<std::int64_t>()[row];
  }
  Status load(std::uint32_t row, std::byte* states) const {
    return aggregation.load(batch, schema.first_aggregate(), row, states);
  }
};

}  // namespace dataflow::windows
