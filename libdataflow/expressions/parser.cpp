#include "libdataflow/expressions/parser.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "libdataflow/expressions/literals.hpp"

namespace dataflow::expr {

namespace {

/// How tightly an operator binds, as in Postgres; a higher power binds tighter.
enum Power : unsigned {
  power_none = 0,
  power_or = 1,
  power_and = 2,
  power_not = 3,
  power_is = 4,
  power_comparison = 5,
  power_membership = 6,  // BETWEEN, IN, LIKE
  power_concat = 7,
  power_sum = 8,
  power_product = 9,
  power_sign = 10,
  power_cast = 11,
};

constexpr std::array reserved = {"and",  "or",   "not",  "is",  "null", "in",    "like", "ilike",    "between", "case",
                                 "when", "then", "else", "end", "true", "false", "from", "distinct", "as"};

std::optional<std::pair<BinaryOperator, unsigned>> binary_operator(TokenKind kind) {
  switch (kind) {
    case TokenKind::plus: return {{BinaryOperator::add, power_sum}};
    case TokenKind::minus: return {{BinaryOperator::subtract, power_sum}};
    case TokenKind::star: return {{BinaryOperator::multiply, power_product}};
    case TokenKind::slash: return {{BinaryOperator::divide, power_product}};
    case TokenKind::percent: return {{BinaryOperator::modulo, power_product}};
    case TokenKind::concat: return {{BinaryOperator::concat, power_concat}};
    case TokenKind::equal: return {{BinaryOperator::equal, power_comparison}};
    case TokenKind::not_equal: return {{BinaryOperator::not_equal, power_comparison}};
    case TokenKind::less: return {{BinaryOperator::less, power_comparison}};
    case TokenKind::less_equal: return {{BinaryOperator::less_equal, power_comparison}};
    case TokenKind::greater: return {{BinaryOperator::greater, power_comparison}};
    case TokenKind::greater_equal: return {{BinaryOperator::greater_equal, power_comparison}};
    default: return std::nullopt;
  }
}

struct Guard {
  explicit Guard(unsigned& counter) : counter_{counter} { ++counter_; }
  ~Guard() { --counter_; }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

