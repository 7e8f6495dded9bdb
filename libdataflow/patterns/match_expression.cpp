#include "libdataflow/patterns/match_expression.hpp"

#include <algorithm>
#include <map>

#include "libdataflow/expressions/compiler.hpp"
#include "libdataflow/expressions/parser.hpp"
#include "libdataflow/expressions/suggestion.hpp"

namespace dataflow::patterns {

namespace {

using expr::Span;
using expr::Syntax;
using expr::SyntaxPtr;
using expr::TokenKind;

/// Rows further before the current one are not asked for.
constexpr double most_offset = 1000;

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(' ');
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(' ') + 1 - first);
}

bool is_named(const expr::Call& call, std::string_view name) {
  return !call.name.quoted && expr::same_word(call.name.text, name);
}

bool is_match_function(const expr::Call& call) {
  return is_named(call, "prev") || expr::is_aggregate(call.name.text);
}

}  // namespace

std::size_t KeptColumns::add(const Expression& expression) {
  for (std::size_t i = 0; i < expressions_.size(); ++i) {
    const Expression& known = expressions_[i];
    if (trimmed(known.text()) == trimmed(expression.text()) && known.type() == expression.type()) return i;
  }
  expressions_.push_back(expression);
  return expressions_.size() - 1;
}

/// Takes one text apart. Names such as `a.x` become `  x`, and what was in front is remembered by its place: so the
/// parser sees SQL, and every place stays what it is in the text.
class TermExtraction {
 public:
  TermExtraction(MatchExpressions& all, std::string_view text, std::optional<Variable> defined)
      : all_{all}, text_{text}, defined_{defined} {}

  tl::expected<Definition, ExpressionError> definition() {
    if (!parse()) return tl::unexpected(*error_);
    if (!looks_back(*syntax_)) {
      expr::SyntaxPtr row = std::move(syntax_);
      auto compiled = ExpressionCompiler{all_.input_, all_.input_name_}.compile_condition(*row, text_, "a definition");
      if (!compiled) return tl::unexpected(compiled.error());
      return Definition{std::move(*compiled), std::nullopt};
    }
    if (!replace(syntax_)) return tl::unexpected(*error_);
    const SchemaPtr schema = term_schema();
    auto compiled = ExpressionCompiler{*schema, ""}.compile_condition(*syntax_, text_, "a definition");
    if (!compiled) return tl::unexpected(compiled.error());
    return Definition{std::nullopt, MatchExpression{std::move(terms_), schema, std::move(*compiled)}};
  }

  tl::expected<MatchExpression, ExpressionError> measure() {
    if (!parse() || !replace(syntax_)) return tl::unexpected(*error_);
    const SchemaPtr schema = term_schema();
    auto compiled = ExpressionCompiler{*schema, ""}.compile(*syntax_, text_);
    if (!compiled) return tl::unexpected(compiled.error());
    return MatchExpression{std::move(terms_), schema, std::move(*compiled)};
  }

 private:
  bool fail(Span span, std::string message, std::string suggestion = {}) {
    error_ = ExpressionError{span.offset, span.length, std::move(message), std::move(suggestion)};
    return false;
  }
  bool fail(const ExpressionError& error) {
    error_ = error;
    return false;
  }

  bool parse() {
    const auto tokens = expr::tokenize(text_);
    if (!tokens) return fail(tokens.error());
    for (std::size_t i = 0; i + 2 < tokens->size(); ++i) {
      const expr::Token& name = (*tokens)[i];
      const expr::Token& after = (*tokens)[i + 2];
      const bool is_name = name.kind == TokenKind::word && (*tokens)[i + 1].kind == TokenKind::dot;
      const bool has_part =
          after.kind == TokenKind::word || after.kind == TokenKind::quoted_word || after.kind == TokenKind::star;
      if (!is_name || !has_part || (i > 0 && (*tokens)[i - 1].kind == TokenKind::dot)) continue;
      if (!qualifier(name, after)) return false;
    }
    auto syntax = expr::parse_expression(text_);
    if (!syntax) return fail(syntax.error());
    syntax_ = std::move(*syntax);
    return true;
  }

