#include "libdataflow/patterns/steps.hpp"

#include <algorithm>
#include <map>
#include <tuple>

namespace dataflow::patterns {

namespace {

bool is_absence(const Step& step) {
  return step.follows == Follows::not_directly || step.follows == Follows::not_later;
}

bool can_be_empty(const std::vector<Step>& steps);

bool can_be_empty(const Step& step) {
  return is_absence(step) || step.optional || step.least == 0 || (!step.group.empty() && can_be_empty(step.group));
}

bool can_be_empty(const std::vector<Step>& steps) {
  return std::all_of(steps.begin(), steps.end(), [](const Step& step) { return can_be_empty(step); });
}

Wait wait_of(Follows follows) {
  return follows == Follows::later ? Wait::until_taken : follows == Follows::later_any ? Wait::always : Wait::none;
}

Error about(const Step& step, std::string message) {
  return {ErrorCode::invalid_argument, "pattern \"" + step.name + "\": " + std::move(message)};
}

Status check(const std::vector<Step>& steps) {
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const Step& step = steps[i];
    const bool repeats = step.least != 1 || step.most != 1;
    if (is_absence(step) && (repeats || step.optional || step.greedy || step.until)) {
      return fail(about(step, "what must not be there is neither repeated nor optional"));
    }
    if (is_absence(step) && i == 0) return fail(about(step, "a pattern cannot begin with what must not be there"));
    if (step.most == 0 || step.most < step.least) return fail(about(step, "it must be there a number of times"));
    if (step.until && step.most != PatternSyntax::unbounded) {
      return fail(about(step, "until ends one_or_more and times_or_more, and nothing else"));
    }
    if (step.until && step.greedy) return fail(about(step, "greedy and until cannot be said of the same step"));
    if (step.greedy && !step.group.empty()) return fail(about(step, "a group cannot be greedy"));
    if (step.until && !step.group.empty()) return fail(about(step, "until is not for groups"));
    if (step.group.empty()) continue;
    if (ends_with_absence(step.group)) return fail(about(step, "a group cannot end with what must not be there"));
    if (can_be_empty(step.group)) return fail(about(step, "a group that matches without a row"));
    if (Status inner = check(step.group); !inner) return inner;
  }
  return {};
}

/// Writes the program from its end, a step in each context in which it can be reached.
class StepCompiler {
 public:
  Result<Program> run(const std::vector<Step>& steps) {
    accept_ = emit({});
    program_.start = from({&steps, 0, accept_, true, Wait::none}, {});
    if (too_long_) {
      return fail(ErrorCode::invalid_argument, "the pattern is too long when its repetitions are written out");
    }
    find_first_variables(program_);
    return std::move(program_);
  }

 private:
  /// A step of a list, and what is behind the list.
  struct Place {
    const std::vector<Step>* steps;
    std::size_t at;
    std::uint32_t behind;
    bool is_end;      ///< nothing is behind the list
    Wait first_wait;  ///< of the list's first step
  };
  /// Rows that end a partial match that waits for its next row.
  struct Forbidden {
    Variables any = 0;     ///< until then
    Variables first = 0;   ///< if they come at once
    Variables greedy = 0;  ///< until then: they belong to the greedy step before
    friend auto operator<=>(const Forbidden&, const Forbidden&) = default;
  };

  std::uint32_t emit(const Instruction& instruction) {
    too_long_ = too_long_ || program_.code.size() > most_instructions;
    if (too_long_) return 0;
    program_.code.push_back(instruction);
    return static_cast<std::uint32_t>(program_.code.size() - 1);
  }

  std::uint32_t take(Variable variable, Wait wait, Forbidden forbidden, std::uint32_t next) {
    const std::uint32_t at = emit({.kind = Instruction::Kind::take,
                                   .wait = wait,
                                   .variable = variable,
                                   .forbidden = forbidden.any | forbidden.greedy,
                                   .next = next});
    if (too_long_) return 0;
    program_.code[at].other = at;
    if (forbidden.first == 0) return at;
    Instruction first = program_.code[at];
    first.forbidden |= forbidden.first;
    return emit(first);  // and goes on waiting at the other
  }

