#pragma once
// Patterns over the rows of a key: regular expressions whose letters are conditions (SQL's MATCH_RECOGNIZE), and what
// Flink CEP's builder adds to them, run as an automaton over the rows in the order of event time.
//
// A pattern is compiled to a program in the manner of Thompson's and Pike's regular expression machines (R. Cox,
// "Regular expression matching: the virtual machine approach", 2009): a partial match is a place in the program, and
// where two ways are open, which of them is preferred is in the program. What is kept of the rows of a partial match is
// in the shared buffer (match_buffer.hpp), as in Agrawal et al., "Efficient pattern matching over event streams",
// SIGMOD 2008.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "libdataflow/expressions/token.hpp"

namespace dataflow::patterns {

/// A variable of the pattern, by its place in the definitions.
using Variable = std::uint32_t;
/// A set of variables, a bit each.
using Variables = std::uint64_t;
inline constexpr std::size_t most_variables = 64;
[[nodiscard]] constexpr Variables only(Variable variable) {
  return Variables{1} << variable;
}

/// Whether rows may lie between a row of a match and the one that it waits for (Flink's contiguity).
enum class Wait : std::uint8_t {
  none,         ///< the next row must be it ("strict")
  until_taken,  ///< rows that are not it are passed over ("relaxed")
  always,       ///< and those that are it may be passed over too ("non-deterministic relaxed")
};

struct Instruction {
  enum class Kind : std::uint8_t {
    take,    ///< a row of the variable, then `next`; as `wait` says, other rows are passed over: then `other`
    pass,    ///< a row of any kind that is no part of the match, then `next`
    split,   ///< two ways without a row: `next`, which is preferred, and `other`
    hold,    ///< no row is awaited; when the time is up this is a match
    accept,  ///< a match
  };
  Kind kind = Kind::accept;
  Wait wait = Wait::none;
  bool first_row_only = false;  ///< hold: the next row decides, whether it is forbidden
  Variable variable = 0;
  Variables forbidden = 0;  ///< take, pass, hold: a row of one of these ends the partial match
  std::uint32_t next = 0;
  std::uint32_t other = 0;
};

/// A longer program is refused: `{n,m}` repeats its part so many times.
inline constexpr std::uint64_t most_instructions = 4096;

struct Program {
  std::vector<Instruction> code;
  std::uint32_t start = 0;
  Variables starts_with = 0;  ///< variables that the first row of a match may be of
};

/// Sets `starts_with`.
void find_first_variables(Program& program);

/// A pattern as written.
struct PatternSyntax {
  enum class Kind : std::uint8_t {
    row,
    sequence,
    alternation,
    repeat,
    absence,  ///< of `variables`: in the middle, that none of the rows in between is one; at the end, until time is up
  };
  static constexpr std::uint32_t unbounded = UINT32_MAX;

  Kind kind = Kind::row;
  Variables variables = 0;  ///< row: one
  std::uint32_t least = 1;  ///< repeat
  std::uint32_t most = 1;
  bool reluctant = false;
  std::vector<PatternSyntax> children;
  expr::Span span;
};

/// Whether it can match without a row.
[[nodiscard]] bool can_be_empty(const PatternSyntax& pattern);
/// Whether a match may be of any length, or waits for its time to be up.
[[nodiscard]] bool is_open_ended(const PatternSyntax& pattern);
/// Variables of which a row may be part of a match.
[[nodiscard]] Variables matched_variables(const PatternSyntax& pattern);
/// All variables, with those that must be absent.
[[nodiscard]] Variables named_variables(const PatternSyntax& pattern);

/// Errors: a pattern that can match without a row, an absence where nothing follows that would end it, a program that
/// would be too long.
tl::expected<Program, ExpressionError> compile_pattern(const PatternSyntax& pattern);

/// Reads `small+ (large | huge){2,3}? !refund end`. `variables` are the names of the definitions.
/// Errors: the first mistake, with its place in `text`.
tl::expected<PatternSyntax, ExpressionError> parse_pattern(std::string_view text,
                                                           const std::vector<std::string>& variables);

}  // namespace dataflow::patterns