  /// `name.` in front of `after`.
  bool qualifier(const expr::Token& name, const expr::Token& after) {
    const auto& variables = all_.variables_;
    const auto found = std::find(variables.begin(), variables.end(), name.text);
    if (found != variables.end()) {
      qualifiers_[after.span.offset] = static_cast<Variable>(found - variables.begin());
      std::fill(text_.begin() + name.span.offset, text_.begin() + after.span.offset, ' ');
      return true;
    }
    // `payments.amount`, with the input's name, is the column of any row.
    if (name.text == all_.input_name_ || all_.input_.find(name.text + "." + after.text)) return true;
    const std::string near = nearest_name(name.text, variables);
    return fail(name.span, "the pattern has no variable \"" + name.text + "\"",
                near.empty() ? "" : "did you mean \"" + near + "\"?");
  }

  /// The variable in front of a column.
  [[nodiscard]] std::optional<Variable> variable_of(const Syntax& column) const {
    const auto found = qualifiers_.find(column.span.offset);
    return found == qualifiers_.end() ? std::nullopt : std::optional{found->second};
  }

  bool looks_back(Syntax& syntax) {
    if (const auto* call = std::get_if<expr::Call>(&syntax.node); call != nullptr && is_match_function(*call)) {
      return true;
    }
    if (std::holds_alternative<expr::ColumnName>(syntax.node)) {
      const auto variable = variable_of(syntax);
      return variable && variable != defined_;
    }
    bool any = false;
    expr::for_each_child(syntax, [&](SyntaxPtr& child) { any = any || looks_back(*child); });
    return any;
  }

  /// `part` of the text at its place, and nothing else.
  [[nodiscard]] std::string alone(Span part) const {
    std::string padded(text_.size(), ' ');
    std::copy_n(text_.begin() + part.offset, part.length, padded.begin() + part.offset);
    return padded;
  }

  bool replace(SyntaxPtr& syntax) {
    if (auto* call = std::get_if<expr::Call>(&syntax->node); call != nullptr && is_match_function(*call)) {
      Term term;
      if (!variables_within(*syntax, term)) return false;
      const bool good = is_named(*call, "prev") || is_named(*call, "first") || is_named(*call, "last")
                            ? navigation(syntax->span, *call, term)
                            : aggregate(syntax->span, term);
      return good && take(syntax, std::move(term));
    }
    if (std::holds_alternative<expr::ColumnName>(syntax->node)) {
      Term term;
      const auto variable = variable_of(*syntax);
      if (variable && variable != defined_) term.variables = only(*variable);
      return keep(alone(syntax->span), term) && take(syntax, std::move(term));
    }
    bool fine = true;
    expr::for_each_child(*syntax, [&](SyntaxPtr& child) { fine = fine && replace(child); });
    return fine;
  }

  /// Of which variable the columns within a call are: one, or none is said.
  bool variables_within(Syntax& call, Term& term) {
    std::optional<Variable> variable;
    bool first = true;
    const auto seen = [&](Span span, std::optional<Variable> here) {
      if (!first && here != variable) {
        return fail(span, "columns of several variables in one call",
                    "a call looks at the rows of one variable, or, without its name, at all rows of the match");
      }
      first = false;
      variable = here;
      return true;
    };
    const auto& node = std::get<expr::Call>(call.node);
    if (node.star) {
      const auto found = qualifiers_.lower_bound(call.span.offset);
      const bool inside = found != qualifiers_.end() && found->first < call.span.end();
      if (!seen(call.span, inside ? std::optional{found->second} : std::nullopt)) return false;
    }
    if (!columns_within(call, seen)) return false;
    if (variable) term.variables = only(*variable);
    return true;
  }

