#pragma once
// Pairs of a left and a right row as columns: joins gather pairs in lists, evaluate the condition over a whole list,
// and make a batch of results of another, so that nothing is asked of a single pair but which rows it has.

#include <array>
#include <cstdint>
#include <vector>

#include "libdataflow/joins/join_spec.hpp"
#include "libdataflow/runtime/buggify.hpp"

namespace dataflow::joins {

/// In place of a row: NULL in all fields.
inline constexpr std::uint32_t no_row = UINT32_MAX;

/// The rows of one side: of a batch, or stored ones.
struct PairSide {
  const Batch* batch = nullptr;
  std::vector<std::uint32_t> rows;         ///< of `batch`; no_row
  std::vector<const std::byte*> stored{};  ///< without a batch; null: no row
};

struct Pairs {
  std::array<PairSide, 2> sides;
  std::vector<RowKind> kinds;
  std::vector<std::int64_t> times;          ///< with event time
  std::vector<std::int64_t> window_starts;  ///< of a window join
  std::vector<std::int64_t> window_ends;
  std::size_t count = 0;
  std::size_t bytes = 0;  ///< about so many a batch of them would have

  void clear();
  /// Enough for a batch of results.
  [[nodiscard]] bool full() const { return count >= enough || bytes >= max_batch_bytes; }

  std::size_t enough = buggified(Buggify::few_join_results) ? 2 : 1024;
};

/// Computes over pairs. One per operator.
class PairEvaluator {
 public:
  /// All outlive it.
  PairEvaluator(const JoinSpec& spec, const PackedLayout& left, const PackedLayout& right);

  /// The pairs for which the condition is true, ascending; all without one. Appends to `errors`, ascending, those for
  /// which it cannot be computed.
  void select(const Pairs& pairs, Timestamp now, std::vector<std::uint32_t>& selected, std::vector<RowError>& errors);
  /// One row of the output's schema for each pair; `errors` likewise.
  BatchPtr results(const Pairs& pairs, Timestamp now, std::vector<RowError>& errors);
  /// The pairs with all fields that the join uses, to be shown.
  [[nodiscard]] BatchPtr shown(const Pairs& pairs) const { return batch_of(pairs, all_fields_); }

 private:
  [[nodiscard]] BatchPtr batch_of(const Pairs& pairs, const std::vector<std::size_t>& fields) const;
  [[nodiscard]] ColumnPtr column(const Pairs& pairs, std::size_t pair_field) const;

  const JoinSpec& spec_;
  std::array<const PackedLayout*, 2> layouts_;
  std::vector<std::size_t> condition_fields_;
  std::vector<std::size_t> output_fields_;
  std::vector<std::size_t> all_fields_;  ///< those of both
  EvalContext context_;
};

}  // namespace dataflow::joins
