#pragma once
// Patterns over the records of a key, step by step, as Flink CEP's builder
// (https://nightlies.apache.org/flink/flink-docs-stable/docs/libs/cep/):
//
//     auto pattern = df::Pattern<Payment>::begin("small").where([](const Payment& p) { return p.amount < 1; })
//                        .one_or_more().consecutive()
//                        .next("large").where([](const Payment& p) { return p.amount > 500; })
//                        .within(5min);
//     payments.key_by(&Payment::card)
//             .pattern(pattern)
//             .select([](const df::Match<Payment>& m) { return Alert{m.last("large")->card, m.count("small")}; })
//             .named("suspicious")
//
// Records are matched in the order of event time, once the watermark has passed them. Every match is given, unless
// after_match says otherwise.

#include <concepts>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dataflow/kernels.hpp"
#include "dataflow/plan.hpp"
#include "dataflow/record.hpp"
#include "libdataflow/patterns/pattern_logic.hpp"
#include "libdataflow/patterns/pattern_spec.hpp"
#include "libdataflow/patterns/steps.hpp"

namespace dataflow {

/// Which matches are still given after one was found: those that `kind` does not skip.
struct AfterMatchSkip {
  patterns::AfterMatch kind = patterns::AfterMatch::no_skip;
  std::string step;  ///< of skip_to_first and skip_to_last
};
/// All of them: the default.
inline AfterMatchSkip no_skip() {
  return {};
}
/// None that begins with the same record.
inline AfterMatchSkip skip_to_next() {
  return {patterns::AfterMatch::next_row, {}};
}
/// None that begins before or with the match's last record.
inline AfterMatchSkip skip_past_last() {
  return {patterns::AfterMatch::past_last_row, {}};
}
/// None that begins before the match's first, or last, record of a step.
inline AfterMatchSkip skip_to_first(std::string step) {
  return {patterns::AfterMatch::first_of, std::move(step)};
}
inline AfterMatchSkip skip_to_last(std::string step) {
  return {patterns::AfterMatch::last_of, std::move(step)};
}

/// The records of a match in their order, each with the step that it was taken for. Only valid during the call.
template <class T>
class Match {
 public:
  Match(std::vector<T> records, std::vector<patterns::Variable> steps, const std::vector<std::string>& names)
      : records_{std::move(records)}, steps_{std::move(steps)}, names_{&names} {}

  [[nodiscard]] std::size_t size() const { return records_.size(); }
  [[nodiscard]] const T& operator[](std::size_t i) const { return records_[i]; }
  [[nodiscard]] const std::vector<T>& all() const { return records_; }
  [[nodiscard]] const std::string& step(std::size_t i) const { return (*names_)[steps_[i]]; }

  /// Null when the step has none.
  [[nodiscard]] const T* first(std::string_view step_name) const {
    for (std::size_t i = 0; i < size(); ++i) {
      if (step(i) == step_name) return &records_[i];
    }
    return nullptr;
  }
  [[nodiscard]] const T* last(std::string_view step_name) const {
    for (std::size_t i = size(); i-- > 0;) {
      if (step(i) == step_name) return &records_[i];
    }
    return nullptr;
  }
  [[nodiscard]] std::size_t count(std::string_view step_name) const {
    std::size_t n = 0;
    for (std::size_t i = 0; i < size(); ++i) n += step(i) == step_name ? 1 : 0;
    return n;
  }
  [[nodiscard]] std::vector<T> all(std::string_view step_name) const {
    std::vector<T> found;
    for (std::size_t i = 0; i < size(); ++i) {
      if (step(i) == step_name) found.push_back(records_[i]);
    }
    return found;
  }

 private:
  std::vector<T> records_;
  std::vector<patterns::Variable> steps_;
  const std::vector<std::string>* names_;
};

/// When a record is taken for a step: for one of the alternatives all must hold.
template <class T>
struct StepCondition {
  using OfRow = std::function<std::shared_ptr<const RowFilterFactory>(const std::vector<std::uint16_t>& positions)>;
  struct Part {
    OfRow of_row;  ///< empty: it looks at the match so far
    std::function<bool(const T&, const Match<T>&)> of_match;
  };
  std::vector<std::vector<Part>> alternatives{{}};

