#pragma once
// What a join computes, as a topology's `join` and `lookup` nodes have checked it: which rows of its two inputs belong
// together, and what becomes of them. The meanings are those of Flink's table joins
// (https://nightlies.apache.org/flink/flink-docs-stable/docs/dev/table/sql/queries/joins/).
//
// Rows meet that are equal in their keys and for which the condition is true. A key with a NULL (or NaN) in it is equal
// to none. Input 0 is the left one, input 1 the right one, each partitioned by its keys.

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "libdataflow/expressions/expression.hpp"
#include "libdataflow/joins/packed_rows.hpp"
#include "libdataflow/operators/operator.hpp"
#include "libdataflow/windows/window_spec.hpp"

namespace dataflow::joins {

inline constexpr std::size_t left_input = 0;
inline constexpr std::size_t right_input = 1;
constexpr std::size_t other(std::size_t side) {
  return 1 - side;
}

enum class JoinKind : std::uint8_t {
  inner,
  left,   ///< and left rows without a match, with NULL for the right's fields
  right,  ///< and right rows without one
  full,   ///< both
  semi,   ///< left rows that have a match, once each
  anti,   ///< left rows that have none
};

/// Whether rows of a side that have no match are results of their own.
constexpr bool gives_unmatched(JoinKind kind, std::size_t side) {
  switch (kind) {
    case JoinKind::inner:
    case JoinKind::semi: return false;
    case JoinKind::left:
    case JoinKind::anti: return side == left_input;
    case JoinKind::right: return side == right_input;
    case JoinKind::full: return true;
  }
  return false;
}
/// Whether results are rows of the left side alone.
constexpr bool is_of_left_rows(JoinKind kind) {
  return kind == JoinKind::semi || kind == JoinKind::anti;
}

/// One side as the operator sees it.
struct JoinSide {
  SchemaPtr schema;
  std::vector<std::size_t> keys;  ///< fields; those of the two sides have the same types, pair by pair
  bool event_time = false;
  bool takes_back = false;  ///< its rows may be updated and deleted
  /// A timestamp field: until then, inclusive, the row may meet rows of the other side. The left's of an interval join.
  std::optional<std::size_t> meets_until;
  /// A number: pairs of a left row are compared by it. The right's of an interval join.
  std::optional<std::size_t> compared_by;
};

struct JoinSpec {
  JoinKind kind = JoinKind::inner;
  std::array<JoinSide, 2> sides;
  /// The fields of a pair: the left's, the right's, and with a window its window_start and window_end.
  SchemaPtr pair;
  std::optional<Expression> condition;  ///< over `pair`, a bool: what `on` asks for beside the equal keys
  std::vector<Expression> outputs;      ///< over `pair`
  SchemaPtr output;
  bool event_time = false;  ///< whether results have one
  /// For pairs whose condition or fields cannot be computed.
  ErrorPolicy on_error = ErrorPolicy::fail;
  /// The side outputs that have a side's late rows, of a window join. Nothing: they are counted, no more.
  std::array<std::optional<std::size_t>, 2> late_outputs;

  [[nodiscard]] std::size_t left_fields() const { return sides[left_input].schema->size(); }
};

/// Rows that are in the same window.
struct WindowJoinSpec {
  JoinSpec join;
  WindowSpec window;  ///< tumbling, sliding, cumulate or session, in event time
};

/// Rows whose right's time is between the left's plus `low` and plus `high`, both inclusive; when the left side has a
/// `meets_until`, between the left's plus `low` and that field, of which a NULL meets nothing.
struct IntervalJoinSpec {
  JoinSpec join;
  Duration low{0};
  Duration high{0};
  /// When the right side has a `compared_by`: of a left row only pairs are given than whose number none before, or in
  /// the same batch, had a greater one, or a lesser one. Not those with a NULL.
  bool least_is_best = false;
};

/// All rows that there have been, as a changelog.
struct RegularJoinSpec {
  JoinSpec join;
  /// A row is forgotten so long, by the clock, after it came. Nothing is taken back for it.
  std::optional<Duration> ttl;
};

/// Each left row with the right row that was valid at its time: the newest of its key that is not newer than it.
/// Only inner and left.
struct AsOfJoinSpec {
  JoinSpec join;
};

/// Each left row with the rows of a table that is read whole first. Only inner and left.
struct LookupSpec {
  JoinSpec join;
};

OperatorFactoryPtr make_window_join(WindowJoinSpec spec);
OperatorFactoryPtr make_interval_join(IntervalJoinSpec spec);
OperatorFactoryPtr make_regular_join(RegularJoinSpec spec);
OperatorFactoryPtr make_as_of_join(AsOfJoinSpec spec);
OperatorFactoryPtr make_lookup(LookupSpec spec);

/// Which fields of an input the join looks at.
FieldUse fields_used(const JoinSpec& spec, std::size_t side);
/// Where the keys are in the results: see KeepsKeys.
std::vector<std::vector<std::size_t>> keys_in_output(const JoinSpec& spec);
/// How rows of a side are kept: the fields that are used, keys first.
PackedLayout layout_of(const JoinSpec& spec, std::size_t side);

}  // namespace dataflow::joins
