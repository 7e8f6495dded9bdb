// Regular expressions by RE2, which is linear in the text's length whatever the pattern. A constant pattern is
// compiled once; one that changes is compiled when it changes.

#include <re2/re2.h>

#include "libdataflow/expressions/arithmetic.hpp"
#include "libdataflow/expressions/registry.hpp"
#include "libdataflow/expressions/rowwise.hpp"

namespace dataflow::expr {

namespace {

using Text = std::string_view;
using Bound = tl::expected<Kernel, ArgumentError>;
using Regexp = std::shared_ptr<const RE2>;

re2::StringPiece piece(Text text) {
  return {text.data(), text.size()};
}

Regexp compile(Text pattern) {
  RE2::Options options;
  options.set_log_errors(false);
  return std::make_shared<const RE2>(piece(pattern), options);
}

std::string mistake(const RE2& regexp) {
  return "this is no regular expression: " + regexp.error();
}

/// The regular expression of each row: the constant one, or the last one used on this thread.
class Patterns {
 public:
  explicit Patterns(Regexp constant) : constant_{std::move(constant)} {}
  [[nodiscard]] const RE2& of(Text pattern) const {
    if (constant_) return *constant_;
    thread_local Regexp last;
    if (!last || last->pattern() != pattern) last = compile(pattern);
    return *last;
  }

