#pragma once
// What a pattern operator computes, however it was written: as a topology's `pattern` node or with the builder of the
// C++ API. The meaning of within, skip strategies and late rows is Flink CEP's
// (https://nightlies.apache.org/flink/flink-docs-stable/docs/libs/cep/).

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "libdataflow/operators/operator.hpp"
#include "libdataflow/patterns/program.hpp"

namespace dataflow::patterns {

class PatternLogic;

/// Where the next match may begin after one was found.
enum class AfterMatch : std::uint8_t {
  no_skip,        ///< anywhere: every possible match is given
  next_row,       ///< at the row after the match's first one
  past_last_row,  ///< at the row after its last one
  first_of,       ///< at its first row of a variable; as next_row where it has none, or begins with it
  last_of,
};

struct PatternSpec {
  Program program;
  /// A match's last row comes less than this after its first one.
  std::optional<Duration> within;
  AfterMatch after_match = AfterMatch::past_last_row;
  Variable skip_to = 0;  ///< of first_of and last_of
  /// Every match of an attempt counts, and not the preferred one only.
  bool every_match = false;
  std::size_t most_partial_matches = 10'000;  ///< of a key
  std::vector<std::size_t> key_fields;        ///< of the input; empty: one group
  ErrorPolicy on_error = ErrorPolicy::fail;
  /// What must not change for the state to be of use.
  std::string identity;
  SchemaPtr output;  ///< the key fields, unless `keys_in_output` is false, then what the logic gives
  SchemaPtr timeout_output;
  bool keys_in_output = true;
  std::vector<std::size_t> reads;  ///< fields of the input that conditions and results look at
  std::function<std::unique_ptr<PatternLogic>()> make_logic;  ///< for each subtask
};

inline constexpr std::size_t pattern_main_output = 0;
/// Partial matches whose time was up.
inline constexpr std::size_t pattern_timeout_output = 1;
/// Rows that the watermark had passed, under the input's schema; counted as "late".
inline constexpr std::size_t pattern_late_output = 2;
/// Only with ErrorPolicy::side_output.
inline constexpr std::size_t pattern_errors_output = 3;

/// The operator. Its input has event time and is partitioned by `key_fields`; without them it runs in one subtask.
OperatorFactoryPtr make_pattern_operator(PatternSpec spec, SchemaPtr input);

}  // namespace dataflow::patterns