 private:
  unsigned& counter_;
};

}  // namespace

bool is_reserved(std::string_view word) {
  return std::any_of(reserved.begin(), reserved.end(), [&](const char* r) { return same_word(r, word); });
}

bool Parser::accept(TokenKind kind) {
  if (!is(kind)) return false;
  ++at_;
  return true;
}

bool Parser::accept_word(std::string_view word) {
  if (!is_word(word)) return false;
  ++at_;
  return true;
}

bool Parser::expect(TokenKind kind, std::string_view what) {
  if (accept(kind)) return true;
  unexpected(what);
  return false;
}

bool Parser::expect_word(std::string_view word) {
  if (accept_word(word)) return true;
  unexpected(word);
  return false;
}

std::nullptr_t Parser::fail(Span span, std::string message, std::string suggestion) {
  if (!error_) error_ = ExpressionError{span.offset, span.length, std::move(message), std::move(suggestion)};
  return nullptr;
}

std::nullptr_t Parser::unexpected(std::string_view expected) {
  const Token& token = peek();
  if (is(TokenKind::end))
    return fail(token.span, "the expression ends where " + std::string{expected} + " is expected");
  return fail(token.span, "expected " + std::string{expected} + ", found " +
                              std::string{text_.substr(token.span.offset, std::min(token.span.length, 40U))});
}

bool Parser::expect_end() {
  if (is(TokenKind::end)) return true;
  const Token& token = peek();
  std::string suggestion;
  if (is(TokenKind::equal) && at_ > 0 && tokens_[at_ - 1].kind == TokenKind::equal) suggestion = "equality is one =";
  fail(token.span,
       "unexpected " + std::string{text_.substr(token.span.offset, std::min(token.span.length, 40U))} +
           " after the expression",
       suggestion);
  return false;
}

SyntaxPtr Parser::make(Span span, SyntaxNode node) {
  auto syntax = std::make_unique<Syntax>();
  syntax->span = span;
  syntax->node = std::move(node);
  unsigned height = 0;
  for_each_child(*syntax, [&](SyntaxPtr& child) { height = std::max(height, child->height); });
  syntax->height = height + 1;
  if (syntax->height > max_height) {
    return fail(span, "the expression has more than " + std::to_string(max_height) + " levels",
                "compute a part of it in a select before");
  }
  return syntax;
}

unsigned Parser::infix_power() const {
  if (const auto binary = binary_operator(peek().kind)) return binary->second;
  if (is(TokenKind::double_colon)) return power_cast;
  if (!is(TokenKind::word)) return power_none;
  if (is_word("or")) return power_or;
  if (is_word("and")) return power_and;
  if (is_word("is")) return power_is;
  for (const auto* word : {"between", "in", "like", "ilike"}) {
    if (is_word(word) || (is_word("not") && is_word(word, 1))) return power_membership;
  }
  return power_none;
}

SyntaxPtr Parser::parse(unsigned minimum) {
  const Guard guard{nesting_};
  if (nesting_ > max_nesting) {
    return fail(peek().span, "the expression is nested deeper than " + std::to_string(max_nesting) + " levels");
  }
  SyntaxPtr left = prefix();
  while (left) {
    const unsigned power = infix_power();
    if (power <= minimum) break;
    left = infix(std::move(left), power);
    if (left && power == power_comparison && infix_power() == power_comparison) {
      return fail(peek().span, "comparisons cannot be chained", "write a < b AND b < c");
    }
  }
  return left;
}

SyntaxPtr Parser::prefix() {
  const Token& token = peek();
  switch (token.kind) {
    case TokenKind::integer:
    case TokenKind::number: ++at_; return number(token.span, false);
    case TokenKind::string: ++at_; return make(token.span, Literal{Kind::string, token.text});
    case TokenKind::quoted_word: return is(TokenKind::open, 1) ? call() : column();
    case TokenKind::open: return parenthesised();
    case TokenKind::plus:
    case TokenKind::minus: return negated_prefix();
    case TokenKind::word: return word();
    default: return unexpected("a value");
  }
}

SyntaxPtr Parser::negated_prefix() {
  const Span start = peek().span;
  const bool negative = is(TokenKind::minus);
  ++at_;
  // The sign belongs to the number, so that the smallest integer can be written.
  if (negative && (is(TokenKind::integer) || is(TokenKind::number)) && !is(TokenKind::double_colon, 1)) {
    ++at_;
    return number(start.to(last_span()), true);
  }
  SyntaxPtr operand = parse(power_sign);
  if (!operand) return nullptr;
  const Span span = start.to(operand->span);
  return make(span, Unary{negative ? UnaryOperator::negate : UnaryOperator::plus, std::move(operand)});
}

SyntaxPtr Parser::parenthesised() {
  const Span start = peek().span;
  ++at_;
  SyntaxPtr inner = parse(power_none);
  if (!inner || !expect(TokenKind::close, "a closing parenthesis")) return nullptr;
  inner->span = start.to(last_span());
  return inner;
}

SyntaxPtr Parser::word() {
  const Token& token = peek();
  if (is_word("null")) {
    ++at_;
    return make(token.span, Literal{});
  }
  if (is_word("true") || is_word("false")) {
    ++at_;
    return make(token.span, Literal{Kind::boolean, same_word(token.text, "true")});
  }
  if (is_word("not")) {
    ++at_;
    SyntaxPtr operand = parse(power_not);
    if (!operand) return nullptr;
    const Span span = token.span.to(operand->span);
    return make(span, Unary{UnaryOperator::logical_not, std::move(operand)});
  }
  if (is_word("case")) return case_expression();
  if (is_reserved(token.text)) {
    return fail(token.span, token.text + " is a keyword here, not a value",
                "a column of this name is written \"" + token.text + "\"");
  }
  if (is(TokenKind::string, 1)) return typed_literal();
  return is(TokenKind::open, 1) ? call() : column();
}

SyntaxPtr Parser::column() {
  const Span start = peek().span;
  ColumnName name;
  do {
    if (!is(TokenKind::word) && !is(TokenKind::quoted_word)) return unexpected("a column name after the point");
    name.parts.push_back({peek().text, is(TokenKind::quoted_word), peek().span});
    ++at_;
  } while (accept(TokenKind::dot));
  return make(start.to(last_span()), std::move(name));
}

SyntaxPtr Parser::number(Span span, bool negative) {
  const Token& token = tokens_[at_ - 1];
  std::string digits = negative ? "-" + token.text : token.text;
  if (token.kind == TokenKind::integer) {
    std::int64_t value = 0;
    if (std::from_chars(digits.data(), digits.data() + digits.size(), value).ec == std::errc{}) {
      return make(span, Literal{Kind::int64, value});
    }
    return fail(span, "this integer does not fit into 64 bits", "with a point or an exponent it is a float64");
  }
  auto literal = parse_number_literal(digits);
  if (!literal) return fail(span, "this number is beyond the range of float64");
  return make(span, Literal{literal->first, std::move(literal->second)});
}

SyntaxPtr Parser::case_expression() {
  const Span start = peek().span;
  ++at_;
  Case node;
  if (!is_word("when")) {
    node.operand = parse(power_none);
    if (!node.operand) return nullptr;
  }
  while (accept_word("when")) {
    SyntaxPtr when = parse(power_none);
    if (!when || !expect_word("THEN")) return nullptr;
    SyntaxPtr then = parse(power_none);
    if (!then) return nullptr;
    node.branches.emplace_back(std::move(when), std::move(then));
  }
  if (node.branches.empty()) return unexpected("WHEN");
  if (accept_word("else")) {
    node.otherwise = parse(power_none);
    if (!node.otherwise) return nullptr;
  }
  if (!expect_word("END")) return nullptr;
  return make(start.to(last_span()), std::move(node));
}

SyntaxPtr Parser::infix(SyntaxPtr left, unsigned power) {
  const Span start = left->span;
  if (is_word("is")) return postfix_is(std::move(left));
  if (is_word("not")) return postfix_not(std::move(left));
  if (accept_word("between")) return between(std::move(left), false);
  if (accept_word("in")) return in_list(std::move(left), false);
  if (accept_word("like")) return like(std::move(left), false, false);
  if (accept_word("ilike")) return like(std::move(left), true, false);
  if (accept(TokenKind::double_colon)) {
    const auto type = type_name();
    if (!type) return nullptr;
    return make(start.to(last_span()), Cast{std::move(left), *type, false});
  }
  BinaryOperator op = is_word("or") ? BinaryOperator::logical_or : BinaryOperator::logical_and;
  if (const auto binary = binary_operator(peek().kind)) op = binary->first;
  ++at_;
  SyntaxPtr right = parse(power);
  if (!right) return nullptr;
  const Span span = start.to(right->span);
  return make(span, Binary{op, std::move(left), std::move(right)});
}

SyntaxPtr Parser::postfix_is(SyntaxPtr left) {
  const Span start = left->span;
  ++at_;
  const bool negated = accept_word("not");
  if (accept_word("distinct")) {
    if (!expect_word("FROM")) return nullptr;
    SyntaxPtr right = parse(power_is);
    if (!right) return nullptr;
    const Span span = start.to(right->span);
    const auto op = negated ? BinaryOperator::not_distinct_from : BinaryOperator::distinct_from;
    return make(span, Binary{op, std::move(left), std::move(right)});
  }
  Truth truth = Truth::null;
  if (accept_word("true")) {
    truth = Truth::is_true;
  } else if (accept_word("false")) {
    truth = Truth::is_false;
  } else if (!accept_word("null") && !accept_word("unknown")) {
    return unexpected("NULL, TRUE, FALSE or DISTINCT FROM");
  }
  return make(start.to(last_span()), IsTest{std::move(left), truth, negated});
}

SyntaxPtr Parser::postfix_not(SyntaxPtr left) {
  ++at_;
  if (accept_word("between")) return between(std::move(left), true);
  if (accept_word("in")) return in_list(std::move(left), true);
  if (accept_word("like")) return like(std::move(left), false, true);
  accept_word("ilike");
  return like(std::move(left), true, true);
}

SyntaxPtr Parser::between(SyntaxPtr left, bool negated) {
  const Span start = left->span;
  SyntaxPtr low = parse(power_membership);
  if (!low || !expect_word("AND")) return nullptr;
  SyntaxPtr high = parse(power_membership);
  if (!high) return nullptr;
  const Span span = start.to(high->span);
  return make(span, Between{std::move(left), std::move(low), std::move(high), negated});
}

SyntaxPtr Parser::in_list(SyntaxPtr left, bool negated) {
  const Span start = left->span;
  if (!expect(TokenKind::open, "a list in parentheses")) return nullptr;
  InList node{std::move(left), {}, negated};
  do {
    SyntaxPtr item = parse(power_none);
    if (!item) return nullptr;
    node.list.push_back(std::move(item));
  } while (accept(TokenKind::comma));
  if (!expect(TokenKind::close, "a comma or a closing parenthesis")) return nullptr;
  return make(start.to(last_span()), std::move(node));
}

SyntaxPtr Parser::like(SyntaxPtr left, bool ignore_case, bool negated) {
  const Span start = left->span;
  Like node{std::move(left), parse(power_membership), nullptr, ignore_case, negated};
  if (!node.pattern) return nullptr;
  Span end = node.pattern->span;
  if (accept_word("escape")) {
    node.escape = parse(power_membership);
    if (!node.escape) return nullptr;
    end = node.escape->span;
  }
  return make(start.to(end), std::move(node));
}

SyntaxPtr Parser::typed_literal() {
  const Span start = peek().span;
  const std::string type = peek().text;
  const Token& text = peek(1);
  at_ += 2;
  const Span span = start.to(text.span);
  if (same_word(type, "interval")) return interval(start, text);
  if (same_word(type, "timestamp") || same_word(type, "date")) {
    const auto time = parse_iso8601(text.text);
    if (!time) return fail(text.span, "'" + text.text + "' is not a timestamp", "e.g. TIMESTAMP '2010-01-01T12:30:00'");
    return make(span, Literal{Kind::timestamp, time->micros});
  }
  return fail(span, "unexpected text after " + type, "typed literals are TIMESTAMP '...' and INTERVAL '5' MINUTE");
}

SyntaxPtr Parser::interval(Span start, const Token& text) {
  std::string unit;
  Span end = text.span;
  if (is(TokenKind::word) && is_interval_unit(peek().text)) {
    unit = peek().text;
    end = peek().span;
    ++at_;
  }
  const auto micros = parse_interval(text.text, unit);
  if (!micros) return fail(start.to(end), micros.error(), "e.g. INTERVAL '5' MINUTE");
  return make(start.to(end), Literal{Kind::interval, *micros});
}

tl::expected<SyntaxPtr, ExpressionError> parse_expression(std::string_view text) {
  auto tokens = tokenize(text);
  if (!tokens) return tl::unexpected(tokens.error());
  if (tokens->size() == 1) return tl::unexpected(ExpressionError{0, text.size(), "the expression is empty", ""});
  Parser parser{std::move(*tokens), text};
  SyntaxPtr syntax = parser.expression();
  if (!syntax || !parser.expect_end()) return tl::unexpected(parser.error());
  return syntax;
}

}  // namespace dataflow::expr
