#pragma once
// What a window operator computes: which windows a record belongs to, what is aggregated over each of them, and
// how long it is kept for late records. Filled in by the topology's `window` node and by the C++ API; the meaning of
// every kind is Flink's (https://nightlies.apache.org/flink/flink-docs-stable/docs/dev/table/sql/queries/window-tvf/).
//
// A window is [start, end). Time windows are aligned to the Unix epoch plus `offset`. The output has the key fields,
// then `window_start` and `window_end` (not for count and global windows, which have neither), then the aggregates;
// a result's event time is its window's end minus one microsecond. Results of count and global windows carry the
// newest event time of their records.
//
// Running aggregates (the topology's `aggregate` node) are the one kind that takes results back: no window ends them,
// every batch gives the new values of the keys that it changed, as a changelog.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "libdataflow/expressions/expression.hpp"
#include "libdataflow/operators/operator.hpp"
#include "serialization/schema.hpp"
#include "serialization/time.hpp"

namespace dataflow {

enum class WindowKind : std::uint8_t {
  tumbling,  ///< `size`
  sliding,   ///< `size`, a new one every `slide`
  session,   ///< ends `gap` after its last record; overlapping ones merge
  cumulate,  ///< grows by `step` up to `size`, then starts anew
  count,     ///< every `count` records of a key
  global,    ///< one for all of time; fires when a bounded input ends, and early
  running,   ///< one for all of time; each change is given at once, and takes back what was given before
};

enum class TimeDomain : std::uint8_t { event, processing };

/// One output column: `sum(a) / count()` under a name.
struct WindowAggregate {
  std::string name;
  AggregateExpression expression;
};

struct WindowSpec {
  WindowKind kind = WindowKind::tumbling;
  Duration size{0};
  Duration slide{0};
  Duration gap{0};
  Duration step{0};
  Duration offset{0};
  std::uint64_t count = 0;
  TimeDomain time = TimeDomain::event;
  Duration allowed_lateness{0};         ///< only in event time
  std::optional<Duration> early;        ///< processing time between early results of windows that changed
  std::optional<Duration> ttl;          ///< only running: keys without records for so long, by the clock, are forgotten
  std::vector<std::size_t> key_fields;  ///< of the input; empty: one group for everything
  std::vector<WindowAggregate> aggregates;
  std::optional<Expression> having;  ///< a bool expression over window_output_schema
  /// What happens to a record for which an aggregate's argument or filter cannot be computed.
  ErrorPolicy on_error = ErrorPolicy::fail;
};

inline constexpr std::size_t window_main_output = 0;
/// Records whose every window is past its end and the allowed lateness, in the input's schema; counted as "late".
inline constexpr std::size_t window_late_output = 1;
/// Only with ErrorPolicy::side_output: records for which something could not be computed. Running aggregates have no
/// late records and therefore no output for them.
[[nodiscard]] constexpr std::size_t window_errors_output(WindowKind kind) {
  return kind == WindowKind::running ? 1 : 2;
}

/// Whether the kind's results have `window_start` and `window_end`.
[[nodiscard]] constexpr bool has_window_bounds(WindowKind kind) {
  return kind != WindowKind::count && kind != WindowKind::global && kind != WindowKind::running;
}

/// Whether the results of a window over an input with (or without) event time have one.
[[nodiscard]] constexpr bool window_results_have_time(WindowKind kind, TimeDomain time, bool input_has_time) {
  return input_has_time && (time == TimeDomain::event || !has_window_bounds(kind));
}

/// The fields of the main output: keys, bounds, aggregates. `having` and sizes are not looked at.
/// Errors: invalid_argument when two fields would have the same name.
[[nodiscard]] Result<SchemaPtr> window_output_schema(const WindowSpec& spec, const Schema& input);

/// Errors: invalid_argument saying what is wrong with the sizes (zero, negative, not a multiple, too many slices).
[[nodiscard]] Status check_window(const WindowSpec& spec);

/// The operator: input 0 has the schema `input`, output 0 window_output_schema, output 1 (late) `input`, and
/// window_errors_output where the spec asks for it. `spec` must have passed the two checks above
/// (asserted). Its input must be partitioned by `key_fields`, and run with parallelism 1 when there are none.
[[nodiscard]] OperatorFactoryPtr make_window_operator(WindowSpec spec, SchemaPtr input);

}  // namespace dataflow
