#include "libdataflow/patterns/program.hpp"

#include <algorithm>
#include <bit>

namespace dataflow::patterns {

namespace {

using Kind = PatternSyntax::Kind;

std::uint64_t instructions_of(const PatternSyntax& pattern) {
  std::uint64_t inside = 0;
  for (const PatternSyntax& child : pattern.children) {
    inside = std::min(inside + instructions_of(child), most_instructions + 1);
  }
  if (pattern.kind != Kind::repeat) return inside + 2;
  const std::uint64_t times =
      pattern.most == PatternSyntax::unbounded ? pattern.least + std::uint64_t{1} : pattern.most;
  return std::min(inside * times + times, most_instructions + 1);
}

ExpressionError mistake(const PatternSyntax& at, std::string message, std::string suggestion) {
  return {at.span.offset, at.span.length, std::move(message), std::move(suggestion)};
}

/// Writes the program from its end to its start, so that each part knows where it goes on.
class Compiler {
 public:
  tl::expected<Program, ExpressionError> run(const PatternSyntax& pattern) {
    if (can_be_empty(pattern)) {
      return tl::unexpected(mistake(pattern, "this pattern matches without any row",
                                    "at least one variable must be there without ? or *"));
    }
    if (instructions_of(pattern) > most_instructions) {
      return tl::unexpected(mistake(pattern, "this pattern is too long when its {n,m} are written out",
                                    "repeat a shorter part, or fewer times"));
    }
    const std::uint32_t accept = emit({});
    program_.start = part(pattern, {accept, true, false});
    if (error_) return tl::unexpected(*error_);
    find_first_variables(program_);
    return std::move(program_);
  }

 private:
  /// What is around a part.
  struct Rest {
    std::uint32_t entry = 0;  ///< where it goes on
    bool is_end = false;      ///< of the pattern
    bool has_front = false;   ///< there is a row in front of it
  };

  std::uint32_t emit(const Instruction& instruction) {
    program_.code.push_back(instruction);
    return static_cast<std::uint32_t>(program_.code.size() - 1);
  }
  std::uint32_t emit_split(std::uint32_t preferred, std::uint32_t other) {
    return emit({.kind = Instruction::Kind::split, .next = preferred, .other = other});
  }

  std::uint32_t part(const PatternSyntax& pattern, Rest rest) {
    switch (pattern.kind) {
      case Kind::row: {
        const auto variable = static_cast<Variable>(std::countr_zero(pattern.variables));
        return emit({.kind = Instruction::Kind::take, .variable = variable, .next = rest.entry});
      }
      case Kind::sequence: return sequence(pattern, rest);
      case Kind::alternation: {
        std::uint32_t entry = part(pattern.children.back(), rest);
        for (std::size_t i = pattern.children.size() - 1; i-- > 0;) {
          entry = emit_split(part(pattern.children[i], rest), entry);
        }
        return entry;
      }
      case Kind::repeat: return repeat(pattern, rest);
      case Kind::absence: return sequence({.kind = Kind::sequence, .children = {pattern}, .span = pattern.span}, rest);
    }
    return rest.entry;
  }

  std::uint32_t sequence(const PatternSyntax& pattern, Rest rest) {
    std::size_t left = pattern.children.size();
    // Of the children, those that have a row of this match in front of them.
    std::vector<bool> has_front{rest.has_front};
    for (const PatternSyntax& child : pattern.children) has_front.push_back(has_front.back() || !can_be_empty(child));
    bool rest_can_be_empty = true;  // of this sequence
    while (left > 0) {
      const PatternSyntax& child = pattern.children[left - 1];
      if (child.kind != Kind::absence) {
        rest.has_front = has_front[left - 1];
        rest = {part(child, rest), false, false};
        rest_can_be_empty = rest_can_be_empty && can_be_empty(child);
        --left;
        continue;
      }
      Variables absent = 0;  // of all that stand side by side
      while (left > 0 && pattern.children[left - 1].kind == Kind::absence) absent |= pattern.children[--left].variables;
      rest.has_front = has_front[left];
      rest = {absence(child, absent, rest, rest_can_be_empty), false, false};
    }
    return rest.entry;
  }

