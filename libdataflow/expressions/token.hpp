#pragma once
// The tokens of SQL text. The lexer knows the punctuation of whole statements, not only that of expressions, and no
// keywords: whether a word is one depends on where it stands, so the parser decides.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "libdataflow/expressions/expression.hpp"

namespace dataflow::expr {

/// A run of bytes in the text.
struct Span {
  std::uint32_t offset = 0;
  std::uint32_t length = 0;

  [[nodiscard]] std::uint32_t end() const { return offset + length; }
  /// The smallest span that holds both.
  [[nodiscard]] Span to(Span last) const { return {offset, last.end() - offset}; }
};

enum class TokenKind : std::uint8_t {
  end,
  word,         ///< an identifier or a keyword as typed
  quoted_word,  ///< "an identifier", quotes removed
  string,       ///< 'text', quotes removed and '' halved
  integer,      ///< digits
  number,       ///< digits with a point or an exponent
  plus,
  minus,
  star,
  slash,
  percent,
  equal,
  not_equal,  ///< <> or !=
  less,
  less_equal,
  greater,
  greater_equal,
  concat,  ///< ||
  comma,
  dot,
  semicolon,
  colon,
  double_colon,  ///< ::
  question,
  arrow,       ///< =>
  thin_arrow,  ///< ->
  open,        ///< (
  close,
  open_bracket,  ///< [
  close_bracket,
  open_brace,  ///< {
  close_brace,
};

struct Token {
  TokenKind kind = TokenKind::end;
  Span span;
  std::string text;  ///< of words, strings and numbers
};

/// A text longer than this is refused.
inline constexpr std::size_t max_text_bytes = 64 * 1024;

/// All tokens of `text`, the last one of kind end. White space and comments (`-- to the end of the line`,
/// `/* nested too */`) are dropped. Errors: an unclosed quote or comment, a character of no token, invalid UTF-8.
tl::expected<std::vector<Token>, ExpressionError> tokenize(std::string_view text);

/// Case-insensitive (ASCII) equality.
bool same_word(std::string_view a, std::string_view b);

}  // namespace dataflow::expr
