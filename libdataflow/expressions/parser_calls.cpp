// Function calls, plain and with SQL's own punctuation: CAST(x AS t), extract(hour FROM t), trim(LEADING 'x' FROM s),
// substring(s FROM 2 FOR 3), position('a' IN s), count(DISTINCT x) FILTER (WHERE y).

#include "libdataflow/expressions/parser.hpp"
#include "libdataflow/expressions/suggestion.hpp"

namespace dataflow::expr {

namespace {
constexpr unsigned above_membership = 6;  // so that IN after the first argument of position() is left alone
}

SyntaxPtr Parser::call() {
  Name name{peek().text, is(TokenKind::quoted_word), peek().span};
  at_ += 2;  // the name and the parenthesis
  if (!name.quoted) {
    if (same_word(name.text, "cast")) return cast(name.span, false);
    if (same_word(name.text, "try_cast")) return cast(name.span, true);
    if (same_word(name.text, "extract")) return extract(std::move(name));
    if (same_word(name.text, "position")) return position(std::move(name));
    if (same_word(name.text, "substring")) return substring(std::move(name));
    if (same_word(name.text, "trim")) return trim(std::move(name));
  }
  return plain_call(std::move(name));
}

SyntaxPtr Parser::cast(Span start, bool or_null) {
  SyntaxPtr operand = parse(0);
  if (!operand || !expect_word("AS")) return nullptr;
  const auto type = type_name();
  if (!type || !expect(TokenKind::close, "a closing parenthesis")) return nullptr;
  return make(start.to(last_span()), Cast{std::move(operand), *type, or_null});
}

std::optional<Type> Parser::type_name() {
  if (!is(TokenKind::word) && !is(TokenKind::quoted_word)) {
    unexpected("a type");
    return std::nullopt;
  }
  const Token& token = peek();
  auto type = type_named(token.text);
  if (!type) {
    const std::string near = nearest_name(token.text, type_names());
    fail(token.span, "no type \"" + token.text + "\"",
         near.empty() ? "types are bool int32 int64 float64 decimal(p,s) string bytes timestamp"
                      : "did you mean " + near + "?");
    return std::nullopt;
  }
  ++at_;
  if (type->kind == Kind::float64) accept_word("precision");
  std::vector<std::int64_t> parameters;
  Span span = token.span;
  if (accept(TokenKind::open)) {
    do {
      if (!is(TokenKind::integer)) {
        unexpected("a number");
        return std::nullopt;
      }
      parameters.push_back(peek().text.size() > 9 ? 999'999'999 : std::stol(peek().text));
      ++at_;
    } while (accept(TokenKind::comma));
    if (!expect(TokenKind::close, "a closing parenthesis")) return std::nullopt;
    span = span.to(last_span());
  }
  if (type->kind == Kind::decimal) {
    const std::int64_t precision = parameters.empty() ? max_decimal_digits : parameters[0];
    const std::int64_t scale = parameters.size() < 2 ? 0 : parameters[1];
    if (parameters.size() > 2 || precision < 1 || precision > max_decimal_digits || scale > precision) {
      fail(span, "a decimal has 1 to 18 digits, of which at most all stand after the point", "e.g. decimal(10,2)");
      return std::nullopt;
    }
    return Type::decimal(static_cast<unsigned>(precision), static_cast<unsigned>(scale));
  }
  if (!parameters.empty()) {
    fail(span, to_string(*type) + " has no parameters");
    return std::nullopt;
  }
  return type;
}

SyntaxPtr Parser::finish_call(Name name, std::vector<SyntaxPtr> arguments) {
  if (!expect(TokenKind::close, "a comma or a closing parenthesis")) return nullptr;
  const Span span = name.span.to(last_span());
  return make(span, Call{std::move(name), std::move(arguments), false, false, nullptr});
}

SyntaxPtr Parser::plain_call(Name name) {
  Call node{std::move(name), {}, false, false, nullptr};
  if (accept(TokenKind::star)) {
    node.star = true;
  } else if (!is(TokenKind::close)) {
    node.distinct = accept_word("distinct");
    do {
      SyntaxPtr argument = parse(0);
      if (!argument) return nullptr;
      node.arguments.push_back(std::move(argument));
    } while (accept(TokenKind::comma));
  }
  if (!expect(TokenKind::close, "a comma or a closing parenthesis")) return nullptr;
  if (!filter_clause(node.filter)) return nullptr;
  const Span span = node.name.span.to(last_span());
  return make(span, std::move(node));
}

bool Parser::filter_clause(SyntaxPtr& filter) {
  if (!is_word("filter") || !is(TokenKind::open, 1)) return true;
  at_ += 2;
  if (!expect_word("WHERE")) return false;
  filter = parse(0);
  return filter != nullptr && expect(TokenKind::close, "a closing parenthesis");
}

SyntaxPtr Parser::extract(Name name) {
  std::vector<SyntaxPtr> arguments;
  if ((is(TokenKind::word) || is(TokenKind::string)) && is_word("from", 1)) {
    arguments.push_back(make(peek().span, Literal{Kind::string, peek().text}));
    at_ += 2;
    arguments.push_back(parse(0));
    if (!arguments.back()) return nullptr;
    return finish_call(std::move(name), std::move(arguments));
  }
  return plain_call(std::move(name));
}

SyntaxPtr Parser::position(Name name) {
  if (is(TokenKind::close)) return plain_call(std::move(name));
  std::vector<SyntaxPtr> arguments;
  SyntaxPtr first = parse(above_membership);
  if (!first) return nullptr;
  const bool needle_first = accept_word("in");
  if (!needle_first && !accept(TokenKind::comma)) return unexpected("IN or a comma");
  SyntaxPtr second = parse(0);
  if (!second) return nullptr;
  if (needle_first) std::swap(first, second);
  arguments.push_back(std::move(first));
  arguments.push_back(std::move(second));
  return finish_call(std::move(name), std::move(arguments));
}

SyntaxPtr Parser::substring(Name name) {
  if (is(TokenKind::close)) return plain_call(std::move(name));
  std::vector<SyntaxPtr> arguments;
  const auto argument = [&] {
    arguments.push_back(parse(0));
    return arguments.back() != nullptr;
  };
  if (!argument()) return nullptr;
  if (accept_word("from")) {
    if (!argument() || (accept_word("for") && !argument())) return nullptr;
  } else {
    while (accept(TokenKind::comma)) {
      if (!argument()) return nullptr;
    }
  }
  return finish_call(std::move(name), std::move(arguments));
}

SyntaxPtr Parser::trim(Name name) {
  if (is(TokenKind::close)) return plain_call(std::move(name));
  const bool names_something = !is(TokenKind::close, 1) && !is(TokenKind::comma, 1) && !is(TokenKind::dot, 1);
  if (is(TokenKind::word) && names_something && !is(TokenKind::open, 1)) {
    if (accept_word("leading")) {
      name.text = "ltrim";
    } else if (accept_word("trailing")) {
      name.text = "rtrim";
    } else {
      accept_word("both");
    }
  }
  std::vector<SyntaxPtr> arguments;
  SyntaxPtr characters;
  if (!is_word("from")) {
    characters = parse(0);
    if (!characters) return nullptr;
  }
  if (accept_word("from")) {
    arguments.push_back(parse(0));
    if (!arguments.back()) return nullptr;
    if (characters) arguments.push_back(std::move(characters));
  } else {
    arguments.push_back(std::move(characters));
    if (accept(TokenKind::comma)) {
      arguments.push_back(parse(0));
      if (!arguments.back()) return nullptr;
    }
  }
  return finish_call(std::move(name), std::move(arguments));
}

}  // namespace dataflow::expr
