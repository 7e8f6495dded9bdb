#include "libdataflow/expressions/like.hpp"

#include "libdataflow/expressions/case_mapping.hpp"
#include "libdataflow/expressions/rowwise.hpp"
#include "libdataflow/expressions/utf8.hpp"

namespace dataflow::expr {

namespace {

enum class Element : std::uint8_t { literal, any_character, any_run };

/// A pattern without its escapes.
struct Pattern {
  std::string bytes;              ///< literal bytes; % and _ stand for themselves where `elements` says so
  std::vector<Element> elements;  ///< one for each byte
  /// Set when the pattern is one literal with nothing but % around it.
  bool plain = false;
  bool open_start = false;
  bool open_end = false;
  std::string needle;
};

Pattern parse_pattern(std::string_view text, std::optional<char> escape) {
  Pattern pattern;
  for (std::size_t i = 0; i < text.size(); ++i) {
    Element element = Element::literal;
    if (escape && text[i] == *escape && i + 1 < text.size()) {
      ++i;
    } else if (text[i] == '%') {
      element = Element::any_run;
    } else if (text[i] == '_') {
      element = Element::any_character;
    }
    pattern.bytes += text[i];
    pattern.elements.push_back(element);
  }
  std::size_t first = 0;
  std::size_t last = pattern.bytes.size();
  while (first < last && pattern.elements[first] == Element::any_run) ++first;
  while (last > first && pattern.elements[last - 1] == Element::any_run) --last;
  pattern.open_start = first != 0;
  pattern.open_end = last != pattern.bytes.size() || (first == last && first != 0);
  pattern.plain = true;
  for (std::size_t i = first; i < last; ++i) pattern.plain = pattern.plain && pattern.elements[i] == Element::literal;
  pattern.needle = pattern.bytes.substr(first, last - first);
  return pattern;
}

/// The general matcher: goes on greedily and, on a mismatch, lets the last % eat one more character.
bool matches_general(const Pattern& pattern, std::string_view text) {
  constexpr std::size_t none = static_cast<std::size_t>(-1);
  std::size_t p = 0;
  std::size_t t = 0;
  std::size_t run = none;
  std::size_t run_text = 0;
  while (t < text.size()) {
    const bool more = p < pattern.bytes.size();
    if (more && pattern.elements[p] == Element::any_run) {
      run = p++;
      run_text = t;
    } else if (more && pattern.elements[p] == Element::any_character) {
      ++p;
      t += utf8::character_bytes(text.substr(t));
    } else if (more && pattern.bytes[p] == text[t]) {
      ++p;
      ++t;
    } else if (run != none) {
      p = run + 1;
      run_text += utf8::character_bytes(text.substr(run_text));
      t = run_text;
    } else {
      return false;
    }
  }
  while (p < pattern.bytes.size() && pattern.elements[p] == Element::any_run) ++p;
  return p == pattern.bytes.size();
}

bool matches(const Pattern& pattern, std::string_view text) {
  if (!pattern.plain) return matches_general(pattern, text);
  if (pattern.open_start && pattern.open_end) return text.find(pattern.needle) != std::string_view::npos;
  if (pattern.open_start) return text.ends_with(pattern.needle);
  if (pattern.open_end) return text.starts_with(pattern.needle);
  return text == pattern.needle;
}

bool matches(const Pattern& pattern, std::string_view text, const LikeOptions& options) {
  if (!options.ignore_case) return matches(pattern, text) != options.negated;
  std::string lower;
  append_lower(text, lower);
  return matches(pattern, lower) != options.negated;
}

Pattern prepare(std::string_view text, const LikeOptions& options) {
  if (!options.ignore_case) return parse_pattern(text, options.escape);
  std::string lower;
  append_lower(text, lower);
  std::optional<char> escape = options.escape;
  if (escape && *escape >= 'A' && *escape <= 'Z') escape = static_cast<char>(*escape - 'A' + 'a');
  return parse_pattern(lower, escape);
}

}  // namespace

std::optional<std::string> like_mistake(std::string_view pattern, std::optional<char> escape) {
  for (std::size_t i = 0; escape && i < pattern.size(); ++i) {
    if (pattern[i] != *escape) continue;
    ++i;
    if (i == pattern.size() || (pattern[i] != '%' && pattern[i] != '_' && pattern[i] != *escape)) {
      return "the escape character must be followed by %, _ or itself";
    }
  }
  return std::nullopt;
}

Kernel like_kernel(std::optional<std::string> pattern, LikeOptions options) {
  if (pattern) {
    return map_rows<bool, std::string_view, std::string_view>(
        [prepared = prepare(*pattern, options), options](std::string_view text, std::string_view) {
          return matches(prepared, text, options);
        });
  }
  return try_rows<bool, std::string_view, std::string_view>(
      [options](RowResult<bool>& out, std::string_view text, std::string_view row_pattern) {
        if (auto wrong = like_mistake(row_pattern, options.escape)) return out.fail(std::move(*wrong));
        out.set(matches(prepare(row_pattern, options), text, options));
      });
}

}  // namespace dataflow::expr