  [[nodiscard]] bool looks_back() const {
    for (const auto& all : alternatives) {
      for (const Part& part : all) {
        if (!part.of_row) return true;
      }
    }
    return false;
  }
  [[nodiscard]] bool holds(const T& record, const Match<T>& so_far) const {
    for (const auto& all : alternatives) {
      bool every = true;
      for (const Part& part : all) every = every && part.of_match(record, so_far);
      if (every) return true;
    }
    return false;
  }
};

/// What a pattern is made of, whatever its records are.
struct PatternSteps {
  std::vector<patterns::Step> steps;
  std::vector<std::string> names;  ///< by variable; empty: an `until`
  std::optional<Duration> within;
  AfterMatchSkip after_match;
  std::vector<std::string> mistakes;
};

template <class T>
class Pattern {
 public:
  static_assert(fields_own<T>(),
                "what a pattern keeps of records must own its bytes: std::string instead of std::string_view");

  /// The first step.
  static Pattern begin(std::string name) {
    Pattern pattern;
    pattern.add(std::move(name), patterns::Follows::directly);
    return pattern;
  }
  /// Several steps as one, which can be repeated and optional as a whole.
  static Pattern begin(const Pattern& group) {
    Pattern pattern;
    pattern.add(group, patterns::Follows::directly);
    return pattern;
  }

  /// The record that directly follows.
  Pattern& next(std::string name) { return add(std::move(name), patterns::Follows::directly); }
  Pattern& next(const Pattern& group) { return add(group, patterns::Follows::directly); }
  /// The first record from there on that the conditions hold for.
  Pattern& followed_by(std::string name) { return add(std::move(name), patterns::Follows::later); }
  Pattern& followed_by(const Pattern& group) { return add(group, patterns::Follows::later); }
  /// Any record from there on that they hold for.
  Pattern& followed_by_any(std::string name) { return add(std::move(name), patterns::Follows::later_any); }
  Pattern& followed_by_any(const Pattern& group) { return add(group, patterns::Follows::later_any); }
  /// The record that directly follows must not be one.
  Pattern& not_next(std::string name) { return add(std::move(name), patterns::Follows::not_directly); }
  /// None of the records up to the next step, or to the end of `within`, may be one.
  Pattern& not_followed_by(std::string name) { return add(std::move(name), patterns::Follows::not_later); }

  /// A condition on the step named last: bool(const T&), or bool(const T&, const Match<T>& so_far), which is asked for
  /// each partial match. Several must all hold.
  template <class F>
  Pattern& where(F condition) {
    condition_of_last().alternatives.back().push_back(part(std::move(condition)));
    return *this;
  }
  /// Or this one instead of those before.
  template <class F>
  Pattern& or_where(F condition) {
    condition_of_last().alternatives.push_back({part(std::move(condition))});
    return *this;
  }
  /// A record for which this holds ends one_or_more and times_or_more.
  template <class F>
  Pattern& until(F condition) {
    last().until = add_variable({});
    conditions_.back().alternatives.back().push_back(part(std::move(condition)));
    return *this;
  }

  Pattern& times(std::uint32_t n) { return times(n, n); }
  Pattern& times(std::uint32_t from, std::uint32_t to) {
    last().least = from;
    last().most = to;
    return *this;
  }
  Pattern& times_or_more(std::uint32_t n) { return times(n, patterns::PatternSyntax::unbounded); }
  Pattern& one_or_more() { return times_or_more(1); }
  Pattern& optional() {
    last().optional = true;
    return *this;
  }
  /// Records that the repeated step can take go to no step behind it.
  Pattern& greedy() {
    last().greedy = true;
    return *this;
  }
  /// The repeated step's records follow each other directly.
  Pattern& consecutive() {
    last().between = Wait::none;
    return *this;
  }
  /// Of the records that the repeated step could take, some may be left out.
  Pattern& allow_combinations() {
    last().between = Wait::always;
    return *this;
  }

  /// A match's last record comes less than this after its first one.
  Pattern& within(Duration time) {
    all_.within = time;
    return *this;
  }
  Pattern& after_match(AfterMatchSkip skip) {
    all_.after_match = std::move(skip);
    return *this;
  }

  [[nodiscard]] const PatternSteps& steps() const { return all_; }
  [[nodiscard]] const std::vector<StepCondition<T>>& conditions() const { return conditions_; }

 private:
  using Wait = patterns::Wait;
  using Condition = StepCondition<T>;
  using Part = typename Condition::Part;

  Pattern() = default;

