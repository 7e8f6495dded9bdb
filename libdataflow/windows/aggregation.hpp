#pragma once
// All aggregates of a window operator together: the layout of their states in a group's row, the arguments and filters
// evaluated once a batch, and the output columns computed from the states.

#include <cstddef>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "libdataflow/windows/aggregates/accumulator.hpp"
#include "libdataflow/windows/group_totals.hpp"
#include "libdataflow/windows/window_spec.hpp"

namespace dataflow::windows {

class Aggregation {
 public:
  explicit Aggregation(const std::vector<WindowAggregate>& aggregates);

  /// The states that a new group starts with; their address plus a call's offset is what accumulators are given.
  [[nodiscard]] const std::vector<std::byte>& initial_states() const { return initial_; }

  /// Evaluates arguments and filters for the batch that the next updates are about.
  void load(const Batch& batch, Timestamp processing_time);
  /// Whether records can be folded into states of their own, which are then folded in in any order, and lie in their
  /// bytes alone.
  [[nodiscard]] bool combines() const;
  /// Instead of `load`: the next updates are about rows that have such states, row i at `first + i * width`.
  void load_states(const std::byte* first, std::size_t width);
  /// The records of the loaded batch that cannot be aggregated: a filter, or an argument that no filter drops, cannot
  /// be computed. Ascending, each record once.
  [[nodiscard]] std::vector<RowError> failed_records() const;
  /// Folds records of the loaded batch, none of which is a failed one, into states. Errors: arithmetic, for a sum that
  /// overflows.
  Status update(const StateRows& records);
  /// The same by groups, in one pass for several calls where what a group's records come to is all that they take. A
  /// sum may leave its type in between if it is back in it at the end of the batch.
  Status update(const GroupRows& records);
  /// The first call that cannot take a record out again, as the user wrote it.
  [[nodiscard]] std::optional<std::string> irrevocable() const;
  /// Takes such records out again, where every call can. Errors: as for update.
  Status retract(const StateRows& records);
  /// Folds `from[i]` into `into[i]`.
  Status merge(std::byte* const* into, const std::byte* const* from, std::size_t count) const;
  /// Back to the initial states, giving back what they own.
  void reset(std::byte* states) const;
  /// Gives back what the states own; their row must not be used afterwards.
  void release(std::byte* states) const;
  /// The states are a copy byte by byte: makes them own a copy of what the original owns.
  void own_copy(std::byte* states) const;
  // For checkpoints: a bytes column for each call, found again by the call's text.
  [[nodiscard]] std::vector<Field> saved_fields() const;
  /// Appends to the builders of those columns.
  void save(const std::byte* states, ColumnBuilder* const* columns) const;
  /// Makes new states what was saved in row `row` of the columns from `first` on; a call whose column is NULL is new
  /// and stays as it begins. Errors: malformed_data; invalid_argument when a call's argument had another type.
  Status load(const Batch& saved, std::size_t first, std::uint32_t row, std::byte* states) const;

  /// The type of what was aggregated, as the column of a call has it; nothing when it is none of this version.
  static std::optional<DataType> saved_argument_type(std::string_view saved);
  /// As `load`, of an aggregation with one call.
  Status load_only_call(std::string_view saved, std::byte* states) const {
    return load_call(calls_.front(), saved, states);
  }
  // For what lies on disk: what those columns have, one after the other, as state/stored_table.hpp has fields.
  void save(const std::byte* states, std::string& out) const;
  Status load(std::string_view saved, std::byte* states) const;

  [[nodiscard]] bool states_own_memory() const { return !owners_.empty(); }

  struct Results {
    std::vector<ColumnPtr> columns;  ///< one for each aggregate, in order
    std::vector<RowError> errors;    ///< states whose results cannot be computed, ascending; some are NULL
  };
  /// For each of the states.
  Results results(std::span<const std::byte* const> states, Timestamp processing_time);

 private:
  struct Input {
    Expression expression;
    std::vector<EvalResult> value;  ///< none or one: of the loaded batch
  };
  /// Of one call; those that do not fit are NULL, and in `errors`.
  static ColumnPtr call_results(const AggregateCall& description, const Accumulator& accumulator,
                                std::span<const std::byte* const> states, std::map<std::uint32_t, std::string>& errors);
  struct Call {
    AggregateCall description;
    AccumulatorPtr accumulator;
    std::optional<std::size_t> argument;  ///< in inputs_
    std::optional<std::size_t> filter;
  };
  struct OutputColumn {
    std::string name;
    Expression result;
    std::vector<std::size_t> calls;  ///< in calls_
    SchemaPtr schema;                ///< of the calls' results
  };

  static Status load_call(const Call& call, std::string_view saved, std::byte* states);
  std::optional<std::size_t> add_input(const std::optional<Expression>& expression);
  std::size_t add_call(const AggregateCall& call);
  using Fold = bool (Accumulator::*)(const StateRows& records, const Column* argument) const;
  Status fold_call(const Call& call, const StateRows& records, Fold fold);
  static Status overflow(const Call& call);
  [[nodiscard]] const Column& loaded(std::size_t input) const { return *inputs_[input].value.front().column; }
  [[nodiscard]] Accumulator::Takes takes(const Call& call) const;
  Status add_totals(const Call& call, const GroupRows& records, const Totals* totals) const;
  Status update_counts(const GroupRows& records);
  Status update_numbers(const GroupRows& records);
  Status update_by_record(const GroupRows& records);
  Status merge_loaded(const StateRows& rows);

  std::vector<Input> inputs_;
  std::vector<Call> calls_;
  std::vector<OutputColumn> outputs_;
  std::vector<const Accumulator*> owners_;  ///< those whose states own memory
  std::vector<std::byte> initial_;
  EvalContext eval_;
  const std::byte* loaded_states_ = nullptr;  ///< the first row's, when rows have states
  std::size_t loaded_width_ = 0;
  std::vector<const std::byte*> merged_from_;
  std::vector<std::byte*> chosen_states_;  ///< scratch: records that a filter or a NULL did not drop
  std::vector<std::uint32_t> chosen_rows_;
  GroupTotals totals_;
  std::vector<const Call*> by_record_;  ///< calls that the totals of a batch are not enough for
  std::vector<std::byte*> record_states_;
};

}  // namespace dataflow::windows
