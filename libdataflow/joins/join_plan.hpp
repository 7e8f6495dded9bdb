#pragma once
// From the texts of a `join` or `lookup` node to a JoinSpec: which conjuncts of `on` are equalities by which rows are
// sent to their subtask and looked up, what is left as a condition, and what the results are.

#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "libdataflow/joins/join_names.hpp"

namespace dataflow::joins {

/// What an interval join asks of its sides beside that.
struct IntervalTexts {
  /// A timestamp of the left side up to which its rows meet others; nothing: they have no time of their own.
  std::optional<std::string> meets_until;
  /// A number of the right side by which a left row's pairs are compared; nothing: they are not.
  std::optional<std::string> compared_by;
};

struct JoinTexts {
  std::string on;
  /// Names and expressions; nothing: all fields of both sides, or of the left alone for semi and anti.
  std::optional<std::vector<std::pair<std::string, std::string>>> fields;
  IntervalTexts interval{};
};

/// A mistake in an option: "on", "fields.total", "between.1", "best".
struct JoinMistake {
  std::string path;
  ExpressionError error;
};

/// Columns that have to be computed before a side's rows are sent to their subtasks: keys that are no field.
struct SideProjection {
  std::vector<Expression> expressions;  ///< over the side's own schema
  SchemaPtr schema;                     ///< and what they give: the side as the join sees it
};

struct JoinPlan {
  JoinSpec spec;  ///< without event_time
  std::array<std::optional<SideProjection>, 2> projections;
};

/// Empty `mistakes`: the plan is whole.
JoinPlan plan_join(const JoinNames& names, JoinKind kind, const JoinTexts& texts, std::vector<JoinMistake>& mistakes);

}  // namespace dataflow::joins