  template <class Seen>
  bool columns_within(Syntax& syntax, Seen&& seen) {
    if (std::holds_alternative<expr::ColumnName>(syntax.node)) return seen(syntax.span, variable_of(syntax));
    bool fine = true;
    expr::for_each_child(syntax, [&](SyntaxPtr& child) { fine = fine && columns_within(*child, seen); });
    return fine;
  }

  /// first, last, prev.
  bool navigation(Span span, const expr::Call& call, Term& term) {
    const bool previous = is_named(call, "prev");
    term.kind = previous ? Term::Kind::previous : is_named(call, "first") ? Term::Kind::first : Term::Kind::last;
    const std::string form = call.name.text + (previous ? "(x[, n])" : "(a.x[, n])");
    if (call.star || call.distinct || call.filter || call.arguments.empty() || call.arguments.size() > 2) {
      return fail(span, "this is not how " + call.name.text + " is called in a pattern", "it is " + form);
    }
    if (previous && !defined_) {
      return fail(span, "prev is for definitions: a measure looks at the rows of the match", "last(x, 1)");
    }
    if (previous && term.variables != ~Variables{0}) {
      return fail(span, "prev looks at the row before, whatever variable it is of", "it is " + form);
    }
    if (call.arguments.size() == 2) {
      const auto offset = expr::constant_double(*call.arguments[1], all_.input_);
      if (!offset || *offset != static_cast<std::uint32_t>(*offset) || *offset > most_offset ||
          *offset < (previous ? 1 : 0)) {
        return fail(call.arguments[1]->span, "the second argument counts rows: a whole number up to 1000");
      }
      term.offset = static_cast<std::uint32_t>(*offset);
    } else {
      term.offset = previous ? 1 : 0;
    }
    if (previous) all_.rows_before_ = std::max(all_.rows_before_, term.offset);
    return keep(alone(call.arguments[0]->span), term);
  }

  bool aggregate(Span span, Term& term) {
    auto compiled = compile_aggregate(alone(span), all_.input_, all_.input_name_);
    if (!compiled) return fail(compiled.error());
    AggregateCall call = std::move(compiled->calls.front());
    term.kind = Term::Kind::aggregate;
    term.type = call.result_type;
    if (call.argument) term.column = all_.kept_.add(*call.argument);
    if (call.filter) term.filter = all_.kept_.add(*call.filter);
    term.call = std::move(call);
    return true;
  }

  bool keep(const std::string& text, Term& term) {
    auto compiled = Expression::compile(text, all_.input_, all_.input_name_);
    if (!compiled) return fail(compiled.error());
    term.type = compiled->type();
    term.column = all_.kept_.add(*compiled);
    return true;
  }

  /// Puts the term's name in the place of `syntax`.
  bool take(SyntaxPtr& syntax, Term term) {
    const Span span = syntax->span;
    syntax = std::make_unique<Syntax>();
    syntax->span = span;
    syntax->node = expr::ColumnName{{{"$" + std::to_string(terms_.size()), true, span}}};
    terms_.push_back(std::move(term));
    return true;
  }

  [[nodiscard]] SchemaPtr term_schema() const {
    std::vector<Field> fields;
    for (const Term& term : terms_) fields.push_back({"$" + std::to_string(fields.size()), term.type});
    return make_schema(std::move(fields));
  }

  MatchExpressions& all_;
  std::string text_;
  std::optional<Variable> defined_;               ///< whose definition it is
  std::map<std::uint32_t, Variable> qualifiers_;  ///< by the place of the name or star behind the point
  SyntaxPtr syntax_;
  std::vector<Term> terms_;
  std::optional<ExpressionError> error_;
};

tl::expected<Definition, ExpressionError> MatchExpressions::define(std::string_view text, Variable variable) {
  return TermExtraction{*this, text, variable}.definition();
}

tl::expected<MatchExpression, ExpressionError> MatchExpressions::measure(std::string_view text) {
  return TermExtraction{*this, text, std::nullopt}.measure();
}

}  // namespace dataflow::patterns