  std::uint32_t absence(const PatternSyntax& pattern, Variables absent, Rest rest, bool rest_can_be_empty) {
    if (!rest.has_front && !error_) {
      error_ = mistake(pattern, "an absence needs a row in front of it, from which on it is looked for",
                       "put a variable without ? or * in front");
    }
    if (rest.is_end) return emit({.kind = Instruction::Kind::hold, .forbidden = absent, .next = rest.entry});
    if (rest_can_be_empty && !error_) {
      error_ = mistake(pattern, "nothing that must be there follows this absence, nor does the pattern end with it",
                       "put it in front of a variable without ? or *, or at the end of the whole pattern");
    }
    const std::uint32_t split = emit_split(rest.entry, 0);
    program_.code[split].other = emit({.kind = Instruction::Kind::pass, .forbidden = absent, .next = split});
    return split;
  }

  std::uint32_t repeat(const PatternSyntax& pattern, Rest rest) {
    const PatternSyntax& child = pattern.children.front();
    const std::uint32_t next = rest.entry;
    std::uint32_t entry = next;
    std::uint32_t copies = pattern.least;
    if (pattern.most == PatternSyntax::unbounded) {
      const std::uint32_t loop = emit_split(0, 0);
      const std::uint32_t body = part(child, {loop, false, rest.has_front});
      Instruction& split = program_.code[loop];
      split.next = pattern.reluctant ? next : body;
      split.other = pattern.reluctant ? body : next;
      entry = copies == 0 ? loop : body;
      copies -= std::min(copies, 1U);
    } else {
      for (std::uint32_t i = pattern.least; i < pattern.most; ++i) {
        const std::uint32_t body = part(child, {entry, false, rest.has_front});
        entry = pattern.reluctant ? emit_split(next, body) : emit_split(body, next);
      }
    }
    for (; copies > 0; --copies) entry = part(child, {entry, false, rest.has_front});
    return entry;
  }

  Program program_;
  std::optional<ExpressionError> error_;
};

}  // namespace

bool can_be_empty(const PatternSyntax& pattern) {
  const auto empty = [](const PatternSyntax& child) { return can_be_empty(child); };
  switch (pattern.kind) {
    case Kind::row: return false;
    case Kind::absence: return true;
    case Kind::sequence: return std::all_of(pattern.children.begin(), pattern.children.end(), empty);
    case Kind::alternation: return std::any_of(pattern.children.begin(), pattern.children.end(), empty);
    case Kind::repeat: return pattern.least == 0 || can_be_empty(pattern.children.front());
  }
  return true;
}

bool is_open_ended(const PatternSyntax& pattern) {
  if (pattern.kind == Kind::absence) return true;
  if (pattern.kind == Kind::repeat && pattern.most == PatternSyntax::unbounded) return true;
  return std::any_of(pattern.children.begin(), pattern.children.end(), is_open_ended);
}

Variables matched_variables(const PatternSyntax& pattern) {
  Variables found = pattern.kind == Kind::row ? pattern.variables : 0;
  for (const PatternSyntax& child : pattern.children) found |= matched_variables(child);
  return found;
}

Variables named_variables(const PatternSyntax& pattern) {
  Variables found = pattern.variables;
  for (const PatternSyntax& child : pattern.children) found |= named_variables(child);
  return found;
}

void find_first_variables(Program& program) {
  std::vector<std::uint32_t> open{program.start};
  std::vector<bool> seen(program.code.size(), false);
  program.starts_with = 0;
  while (!open.empty()) {
    const std::uint32_t at = open.back();
    open.pop_back();
    if (seen[at]) continue;
    seen[at] = true;
    const Instruction& instruction = program.code[at];
    if (instruction.kind == Instruction::Kind::take) program.starts_with |= only(instruction.variable);
    if (instruction.kind != Instruction::Kind::split) continue;
    open.push_back(instruction.next);
    open.push_back(instruction.other);
  }
}

tl::expected<Program, ExpressionError> compile_pattern(const PatternSyntax& pattern) {
  return Compiler{}.run(pattern);
}

}  // namespace dataflow::patterns
