#pragma once
// Patterns as Flink CEP's builder says them, step by step
// (https://nightlies.apache.org/flink/flink-docs-stable/docs/libs/cep/#the-pattern-api), compiled to the same programs
// as the pattern language. What differs: rows may lie between those of a match, as each step says, and every match
// counts.

#include <optional>
#include <string>
#include <vector>

#include "libdataflow/patterns/program.hpp"
#include "serialization/result.hpp"

namespace dataflow::patterns {

/// How a step follows the one before.
enum class Follows : std::uint8_t {
  directly,      ///< next
  later,         ///< followed_by
  later_any,     ///< followed_by_any
  not_directly,  ///< not_next
  not_later,     ///< not_followed_by
};

struct Step {
  std::string name;
  Follows follows = Follows::directly;
  Variable variable = 0;  ///< of its condition; of no meaning for a group
  std::uint32_t least = 1;
  std::uint32_t most = 1;  ///< PatternSyntax::unbounded
  bool optional = false;
  bool greedy = false;               ///< no row that it could take goes to the step behind it
  Wait between = Wait::until_taken;  ///< its own rows
  std::optional<Variable> until;     ///< a row of it ends the repetition
  std::vector<Step> group;           ///< instead of a row
};

[[nodiscard]] bool is_open_ended(const std::vector<Step>& steps);
[[nodiscard]] bool ends_with_absence(const std::vector<Step>& steps);

/// Errors: invalid_argument: steps that cannot be in this order, or that match without a row.
Result<Program> compile_steps(const std::vector<Step>& steps);

}  // namespace dataflow::patterns
