#include "libdataflow/patterns/expression_logic.hpp"

#include <algorithm>
#include <cassert>

#include "libdataflow/windows/aggregates/accumulator.hpp"

namespace dataflow::patterns {

namespace {

using windows::AccumulatorPtr;

/// Computes one term for each match of a list.
class TermReader {
 public:
  explicit TermReader(const Term& term) : term_{&term} {
    if (!term.call) return;
    accumulator_ = windows::make_accumulator(*term.call);
    accumulator_->place(0);
  }

  /// Errors: arithmetic, for a sum that overflows.
  Result<ColumnPtr> read(const MatchList& matches, std::span<const RowId> before) {
    if (term_->kind == Term::Kind::aggregate) return aggregate(matches);
    ColumnBuilder out{term_->type, matches.size()};
    for (std::size_t i = 0; i < matches.size(); ++i) {
      const RowId row = find(matches[i], before);
      if (row == no_row) {
        out.append_null();
      } else {
        matches.rows->append_to(*term_->column, row, out);
      }
    }
    return out.finish();
  }

 private:
  [[nodiscard]] bool is_of_term(const MatchedRow& matched) const {
    return (term_->variables & only(matched.variable)) != 0;
  }

  [[nodiscard]] RowId find(std::span<const MatchedRow> match, std::span<const RowId> before) const {
    std::uint32_t left = term_->offset;
    switch (term_->kind) {
      case Term::Kind::previous: return left <= before.size() ? before[before.size() - left] : no_row;
      case Term::Kind::first:
        for (const MatchedRow& matched : match) {
          if (is_of_term(matched) && left-- == 0) return matched.row;
        }
        return no_row;
      default:
        for (std::size_t i = match.size(); i-- > 0;) {
          if (is_of_term(match[i]) && left-- == 0) return match[i].row;
        }
        return no_row;
    }
  }

  Result<ColumnPtr> aggregate(const MatchList& matches) {
    const std::size_t bytes = accumulator_->state_bytes();
    states_.resize(std::max(states_.size(), (matches.size() * bytes + 7) / 8));
    auto* const states = reinterpret_cast<std::byte*>(states_.data());
    std::vector<const std::byte*> all;
    for (std::size_t i = 0; i < matches.size(); ++i) {
      accumulator_->init(states + i * bytes);
      all.push_back(states + i * bytes);
    }
    const std::optional<ColumnPtr> values = values_of(matches, states);
    const windows::StateRows rows{targets_.data(), nullptr, targets_.size(), 1};
    ColumnBuilder out{term_->type, matches.size()};
    const bool fits = accumulator_->update(rows, values ? values->get() : nullptr) &&
                      accumulator_->append_results(all.data(), all.size(), out);
    if (accumulator_->owns_memory()) {
      for (std::size_t i = 0; i < matches.size(); ++i) accumulator_->release(states + i * bytes);
    }
    if (fits) return out.finish();
    return fail(ErrorCode::arithmetic, term_->call->text + " overflows " + to_string(term_->type));
  }

  /// What is aggregated, and for each value the state it goes to. No column for count().
  std::optional<ColumnPtr> values_of(const MatchList& matches, std::byte* states) {
    targets_.clear();
    std::optional<ColumnBuilder> values;
    if (term_->column) values.emplace(term_->call->argument->type(), matches.matched.size());
    for (std::size_t i = 0; i < matches.size(); ++i) {
      for (const MatchedRow& matched : matches[i]) {
        if (!is_of_term(matched)) continue;
        if (term_->filter && !matches.rows->is_true(*term_->filter, matched.row)) continue;
        if (values) {
          if (matches.rows->is_null(*term_->column, matched.row)) continue;
          matches.rows->append_to(*term_->column, matched.row, *values);
        }
        targets_.push_back(states + i * accumulator_->state_bytes());
      }
    }
    return values ? std::optional{values->finish()} : std::nullopt;
  }

  const Term* term_;
  AccumulatorPtr accumulator_;
  std::vector<std::uint64_t> states_;  ///< scratch: words, so that they are aligned
  std::vector<std::byte*> targets_;
};

/// One MatchExpression over lists of matches.
class MatchEvaluator {
 public:
  explicit MatchEvaluator(const MatchExpression& expression) : expression_{&expression} {
    for (const Term& term : expression.terms) readers_.emplace_back(term);
  }

  Result<EvalResult> evaluate(const MatchList& matches, std::span<const RowId> before, EvalContext& context) {
    std::vector<ColumnPtr> columns;
    columns.reserve(readers_.size());
    for (TermReader& reader : readers_) {
      auto column = reader.read(matches, before);
      if (!column) return fail(column.error());
      columns.push_back(std::move(*column));
    }
    const Batch terms{expression_->schema, static_cast<std::uint32_t>(matches.size()), std::move(columns)};
    return expression_->result.evaluate(terms, context);
  }