  patterns::Step& last() { return all_.steps.back(); }
  Condition& condition_of_last() {
    if (last().group.empty()) return conditions_[last().variable];
    all_.mistakes.emplace_back("a group has no condition of its own: say where(...) of its steps");
    return ignored_;
  }

  patterns::Variable add_variable(std::string name) {
    all_.names.push_back(std::move(name));
    conditions_.emplace_back();
    return static_cast<patterns::Variable>(conditions_.size() - 1);
  }
  Pattern& add(std::string name, patterns::Follows follows) {
    patterns::Step step{.name = name, .follows = follows};
    step.variable = add_variable(std::move(name));
    all_.steps.push_back(std::move(step));
    return *this;
  }
  Pattern& add(const Pattern& group, patterns::Follows follows) {
    patterns::Step step{.name = "(" + group.all_.steps.front().name + " ...)", .follows = follows};
    step.group = group.all_.steps;
    renumber(step.group, static_cast<patterns::Variable>(conditions_.size()));
    all_.names.insert(all_.names.end(), group.all_.names.begin(), group.all_.names.end());
    conditions_.insert(conditions_.end(), group.conditions_.begin(), group.conditions_.end());
    all_.mistakes.insert(all_.mistakes.end(), group.all_.mistakes.begin(), group.all_.mistakes.end());
    all_.steps.push_back(std::move(step));
    return *this;
  }
  static void renumber(std::vector<patterns::Step>& steps, patterns::Variable by) {
    for (patterns::Step& step : steps) {
      step.variable += by;
      if (step.until) *step.until += by;
      renumber(step.group, by);
    }
  }

  template <class F>
  static Part part(F condition) {
    if constexpr (std::is_invocable_r_v<bool, F&, const T&>) {
      using Piece = PieceFactory<RowFilterFactory, LambdaFilter<T, F>, F, std::vector<std::uint16_t>>;
      return {.of_row = [condition](const std::vector<std::uint16_t>& positions)
                  -> std::shared_ptr<const RowFilterFactory> { return std::make_shared<Piece>(condition, positions); },
              .of_match = [condition](const T& record, const Match<T>&) mutable { return condition(record); }};
    } else {
      static_assert(std::is_invocable_r_v<bool, F&, const T&, const Match<T>&>,
                    "a condition of a pattern takes (const T&) or (const T&, const Match<T>&) and returns bool");
      return {.of_row = {}, .of_match = std::move(condition)};
    }
  }

  PatternSteps all_;
  std::vector<Condition> conditions_;
  Condition ignored_;
};

/// The kept rows of a list of matches as a batch of records.
BatchPtr kept_batch(const patterns::KeptRows& rows, std::span<const patterns::MatchedRow> matched,
                    const SchemaPtr& schema);

/// A result for each match that a function makes.
template <class T, class F>
class MatchFunction {
 public:
  using Result = std::remove_cvref_t<std::invoke_result_t<F&, const Match<T>&>>;

  explicit MatchFunction(F function) : function_{std::move(function)}, rows_{schema_of<Result>()} {}
  void add(const Match<T>& match) {
    put_record<Result>(rows_, function_(match));
    rows_.end_row();
  }
  [[nodiscard]] BatchPtr finish() { return rows_.finish(); }

 private:
  F function_;
  RowBuffer rows_;
};

/// Stands where nobody asks for what ran out of time.
struct NoTimeouts {};

/// What a Pattern<T> means to the engine.
template <class T, class F, class G>
class TypedPatternLogic final : public patterns::PatternLogic {
  static constexpr bool has_timeouts = !std::is_same_v<G, NoTimeouts>;

 public:
  TypedPatternLogic(const Pattern<T>& pattern, std::vector<std::uint16_t> positions, F select, G on_timeout)
      : names_{pattern.steps().names},
        conditions_{pattern.conditions()},
        positions_{std::move(positions)},
        select_{std::move(select)} {
    if constexpr (has_timeouts) on_timeout_.emplace(std::move(on_timeout));
    for (const StepCondition<T>& condition : conditions_) {
      auto& filters = filters_.emplace_back();
      if (condition.looks_back()) continue;
      for (const auto& all : condition.alternatives) {
        auto& chain = filters.emplace_back();
        for (const auto& part : all) chain.push_back(part.of_row(positions_)->create());
      }
    }
  }

