#include <array>
#include <optional>

#include "libdataflow/expressions/token.hpp"
#include "libdataflow/expressions/utf8.hpp"

namespace dataflow::expr {

namespace {

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_word_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}
bool is_word(char c) {
  return is_word_start(c) || is_digit(c) || c == '$';
}

struct Punctuation {
  std::string_view text;
  TokenKind kind;
};
/// Longer ones first.
constexpr std::array punctuation = {
    Punctuation{"<>", TokenKind::not_equal},    Punctuation{"!=", TokenKind::not_equal},
    Punctuation{"<=", TokenKind::less_equal},   Punctuation{">=", TokenKind::greater_equal},
    Punctuation{"||", TokenKind::concat},       Punctuation{"::", TokenKind::double_colon},
    Punctuation{"=>", TokenKind::arrow},        Punctuation{"->", TokenKind::thin_arrow},
    Punctuation{"+", TokenKind::plus},          Punctuation{"-", TokenKind::minus},
    Punctuation{"*", TokenKind::star},          Punctuation{"/", TokenKind::slash},
    Punctuation{"%", TokenKind::percent},       Punctuation{"=", TokenKind::equal},
    Punctuation{"<", TokenKind::less},          Punctuation{">", TokenKind::greater},
    Punctuation{",", TokenKind::comma},         Punctuation{".", TokenKind::dot},
    Punctuation{";", TokenKind::semicolon},     Punctuation{":", TokenKind::colon},
    Punctuation{"?", TokenKind::question},      Punctuation{"(", TokenKind::open},
    Punctuation{")", TokenKind::close},         Punctuation{"[", TokenKind::open_bracket},
    Punctuation{"]", TokenKind::close_bracket}, Punctuation{"{", TokenKind::open_brace},
    Punctuation{"}", TokenKind::close_brace},
};

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_{text} {}

  tl::expected<std::vector<Token>, ExpressionError> run() {
    while (!error_) {
      skip_blanks();
      if (error_ || at_ == text_.size()) break;
      next();
    }
    if (error_) return tl::unexpected(*error_);
    push(TokenKind::end, text_.size(), {});
    return std::move(tokens_);
  }

 private:
  [[nodiscard]] char peek(std::size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  [[nodiscard]] bool starts(std::string_view with) const { return text_.substr(at_).starts_with(with); }

  void push(TokenKind kind, std::size_t start, std::string text) {
    tokens_.push_back(
        {kind, {static_cast<std::uint32_t>(start), static_cast<std::uint32_t>(at_ - start)}, std::move(text)});
  }
  void fail(std::size_t offset, std::size_t length, std::string message, std::string suggestion = {}) {
    error_ = ExpressionError{offset, length, std::move(message), std::move(suggestion)};
  }

  void skip_blanks() {
    while (at_ < text_.size()) {
      if (is_space(peek())) {
        ++at_;
      } else if (starts("--")) {
        while (at_ < text_.size() && text_[at_] != '\n') ++at_;
      } else if (starts("/*")) {
        skip_comment();
        if (error_) return;
      } else {
        return;
      }
    }
  }

  void skip_comment() {
    const std::size_t start = at_;
    std::size_t depth = 0;
    do {
      if (at_ == text_.size()) return fail(start, 2, "this comment has no end", "close it with */");
      if (starts("/*")) {
        ++depth;
        at_ += 2;
      } else if (starts("*/")) {
        --depth;
        at_ += 2;
      } else {
        ++at_;
      }
    } while (depth != 0);
  }

  void next() {
    const char c = peek();
    if (is_word_start(c)) return word();
    if (is_digit(c) || (c == '.' && is_digit(peek(1)))) return number();
    if (c == '\'') return quoted('\'', TokenKind::string, "this text has no closing quote");
    if (c == '"') return quoted('"', TokenKind::quoted_word, "this name has no closing double quote");
    const std::size_t start = at_;
    for (const auto& [text, kind] : punctuation) {
      if (starts(text)) {
        at_ += text.size();
        return push(kind, start, {});
      }
    }
    const bool printable = c > ' ' && c < 0x7f;
    fail(start, 1, printable ? std::string{"unexpected character "} + c : std::string{"unexpected control character"},
         c == '`' ? "write names in double quotes" : "");
  }

  void word() {
    const std::size_t start = at_;
    while (at_ < text_.size() && is_word(text_[at_])) ++at_;
    push(TokenKind::word, start, std::string{text_.substr(start, at_ - start)});
  }

  void number() {
    const std::size_t start = at_;
    TokenKind kind = TokenKind::integer;
    while (is_digit(peek())) ++at_;
    if (peek() == '.') {
      kind = TokenKind::number;
      ++at_;
      while (is_digit(peek())) ++at_;
    }
    if (peek() == 'e' || peek() == 'E') {
      const std::size_t digits = peek(1) == '+' || peek(1) == '-' ? 2 : 1;
      if (is_digit(peek(digits))) {
        kind = TokenKind::number;
        at_ += digits;
        while (is_digit(peek())) ++at_;
      }
    }
    if (at_ < text_.size() && is_word(text_[at_])) {
      while (at_ < text_.size() && is_word(text_[at_])) ++at_;
      return fail(start, at_ - start, "this is neither a number nor a name",
                  "names that start with a digit need double quotes");
    }
    push(kind, start, std::string{text_.substr(start, at_ - start)});
  }

  /// A quoted run in which the doubled quote stands for itself.
  void quoted(char quote, TokenKind kind, const char* unclosed) {
    const std::size_t start = at_++;
    std::string content;
    for (;;) {
      const std::size_t close = text_.find(quote, at_);
      if (close == std::string_view::npos) return fail(start, text_.size() - start, unclosed);
      content += text_.substr(at_, close - at_);
      at_ = close + 1;
      if (peek() != quote) break;
      content += quote;
      ++at_;
    }
    if (kind == TokenKind::quoted_word && content.empty()) return fail(start, 2, "a name cannot be empty");
    push(kind, start, std::move(content));
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::vector<Token> tokens_;
  std::optional<ExpressionError> error_;
};

}  // namespace

tl::expected<std::vector<Token>, ExpressionError> tokenize(std::string_view text) {
  if (text.size() > max_text_bytes) {
    return tl::unexpected(ExpressionError{max_text_bytes, text.size() - max_text_bytes,
                                          "an expression may have at most 64 KiB of text", ""});
  }
  if (const std::size_t valid = utf8::valid_prefix(text); valid != text.size()) {
    return tl::unexpected(ExpressionError{valid, 1, "the text is not valid UTF-8", ""});
  }
  return Lexer{text}.run();
}

bool same_word(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; };
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

}  // namespace dataflow::expr
