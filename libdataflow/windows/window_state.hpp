#pragma once
// The state of window operators as tables of a checkpoint: "groups", keyed, with a row for each key of each window (or
// slice), and "clock", with how far time and numbers are.

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "libdataflow/state/snapshot.hpp"
#include "libdataflow/windows/aggregation.hpp"
#include "libdataflow/windows/frozen_rows.hpp"
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

/// How groups become rows: what a thread that writes them shares with no operator.
struct GroupForm {
  GroupSchema schema;
  KeyReader keys;
  Aggregation aggregation;
  std::uint32_t max_parallelism;
};
using GroupFormPtr = std::shared_ptr<const GroupForm>;

/// What the states of groups own, for rows that have them at `offset`. Null when they own nothing.
RowOwnershipPtr ownership_of_states(const GroupFormPtr& form, std::size_t offset);

/// Builds the batches of "groups".
class GroupSaver {
 public:
  /// Both outlive it.
  GroupSaver(const GroupForm& form, StateWriter& writer);
  Status add(const KeyRef& key, std::span<const std::int64_t> numbers, const std::byte* states);
  /// See StateWriter.
  [[nodiscard]] bool takes_segment(std::uint64_t bytes) const { return state_.takes_segment(bytes); }
  Status add_segment(const SegmentId& id, const std::function<Status(GroupSaver&)>& save);
  /// After the last one.
  Status finish();

 private:
  const GroupForm& form_;
  StateWriter& state_;
  KeyGroupWriter writer_;
  BatchBuilder rows_;
  std::vector<ColumnBuilder*> columns_;
};

/// Groups as they were at a barrier.
class FrozenGroups {
 public:
  virtual ~FrozenGroups() = default;
  /// On another thread than the operator's, once.
  virtual Status save(GroupSaver& saver) = 0;
};
using FrozenGroupsPtr = std::unique_ptr<FrozenGroups>;

/// Groups of which `visit(rows, saver)` saves each run of frozen rows.
template <class Visit>
class FrozenRowGroups final : public FrozenGroups {
 public:
  FrozenRowGroups(std::shared_ptr<FrozenRows> rows, Visit visit) : rows_{std::move(rows)}, visit_{std::move(visit)} {}
  Status save(GroupSaver& saver) override {
    FrozenRows::Rows rows;
    while (rows_->next(rows)) {
      if (Status saved = visit_(rows, saver); !saved) return saved;
    }
    return {};
  }

 private:
  std::shared_ptr<FrozenRows> rows_;
  Visit visit_;
};
template <class Visit>
FrozenGroupsPtr frozen_groups(std::shared_ptr<FrozenRows> rows, Visit visit) {
  return std::make_unique<FrozenRowGroups<Visit>>(std::move(rows), std::move(visit));
}

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
  /// Of a group that has been written in parts: folds this one into states that have others.
  Status merge(std::uint32_t row, std::byte* states) const;
};

}  // namespace dataflow::windows