 private:
  const MatchExpression* expression_;
  std::vector<TermReader> readers_;
};

/// Errors of several expressions over the same rows: ascending, the first one of each row.
void sort_errors(std::vector<RowError>& errors) {
  std::stable_sort(errors.begin(), errors.end(), [](const RowError& a, const RowError& b) { return a.row < b.row; });
  const auto same_row = [](const RowError& a, const RowError& b) { return a.row == b.row; };
  errors.erase(std::unique(errors.begin(), errors.end(), same_row), errors.end());
}

class ExpressionLogic final : public PatternLogic {
 public:
  explicit ExpressionLogic(std::shared_ptr<const ExpressionPattern> pattern) : pattern_{std::move(pattern)} {
    conditions_.resize(pattern_->definitions.size());
    for (std::size_t i = 0; i < conditions_.size(); ++i) {
      if (const auto& of_match = pattern_->definitions[i].of_match) conditions_[i].emplace(*of_match);
    }
    for (const Measure& measure : pattern_->measures) measures_.emplace_back(measure.expression);
  }

  [[nodiscard]] std::vector<DataType> kept_types() const override {
    std::vector<DataType> types;
    for (const Expression& expression : pattern_->kept.expressions()) types.push_back(expression.type());
    return types;
  }
  [[nodiscard]] Variables looking_back() const override {
    Variables found = 0;
    for (Variable v = 0; v < conditions_.size(); ++v) found |= conditions_[v] ? only(v) : 0;
    return found;
  }
  [[nodiscard]] std::uint32_t rows_before() const override { return pattern_->rows_before; }

  Status load(const Batch& batch, Timestamp now, LoadedRows& loaded, std::vector<RowError>& errors) override {
    eval_.processing_time = now;
    loaded.conditions.assign(batch.rows(), 0);
    for (Variable v = 0; v < conditions_.size(); ++v) {
      if (conditions_[v]) continue;
      const std::size_t known = errors.size();
      selected_.clear();
      pattern_->definitions[v].of_row->select(batch, eval_, selected_, errors);
      for (const std::uint32_t row : selected_) loaded.conditions[row] |= only(v);
      for (std::size_t i = known; i < errors.size(); ++i) {
        errors[i].message = pattern_->names[v] + ": " + errors[i].message;
      }
    }
    loaded.kept.clear();
    for (const Expression& expression : pattern_->kept.expressions()) {
      EvalResult value = expression.evaluate(batch, eval_);
      loaded.kept.push_back(std::move(value.column));
      errors.insert(errors.end(), std::make_move_iterator(value.errors.begin()),
                    std::make_move_iterator(value.errors.end()));
    }
    sort_errors(errors);
    return {};
  }

  Result<bool> holds(Variable variable, const MatchList& match, std::span<const RowId> before, Timestamp now) override {
    eval_.processing_time = now;
    auto value = conditions_[variable]->evaluate(match, before, eval_);
    if (!value) return fail(value.error().within(pattern_->names[variable]));
    if (!value->errors.empty()) {
      return fail(ErrorCode::arithmetic, pattern_->names[variable] + ": " + value->errors.front().message);
    }
    return !value->column->is_null(0) && value->column->as<std::uint8_t>()[0] != 0;
  }

  Result<MatchResults> results(const MatchList& matches, Timestamp now, bool /*timed_out*/) override {
    eval_.processing_time = now;
    MatchResults results;
    for (std::size_t i = 0; i < measures_.size(); ++i) {
      const std::string& name = pattern_->measures[i].name;
      auto value = measures_[i].evaluate(matches, {}, eval_);
      if (!value) return fail(value.error().within(name));
      results.columns.push_back(std::move(value->column));
      for (RowError& error : value->errors) results.errors.push_back({error.row, name + ": " + error.message});
    }
    sort_errors(results.errors);
    for (std::uint32_t match = 0; match < matches.size(); ++match) results.matches.push_back(match);
    return results;
  }

 private:
  std::shared_ptr<const ExpressionPattern> pattern_;
  std::vector<std::optional<MatchEvaluator>> conditions_;  ///< of the variables that look back
  std::vector<MatchEvaluator> measures_;
  EvalContext eval_;
  std::vector<std::uint32_t> selected_;
};

}  // namespace

std::unique_ptr<PatternLogic> make_expression_logic(std::shared_ptr<const ExpressionPattern> pattern) {
  return std::make_unique<ExpressionLogic>(std::move(pattern));
}

std::vector<std::size_t> fields_read(const ExpressionPattern& pattern) {
  std::vector<std::size_t> fields;
  const auto add = [&](const Expression& expression) {
    for (const std::size_t field : expression.fields_used()) fields.push_back(field);
  };
  for (const Definition& definition : pattern.definitions) {
    if (definition.of_row) add(*definition.of_row);
  }
  for (const Expression& expression : pattern.kept.expressions()) add(expression);
  return fields;
}

}  // namespace dataflow::patterns
