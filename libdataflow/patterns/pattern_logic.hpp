#pragma once
// What the rows of a pattern mean: which conditions hold, what is kept of a row, what is made of a match. Expressions
// of a topology on the one hand (expression_logic.hpp), lambdas of a C++ job on the other (dataflow/pattern.hpp).

#include <span>
#include <string>
#include <vector>

#include "libdataflow/expressions/expression.hpp"
#include "libdataflow/patterns/match_buffer.hpp"
#include "serialization/result.hpp"

namespace dataflow::patterns {

/// What is computed for the rows of a batch when they arrive.
struct LoadedRows {
  std::vector<Variables> conditions;  ///< for each row: those that look at the row alone, and hold
  std::vector<ColumnPtr> kept;        ///< of the types kept_types()
};

/// Several matches, complete or not, each as its rows in order.
struct MatchList {
  const KeptRows* rows = nullptr;
  std::vector<MatchedRow> matched;
  std::vector<std::size_t> ends;  ///< of each match in `matched`

  [[nodiscard]] std::size_t size() const { return ends.size(); }
  [[nodiscard]] std::span<const MatchedRow> operator[](std::size_t i) const {
    const std::size_t first = i == 0 ? 0 : ends[i - 1];
    return std::span{matched}.subspan(first, ends[i] - first);
  }
  void clear() {
    matched.clear();
    ends.clear();
  }
};

/// What a match gives: a row for each, but for those that cannot be computed or give none.
struct MatchResults {
  std::vector<ColumnPtr> columns;      ///< as many rows as `matches`
  std::vector<std::uint32_t> matches;  ///< of the list, ascending; a match may give several rows
  std::vector<RowError> errors;        ///< `row` is the match's place in the list
};

/// One subtask's.
class PatternLogic {
 public:
  virtual ~PatternLogic() = default;

  [[nodiscard]] virtual std::vector<DataType> kept_types() const = 0;
  /// Variables whose conditions look at the match so far.
  [[nodiscard]] virtual Variables looking_back() const = 0;
  /// How many rows of the key in front of the current one conditions ask for.
  [[nodiscard]] virtual std::uint32_t rows_before() const { return 0; }

  /// Appends to `errors`, ascending and each row once, the rows for which something cannot be computed.
  virtual Status load(const Batch& batch, Timestamp now, LoadedRows& loaded, std::vector<RowError>& errors) = 0;
  /// Whether the last row of `match` may be of `variable`, which looks back. `before` are the key's rows in front of
  /// it, the nearest one last. Errors: arithmetic.
  virtual Result<bool> holds(Variable variable, const MatchList& match, std::span<const RowId> before,
                             Timestamp now) = 0;
  /// The result columns behind the key's, for complete matches or for those that ran out of time.
  virtual Result<MatchResults> results(const MatchList& matches, Timestamp now, bool timed_out) = 0;
};

}  // namespace dataflow::patterns
