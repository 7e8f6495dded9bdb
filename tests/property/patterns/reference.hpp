#pragma once
// Patterns the slow way: from each row on, every way through the pattern is tried in the order of preference, by
// recursion over the pattern as written, with all rows known.

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "libdataflow/patterns/pattern_spec.hpp"
#include "libdataflow/patterns/program.hpp"

namespace dataflow::pattern_tests {

struct ReferenceRow {
  std::string key;
  std::optional<std::int64_t> v;
  std::int64_t bit = 0;  ///< another power of two for each row of a key
  std::int64_t time = 0;
};

/// Rows of a match: places in the key's rows, and variables.
using Mapping = std::vector<std::pair<std::size_t, patterns::Variable>>;

/// Of one key, in order.
using KeyRows = std::vector<ReferenceRow>;

/// Whether the last row of the mapping may be of its variable.
using ReferenceCondition = std::function<bool(const KeyRows&, const Mapping&)>;

struct ReferencePattern {
  patterns::PatternSyntax syntax;
  std::vector<ReferenceCondition> conditions;
  std::optional<std::int64_t> within;
  patterns::AfterMatch after_match = patterns::AfterMatch::past_last_row;
  patterns::Variable skip_to = 0;
};

struct ReferenceResults {
  std::vector<Mapping> matches;
  std::vector<Mapping> timeouts;
};

/// All ways from one row on.
class Ways {
 public:
  Ways(const ReferencePattern& pattern, const KeyRows& rows, std::size_t start) : pattern_{pattern}, rows_{rows} {
    end_ = rows.size();
    if (pattern.within) {
      end_ = start;
      while (end_ < rows.size() && rows[end_].time < rows[start].time + *pattern.within) ++end_;
    }
    part(pattern.syntax, start, true, [this](std::size_t) { add(complete); });
  }

  /// In the order of preference; an incomplete one waits for a row when the time is up.
  std::vector<Mapping> complete;
  std::vector<Mapping> incomplete;
  /// Too many to be looked at.
  bool gave_up = false;

 private:
  using Kind = patterns::PatternSyntax::Kind;
  using Next = std::function<void(std::size_t)>;
  static constexpr std::size_t most = 20'000;

  void add(std::vector<Mapping>& to) {
    gave_up = gave_up || to.size() > most;
    if (!gave_up) to.push_back(mapping_);
  }

  bool is(patterns::Variable variable, std::size_t at) {
    mapping_.emplace_back(at, variable);
    const bool result = pattern_.conditions[variable](rows_, mapping_);
    mapping_.pop_back();
    return result;
  }
  bool is_any(patterns::Variables variables, std::size_t at) {
    for (patterns::Variable v = 0; v < pattern_.conditions.size(); ++v) {
      if ((variables & patterns::only(v)) != 0 && is(v, at)) return true;
    }
    return false;
  }

  void part(const patterns::PatternSyntax& syntax, std::size_t at, bool is_end, const Next& next) {
    if (gave_up) return;
    switch (syntax.kind) {
      case Kind::row: {
        patterns::Variable variable = 0;
        while (syntax.variables != patterns::only(variable)) ++variable;
        if (at == end_) return add(incomplete);
        if (!is(variable, at)) return;
        mapping_.emplace_back(at, variable);
        next(at + 1);
        mapping_.pop_back();
        return;
      }
      case Kind::sequence: return sequence(syntax.children, 0, at, is_end, next);
      case Kind::alternation:
        for (const patterns::PatternSyntax& child : syntax.children) part(child, at, is_end, next);
        return;
      case Kind::repeat: return repeat(syntax, 0, at, next);
      case Kind::absence: return sequence({syntax}, 0, at, is_end, next);
    }
  }

  void sequence(const std::vector<patterns::PatternSyntax>& parts, std::size_t from, std::size_t at, bool is_end,
                const Next& next) {
    if (from == parts.size()) return next(at);
    if (parts[from].kind != Kind::absence) {
      const bool last = from + 1 == parts.size();
      return part(parts[from], at, is_end && last,
                  [&, from](std::size_t after) { sequence(parts, from + 1, after, is_end, next); });
    }
    patterns::Variables absent = 0;
    std::size_t behind = from;
    while (behind < parts.size() && parts[behind].kind == Kind::absence) absent |= parts[behind++].variables;
    if (behind == parts.size() && is_end) {
      for (std::size_t row = at; row < end_; ++row) {
        if (is_any(absent, row)) return;
      }
      return next(end_);
    }
    for (std::size_t row = at;; ++row) {
      sequence(parts, behind, row, is_end, next);
      if (row == end_ || is_any(absent, row)) return;
    }
  }

  void repeat(const patterns::PatternSyntax& syntax, std::uint32_t done, std::size_t at, const Next& next) {
    const auto again = [&] {
      if (done == syntax.most) return;
      part(syntax.children.front(), at, false, [&](std::size_t after) { repeat(syntax, done + 1, after, next); });
    };
    const auto leave = [&] {
      if (done >= syntax.least) next(at);
    };
    if (syntax.reluctant) leave();
    again();
    if (!syntax.reluctant) leave();
  }

  const ReferencePattern& pattern_;
  const KeyRows& rows_;
  std::size_t end_ = 0;
  Mapping mapping_;
};

/// Nothing when there are too many ways.
inline std::optional<ReferenceResults> reference_results(const ReferencePattern& pattern, const KeyRows& rows) {
  using patterns::AfterMatch;
  ReferenceResults results;
  std::size_t from = 0;  // rows before it begin no match
  for (std::size_t start = 0; start < rows.size(); ++start) {
    if (start < from) continue;
    Ways ways{pattern, rows, start};
    if (ways.gave_up) return std::nullopt;
    if (!pattern.within) ways.incomplete.clear();
    std::erase_if(ways.incomplete, [](const Mapping& mapping) { return mapping.empty(); });
    if (pattern.after_match == AfterMatch::no_skip) {
      results.matches.insert(results.matches.end(), ways.complete.begin(), ways.complete.end());
      results.timeouts.insert(results.timeouts.end(), ways.incomplete.begin(), ways.incomplete.end());
      continue;
    }
    if (ways.complete.empty()) {
      if (!ways.incomplete.empty()) results.timeouts.push_back(ways.incomplete.front());
      continue;
    }
    const Mapping& match = ways.complete.front();
    results.matches.push_back(match);
    from = start + 1;
    if (pattern.after_match == AfterMatch::past_last_row) from = match.back().first + 1;
    if (pattern.after_match != AfterMatch::first_of && pattern.after_match != AfterMatch::last_of) continue;
    std::optional<std::size_t> target;
    for (const auto& [row, variable] : match) {
      if (variable == pattern.skip_to && (!target || pattern.after_match == AfterMatch::last_of)) target = row;
    }
    if (target) from = std::max(from, *target);
  }
  return results;
}

}  // namespace dataflow::pattern_tests
