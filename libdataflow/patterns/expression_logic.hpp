#pragma once
// Conditions and measures given as expressions: those that look at a row alone are computed over whole batches, the
// others for each partial match, over columns of the terms that they look at.

#include <memory>
#include <string>
#include <vector>

#include "libdataflow/patterns/match_expression.hpp"
#include "libdataflow/patterns/pattern_logic.hpp"

namespace dataflow::patterns {

/// A column of the result.
struct Measure {
  std::string name;
  MatchExpression expression;
};

struct ExpressionPattern {
  std::vector<Definition> definitions;  ///< by variable
  std::vector<std::string> names;       ///< of the variables
  std::vector<Measure> measures;
  KeptColumns kept;
  std::uint32_t rows_before = 0;
};

/// `pattern` is shared by all subtasks.
std::unique_ptr<PatternLogic> make_expression_logic(std::shared_ptr<const ExpressionPattern> pattern);

/// Fields of the input that the pattern looks at.
std::vector<std::size_t> fields_read(const ExpressionPattern& pattern);

}  // namespace dataflow::patterns