  std::uint32_t from(const Place& place, Forbidden forbidden) {
    const auto key = std::tuple{place.steps, place.at, place.behind, place.first_wait, forbidden};
    if (const auto known = known_.find(key); known != known_.end()) return known->second;
    const std::uint32_t entry = compile(place, forbidden);
    known_[key] = entry;
    return entry;
  }

  std::uint32_t compile(Place place, Forbidden forbidden) {
    while (place.at < place.steps->size() && is_absence((*place.steps)[place.at])) {
      const Step& absent = (*place.steps)[place.at++];
      (absent.follows == Follows::not_later ? forbidden.any : forbidden.first) |= only(absent.variable);
    }
    if (place.at < place.steps->size()) return step(place, forbidden);
    if (!place.is_end || (forbidden.any | forbidden.first) == 0) return place.behind;
    const bool one_row = forbidden.any == 0;
    return emit({.kind = Instruction::Kind::hold,
                 .first_row_only = one_row,
                 .forbidden = forbidden.any | forbidden.first | forbidden.greedy,
                 .next = accept_});
  }

  std::uint32_t step(const Place& place, Forbidden forbidden) {
    const Step& step = (*place.steps)[place.at];
    const Wait wait = place.at == 0 ? place.first_wait : wait_of(step.follows);
    Place rest = place;
    ++rest.at;
    const std::uint32_t after = from(rest, {.greedy = step.greedy ? only(step.variable) : 0});
    // Rows that end the whole may come between the step's own rows too.
    Forbidden within;
    for (std::size_t i = rest.at; i < place.steps->size() && is_absence((*place.steps)[i]); ++i) {
      if ((*place.steps)[i].follows == Follows::not_later) within.any |= only((*place.steps)[i].variable);
    }
    Forbidden own = forbidden;
    if (step.until) {
      own.any |= only(*step.until);
      within.any |= only(*step.until);
    }
    const std::uint32_t entry = repeated(step, wait, own, within, after);
    if (!step.optional && step.least != 0) return entry;
    return emit({.kind = Instruction::Kind::split, .next = entry, .other = from(rest, forbidden)});
  }

  /// One round of a step.
  std::uint32_t once(const Step& step, Wait wait, Forbidden forbidden, std::uint32_t next) {
    if (step.group.empty()) return take(step.variable, wait, forbidden, next);
    return from({&step.group, 0, next, false, wait}, forbidden);
  }

  std::uint32_t repeated(const Step& step, Wait wait, Forbidden forbidden, Forbidden within, std::uint32_t after) {
    const std::uint32_t least = std::max(1U, step.least);
    std::uint32_t entry = after;  // of what is behind the first round
    std::uint32_t rounds = least;
    if (step.most == PatternSyntax::unbounded) {
      entry = emit({.kind = Instruction::Kind::split, .other = after});
      const std::uint32_t again = once(step, step.between, within, entry);
      if (too_long_) return 0;
      program_.code[entry].next = again;
    } else {
      for (std::uint32_t i = least; i < step.most; ++i) {
        entry =
            emit({.kind = Instruction::Kind::split, .next = once(step, step.between, within, entry), .other = after});
      }
    }
    for (; rounds > 1 && !too_long_; --rounds) entry = once(step, step.between, within, entry);
    return once(step, wait, forbidden, entry);
  }

  Program program_;
  std::uint32_t accept_ = 0;
  bool too_long_ = false;
  std::map<std::tuple<const std::vector<Step>*, std::size_t, std::uint32_t, Wait, Forbidden>, std::uint32_t> known_;
};

}  // namespace

bool is_open_ended(const std::vector<Step>& steps) {
  return std::any_of(steps.begin(), steps.end(), [](const Step& step) {
    return step.most == PatternSyntax::unbounded || (!is_absence(step) && step.follows != Follows::directly) ||
           step.follows == Follows::not_later || (step.most > 1 && step.between != Wait::none) ||
           is_open_ended(step.group);
  });
}

bool ends_with_absence(const std::vector<Step>& steps) {
  return !steps.empty() && is_absence(steps.back());
}

Result<Program> compile_steps(const std::vector<Step>& steps) {
  if (Status checked = check(steps); !checked) return fail(checked.error());
  if (can_be_empty(steps)) {
    return fail(ErrorCode::invalid_argument, "the pattern matches without a record: one of its steps must be there");
  }
  return StepCompiler{}.run(steps);
}

}  // namespace dataflow::patterns
