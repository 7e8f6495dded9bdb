#pragma once
// A Pratt parser (V. Pratt, "Top down operator precedence", 1973) over SQL tokens. It knows no statement, but is made
// to be the lower half of one: it works on a token list from any position and leaves what does not belong to the
// expression, so that a statement's parser can call `expression()` between its keywords.

#include <initializer_list>
#include <optional>

#include "libdataflow/expressions/ast.hpp"

namespace dataflow::expr {

/// Deeper nesting of parentheses, calls and prefixes is refused.
inline constexpr unsigned max_nesting = 200;
/// A tree of more levels is refused, e.g. a chain of so many `+`: what walks it is recursive.
inline constexpr unsigned max_height = 400;

class Parser {
 public:
  explicit Parser(std::vector<Token> tokens, std::string_view text) : tokens_{std::move(tokens)}, text_{text} {}

  /// The longest expression that starts here, or null: then `error()` says why.
  SyntaxPtr expression() { return parse(0); }
  /// True at the end of the text; else the error names what is left over.
  bool expect_end();
  [[nodiscard]] const ExpressionError& error() const { return *error_; }

 private:
  // Tokens.
  [[nodiscard]] const Token& peek(std::size_t ahead = 0) const {
    return tokens_[at_ + ahead < tokens_.size() ? at_ + ahead : tokens_.size() - 1];
  }
  [[nodiscard]] bool is(TokenKind kind, std::size_t ahead = 0) const { return peek(ahead).kind == kind; }
  [[nodiscard]] bool is_word(std::string_view word, std::size_t ahead = 0) const {
    return is(TokenKind::word, ahead) && same_word(peek(ahead).text, word);
  }
  bool accept(TokenKind kind);
  bool accept_word(std::string_view word);
  /// Goes past `kind`, or fails with "expected <what>".
  bool expect(TokenKind kind, std::string_view what);
  bool expect_word(std::string_view word);
  [[nodiscard]] Span last_span() const { return tokens_[at_ - 1].span; }

  // Errors: the first one counts; every parsing function returns null after it.
  std::nullptr_t fail(Span span, std::string message, std::string suggestion = {});
  std::nullptr_t unexpected(std::string_view expected);

  // Nodes.
  SyntaxPtr make(Span span, SyntaxNode node);

  // Precedence climbing.
  SyntaxPtr parse(unsigned minimum);
  SyntaxPtr prefix();
  SyntaxPtr negated_prefix();
  SyntaxPtr infix(SyntaxPtr left, unsigned power);
  SyntaxPtr postfix_is(SyntaxPtr left);
  SyntaxPtr postfix_not(SyntaxPtr left);
  SyntaxPtr between(SyntaxPtr left, bool negated);
  SyntaxPtr in_list(SyntaxPtr left, bool negated);
  SyntaxPtr like(SyntaxPtr left, bool ignore_case, bool negated);
  [[nodiscard]] unsigned infix_power() const;

  // Primaries.
  SyntaxPtr word();
  SyntaxPtr column();
  SyntaxPtr number(Span span, bool negative);
  SyntaxPtr parenthesised();
  SyntaxPtr case_expression();
  SyntaxPtr typed_literal();
  SyntaxPtr interval(Span start, const Token& text);

  // Calls, in parser_calls.cpp.
  SyntaxPtr call();
  SyntaxPtr cast(Span start, bool or_null);
  SyntaxPtr plain_call(Name name);
  SyntaxPtr extract(Name name);
  SyntaxPtr position(Name name);
  SyntaxPtr substring(Name name);
  SyntaxPtr trim(Name name);
  SyntaxPtr finish_call(Name name, std::vector<SyntaxPtr> arguments);
  bool filter_clause(SyntaxPtr& filter);
  std::optional<Type> type_name();

  std::vector<Token> tokens_;
  std::string_view text_;
  std::size_t at_ = 0;
  unsigned nesting_ = 0;
  std::optional<ExpressionError> error_;
};

/// The whole of `text` as one expression.
tl::expected<SyntaxPtr, ExpressionError> parse_expression(std::string_view text);

/// Words that an expression needs for itself: a column of such a name must be quoted.
bool is_reserved(std::string_view word);

}  // namespace dataflow::expr