 private:
  Regexp constant_;
};

/// The pattern argument, compiled when it is constant.
tl::expected<Patterns, ArgumentError> patterns(const Binding& call) {
  const auto pattern = call.constant_text(1);
  if (!pattern) return Patterns{nullptr};
  Regexp regexp = compile(*pattern);
  if (!regexp->ok()) return tl::unexpected(ArgumentError{1, mistake(*regexp)});
  return Patterns{std::move(regexp)};
}

Bound like(const Binding& call) {
  auto found = patterns(call);
  if (!found) return tl::unexpected(found.error());
  return try_rows<bool, Text, Text>([patterns = std::move(*found)](RowResult<bool>& out, Text text, Text pattern) {
    const RE2& regexp = patterns.of(pattern);
    if (!regexp.ok()) return out.fail(mistake(regexp));
    out.set(RE2::PartialMatch(piece(text), regexp));
  });
}

void extract_group(TextResult& out, const RE2& regexp, Text text, std::int64_t group) {
  if (!regexp.ok()) return out.fail(mistake(regexp));
  if (group < 0 || group > regexp.NumberOfCapturingGroups()) {
    return out.fail("the regular expression has no group " + number_text(group));
  }
  constexpr std::size_t usual = 10;
  std::array<re2::StringPiece, usual> few;
  std::vector<re2::StringPiece> many;
  const auto count = static_cast<std::size_t>(group) + 1;
  if (count > usual) many.resize(count);
  re2::StringPiece* groups = count > usual ? many.data() : few.data();
  if (!regexp.Match(piece(text), 0, text.size(), RE2::UNANCHORED, groups, static_cast<int>(count))) return out.null();
  const re2::StringPiece match = groups[count - 1];
  if (match.data() == nullptr) return out.null();  // an alternative that was not taken
  out.append({match.data(), match.size()});
}

Bound regexp_extract(const Binding& call) {
  auto found = patterns(call);
  if (!found) return tl::unexpected(found.error());
  if (call.arguments.size() == 2) {
    return text_rows<Text, Text>([patterns = std::move(*found)](TextResult& out, Text text, Text pattern) {
      extract_group(out, patterns.of(pattern), text, 0);
    });
  }
  const auto pattern = call.constant_text(1);
  const auto group = call.constant_integer(2);
  const int groups = pattern ? found->of(*pattern).NumberOfCapturingGroups() : 0;
  if (pattern && group && (*group < 0 || *group > groups)) {
    return tl::unexpected(ArgumentError{2, "the regular expression has " + std::to_string(groups) + " groups"});
  }
  return text_rows<Text, Text, std::int64_t>(
      [patterns = std::move(*found)](TextResult& out, Text text, Text row_pattern, std::int64_t row_group) {
        extract_group(out, patterns.of(row_pattern), text, row_group);
      });
}

/// `$1` and `\1` are groups, `$0` and `\0` the match; `\$` and `\\` stand for themselves. As RE2 spells it.
std::string rewrite_of(Text replacement) {
  std::string out;
  const auto digit = [&](std::size_t i) {
    return i < replacement.size() && replacement[i] >= '0' && replacement[i] <= '9';
  };
  for (std::size_t i = 0; i < replacement.size(); ++i) {
    const char c = replacement[i];
    if ((c == '$' || c == '\\') && digit(i + 1)) {
      out += '\\';
      out += replacement[++i];
    } else if (c == '\\') {
      if (i + 1 < replacement.size()) ++i;
      out += replacement[i] == '\\' ? "\\\\" : std::string{replacement[i]};
    } else {
      out += c;
    }
  }
  return out;
}

void replace_all(TextResult& out, const RE2& regexp, Text text, const std::string& rewrite) {
  std::string wrong;
  if (!regexp.ok()) return out.fail(mistake(regexp));
  if (!regexp.CheckRewriteString(rewrite, &wrong)) return out.fail("the replacement is wrong: " + wrong);
  // By hand instead of RE2::GlobalReplace, so that the limit of the result holds while it grows.
  constexpr int groups = 10;
  std::array<re2::StringPiece, groups> match;
  const int wanted = 1 + RE2::MaxSubmatch(rewrite);
  std::string replaced;
  std::size_t at = 0;
  std::size_t copied = 0;
  while (at <= text.size() && !out.too_long() &&
         regexp.Match(piece(text), at, text.size(), RE2::UNANCHORED, match.data(), wanted)) {
    const auto start = static_cast<std::size_t>(match[0].data() - text.data());
    out.append(text.substr(copied, start - copied));
    replaced.clear();
    regexp.Rewrite(&replaced, rewrite, match.data(), wanted);
    out.append(replaced);
    copied = start + match[0].size();
    at = copied;
    if (match[0].empty()) {
      // An empty match: the next character, of one byte or more, stays and the search goes on behind it.
      std::size_t next = copied + 1;
      while (next < text.size() && (static_cast<unsigned char>(text[next]) & 0xC0) == 0x80) ++next;
      if (copied < text.size()) out.append(text.substr(copied, next - copied));
      at = copied = next;
    }
  }
  if (copied < text.size()) out.append(text.substr(copied));
}

Bound regexp_replace(const Binding& call) {
  auto found = patterns(call);
  if (!found) return tl::unexpected(found.error());
  const auto constant = call.constant_text(2);
  const std::optional<std::string> rewrite = constant ? std::optional{rewrite_of(*constant)} : std::nullopt;
  if (const auto pattern = call.constant_text(1); pattern && rewrite) {
    std::string wrong;
    if (!found->of(*pattern).CheckRewriteString(*rewrite, &wrong)) {
      return tl::unexpected(ArgumentError{2, "the replacement is wrong: " + wrong});
    }
  }
  return text_rows<Text, Text, Text>(
      [patterns = std::move(*found), rewrite](TextResult& out, Text text, Text pattern, Text replacement) {
        if (rewrite) return replace_all(out, patterns.of(pattern), text, *rewrite);
        replace_all(out, patterns.of(pattern), text, rewrite_of(replacement));
      });
}

}  // namespace

void add_regexp_functions(std::vector<Function>& table) {
  const Parameter s{"s", Accepts::string};
  const Parameter pattern{"pattern", Accepts::string};
  table.push_back({"regexp_like",
                   "text",
                   "Whether the regular expression (RE2) matches anywhere in s.",
                   "regexp_like('error 503', '5[0-9][0-9]')",
                   {{{s, pattern}, Kind::boolean, like}}});
  table.push_back(
      {"regexp_extract",
       "text",
       "The first match, or the given group of it (0 is the whole match, the default); NULL without a match.",
       "regexp_extract('status=503', 'status=([0-9]+)', 1) = '503'",
       {{{s, pattern, {"group", Accepts::int64}}, Kind::string, regexp_extract, 1}}});
  table.push_back({"regexp_replace",
                   "text",
                   "With every match replaced; $1 or \\1 in the replacement is the first group, $0 the match.",
                   "regexp_replace('2010-07', '([0-9]+)-([0-9]+)', '$2/$1') = '07/2010'",
                   {{{s, pattern, {"replacement", Accepts::string}}, Kind::string, regexp_replace}}});
}

}  // namespace dataflow::expr
