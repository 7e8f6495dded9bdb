// The pattern language of MATCH_RECOGNIZE, with `!x` for what must not be there.
//
//   pattern  = sequence { "|" sequence }
//   sequence = part { part }
//   part     = "!" ( variable | "(" variable { "|" variable } ")" )
//            | ( variable | "(" pattern ")" ) [ ( "*" | "+" | "?" | "{" n "}" | "{" n "," [ m ] "}" ) [ "?" ] ]

#include <algorithm>
#include <charconv>

#include "libdataflow/expressions/suggestion.hpp"
#include "libdataflow/patterns/program.hpp"

namespace dataflow::patterns {

namespace {

constexpr unsigned most_nesting = 100;
constexpr std::uint32_t most_repeats = 1000;

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

class Parser {
 public:
  Parser(std::string_view text, const std::vector<std::string>& variables) : text_{text}, variables_{variables} {}

  tl::expected<PatternSyntax, ExpressionError> run() {
    PatternSyntax pattern = alternation();
    if (!error_ && peek() != '\0') fail_here("unexpected " + quoted_here());
    if (error_) return tl::unexpected(*error_);
    return pattern;
  }

 private:
  using Kind = PatternSyntax::Kind;

  /// The next character that is no space; a zero at the end.
  char peek() {
    while (at_ < text_.size() && is_space(text_[at_])) ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool accept(char c) {
    if (peek() != c) return false;
    last_ = ++at_;
    return true;
  }
  [[nodiscard]] bool failed() const { return error_.has_value(); }
  void fail(expr::Span span, std::string message, std::string suggestion = {}) {
    if (!error_) error_ = {span.offset, span.length, std::move(message), std::move(suggestion)};
  }
  void fail_here(std::string message, std::string suggestion = {}) {
    peek();
    fail({static_cast<std::uint32_t>(at_), at_ < text_.size() ? 1U : 0U}, std::move(message), std::move(suggestion));
  }
  std::string quoted_here() { return peek() == '\0' ? "end of the pattern" : "\"" + std::string{text_[at_]} + "\""; }
  [[nodiscard]] expr::Span from(std::size_t start) const {
    return {static_cast<std::uint32_t>(start), static_cast<std::uint32_t>(last_ - start)};
  }
  std::size_t start() {
    peek();
    return at_;
  }

  PatternSyntax alternation() {
    if (++nesting_ > most_nesting) {
      fail_here("more than " + std::to_string(most_nesting) + " parentheses in each other");
      return {};
    }
    const std::size_t begin = start();
    PatternSyntax all{.kind = Kind::alternation};
    do {
      all.children.push_back(sequence());
    } while (!failed() && accept('|'));
    --nesting_;
    all.span = from(begin);
    return all.children.size() == 1 ? std::move(all.children.front()) : std::move(all);
  }

  PatternSyntax sequence() {
    const std::size_t begin = start();
    PatternSyntax all{.kind = Kind::sequence};
    while (!failed() && (is_letter(peek()) || peek() == '(' || peek() == '!')) all.children.push_back(part());
    if (all.children.empty()) fail_here("expected a variable, found " + quoted_here());
    all.span = from(begin);
    return all.children.size() == 1 ? std::move(all.children.front()) : std::move(all);
  }

  PatternSyntax part() {
    if (peek() == '!') return absence();
    const std::size_t begin = start();
    PatternSyntax inner = is_letter(peek()) ? row() : group();
    return failed() ? std::move(inner) : quantified(std::move(inner), begin);
  }

  PatternSyntax row() {
    const std::size_t begin = start();
    while (at_ < text_.size() && (is_letter(text_[at_]) || is_digit(text_[at_]))) ++at_;
    last_ = at_;
    PatternSyntax named{.kind = Kind::row, .span = from(begin)};
    const std::string name{text_.substr(begin, at_ - begin)};
    const auto found = std::find(variables_.begin(), variables_.end(), name);
    if (found == variables_.end()) {
      const std::string near = nearest_name(name, variables_);
      fail(named.span, "\"" + name + "\" is not defined",
           near.empty() ? "define = { " + name + " = \"...\" }" : "did you mean \"" + near + "\"?");
    } else {
      named.variables = only(static_cast<Variable>(found - variables_.begin()));
    }
    return named;
  }

  PatternSyntax group() {
    const std::size_t begin = start();
    accept('(');
    PatternSyntax inner = alternation();
    if (!failed() && !accept(')')) {
      fail({static_cast<std::uint32_t>(begin), 1}, "this parenthesis is not closed");
    }
    inner.span = from(begin);
    return inner;
  }

  PatternSyntax absence() {
    const std::size_t begin = start();
    accept('!');
    PatternSyntax absent{.kind = Kind::absence};
    const bool several = accept('(');
    do {
      if (!is_letter(peek())) {
        fail_here("expected the variable that must not be there, found " + quoted_here(), "!x, or !(x | y)");
        return absent;
      }
      absent.variables |= row().variables;
    } while (!failed() && several && accept('|'));
    if (several && !failed() && !accept(')')) fail_here("expected | or ), found " + quoted_here(), "!(x | y)");
    if (!failed() && (peek() == '*' || peek() == '+' || peek() == '?' || peek() == '{')) {
      fail_here("an absence is not repeated", "!x says that there is no x at all");
    }
    absent.span = from(begin);
    return absent;
  }

  PatternSyntax quantified(PatternSyntax inner, std::size_t begin) {
    PatternSyntax repeat{.kind = Kind::repeat};
    if (accept('*')) {
      repeat.least = 0;
      repeat.most = PatternSyntax::unbounded;
    } else if (accept('+')) {
      repeat.most = PatternSyntax::unbounded;
    } else if (accept('?')) {
      repeat.least = 0;
    } else if (peek() == '{') {
      if (!bounds(repeat)) return inner;
    } else {
      return inner;
    }
    repeat.reluctant = accept('?');
    repeat.children.push_back(std::move(inner));
    repeat.span = from(begin);
    if (peek() == '*' || peek() == '+' || peek() == '?' || peek() == '{') {
      fail_here("a second quantifier", "put what the first one repeats into parentheses");
    }
    return repeat;
  }

  bool bounds(PatternSyntax& repeat) {
    const std::size_t begin = start();
    accept('{');
    if (!number(repeat.least)) return false;
    repeat.most = repeat.least;
    if (accept(',')) {
      repeat.most = PatternSyntax::unbounded;
      if (peek() != '}' && !number(repeat.most)) return false;
    }
    if (!accept('}')) {
      fail_here("expected } or a comma, found " + quoted_here(), "{2}, {2,} or {2,4}");
      return false;
    }
    if (repeat.most < repeat.least || repeat.most == 0) {
      fail(from(begin), repeat.most == 0 ? "no row at all is repeated" : "the second number is less than the first");
      return false;
    }
    return true;
  }

  bool number(std::uint32_t& value) {
    const std::size_t begin = start();
    const char* const first = text_.data() + begin;
    const auto [end, error] = std::from_chars(first, text_.data() + text_.size(), value);
    if (end == first) {
      fail_here("expected a number, found " + quoted_here(), "{2}, {2,} or {2,4}");
      return false;
    }
    at_ = begin + static_cast<std::size_t>(end - first);
    last_ = at_;
    if (error == std::errc{} && value <= most_repeats) return true;
    fail(from(begin), "at most " + std::to_string(most_repeats) + " times");
    return false;
  }

  std::string_view text_;
  const std::vector<std::string>& variables_;
  std::size_t at_ = 0;
  std::size_t last_ = 0;  ///< the end of what was read last
  unsigned nesting_ = 0;
  std::optional<ExpressionError> error_;
};

}  // namespace

tl::expected<PatternSyntax, ExpressionError> parse_pattern(std::string_view text,
                                                           const std::vector<std::string>& variables) {
  return Parser{text, variables}.run();
}

}  // namespace dataflow::patterns