  [[nodiscard]] std::vector<DataType> kept_types() const override {
    std::vector<DataType> types;
    for (const Field& field : schema_of<T>()->fields()) types.push_back(field.type);
    return types;
  }
  [[nodiscard]] patterns::Variables looking_back() const override {
    patterns::Variables found = 0;
    for (std::size_t v = 0; v < conditions_.size(); ++v) {
      if (conditions_[v].looks_back()) found |= patterns::only(static_cast<patterns::Variable>(v));
    }
    return found;
  }

  Status load(const Batch& batch, Timestamp, patterns::LoadedRows& loaded, std::vector<RowError>&) override {
    loaded.conditions.assign(batch.rows(), 0);
    for (std::size_t v = 0; v < filters_.size(); ++v) {
      for (auto& chain : filters_[v]) {
        RowSelection rows{.count = batch.rows()};
        for (auto& filter : chain) {
          if (Status narrowed = filter->narrow(batch, rows); !narrowed) return narrowed;
        }
        const std::uint32_t* const chosen = rows.indices();
        for (std::uint32_t i = 0; i < rows.count; ++i) {
          loaded.conditions[chosen == nullptr ? i : chosen[i]] |= patterns::only(static_cast<patterns::Variable>(v));
        }
      }
    }
    loaded.kept.clear();
    for (const std::uint16_t position : positions_) loaded.kept.push_back(batch.columns()[position]);
    return {};
  }

  Result<bool> holds(patterns::Variable variable, const patterns::MatchList& match, std::span<const patterns::RowId>,
                     Timestamp) override {
    std::vector<T> records;
    if (Status read = append_records(*kept_batch(*match.rows, match.matched, schema_of<T>()), records); !read) {
      return fail(read.error());
    }
    const T current = std::move(records.back());
    records.pop_back();
    std::vector<patterns::Variable> steps;
    for (std::size_t i = 0; i < records.size(); ++i) steps.push_back(match.matched[i].variable);
    try {
      return conditions_[variable].holds(current, Match<T>{std::move(records), std::move(steps), names_});
    } catch (...) {
      return fail(error_of_current_exception("in the condition of step \"" + names_[variable] + "\""));
    }
  }

  Result<patterns::MatchResults> results(const patterns::MatchList& matches, Timestamp, bool timed_out) override {
    if (!timed_out) return results_of(matches, select_);
    if constexpr (has_timeouts) {
      return results_of(matches, *on_timeout_);
    } else {
      return patterns::MatchResults{};
    }
  }

 private:
  template <class Function>
  Result<patterns::MatchResults> results_of(const patterns::MatchList& matches, Function& function) {
    std::vector<T> records;
    if (Status read = append_records(*kept_batch(*matches.rows, matches.matched, schema_of<T>()), records); !read) {
      return fail(read.error());
    }
    patterns::MatchResults results;
    std::size_t next = 0;
    for (std::size_t i = 0; i < matches.size(); ++i) {
      std::vector<T> own;
      std::vector<patterns::Variable> steps;
      for (const patterns::MatchedRow& matched : matches[i]) {
        own.push_back(std::move(records[next++]));
        steps.push_back(matched.variable);
      }
      try {
        function.add(Match<T>{std::move(own), std::move(steps), names_});
      } catch (...) {
        return fail(error_of_current_exception("in the function over a match"));
      }
      results.matches.push_back(static_cast<std::uint32_t>(i));
    }
    results.columns = function.finish()->columns();
    return results;
  }

  std::vector<std::string> names_;
  std::vector<StepCondition<T>> conditions_;
  std::vector<std::uint16_t> positions_;
  std::vector<std::vector<std::vector<std::unique_ptr<RowFilter>>>> filters_;  ///< by variable and alternative
  MatchFunction<T, F> select_;
  std::optional<std::conditional_t<has_timeouts, MatchFunction<T, G>, NoTimeouts>> on_timeout_;
};

/// A pattern over a stream, whose results are still to be said.
struct PatternDraft {
  PatternSteps pattern;
  SchemaPtr results;
  SchemaPtr timeouts;  ///< null: nobody asks for them
  std::vector<std::uint16_t> reads;
  std::function<std::unique_ptr<patterns::PatternLogic>()> make_logic;
};
NodeId add_pattern(Plan& plan, const StreamInfo& stream, PatternDraft draft, const Plan::Place& where);

}  // namespace dataflow
