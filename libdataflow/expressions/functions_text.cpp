#include <algorithm>
#include <cstring>

#include "libdataflow/expressions/arithmetic.hpp"
#include "libdataflow/expressions/byte_search.hpp"
#include "libdataflow/expressions/case_mapping.hpp"
#include "libdataflow/expressions/registry.hpp"
#include "libdataflow/expressions/rowwise.hpp"
#include "libdataflow/expressions/text_length.hpp"
#include "libdataflow/expressions/utf8.hpp"

namespace dataflow::expr {

namespace {

using Text = std::string_view;

template <void (*Map)(Text, std::string&)>
void mapped(TextResult& out, Text text) {
  thread_local std::string buffer;  // reused from row to row
  buffer.clear();
  Map(text, buffer);
  out.append(buffer);
}

/// Whether `text` starts with one of the characters of `set`; its bytes, or 0.
std::size_t starts_with_any(Text text, Text set) {
  const std::size_t bytes = utf8::character_bytes(text);
  return set.find(text.substr(0, bytes)) != Text::npos ? bytes : 0;
}

Text trim_start(Text text, Text set) {
  while (!text.empty()) {
    const std::size_t bytes = starts_with_any(text, set);
    if (bytes == 0) break;
    text.remove_prefix(bytes);
  }
  return text;
}

Text trim_end(Text text, Text set) {
  while (!text.empty()) {
    std::size_t start = text.size() - 1;
    while (start > 0 && text.size() - start < 4 && (static_cast<unsigned char>(text[start]) & 0xC0) == 0x80) --start;
    if (start + utf8::character_bytes(text.substr(start)) != text.size()) start = text.size() - 1;
    if (set.find(text.substr(start)) == Text::npos) break;
    text.remove_suffix(text.size() - start);
  }
  return text;
}

template <bool Start, bool End>
Text trim(Text text, Text set) {
  if (Start) text = trim_start(text, set);
  if (End) text = trim_end(text, set);
  return text;
}

template <bool Start, bool End>
Function trim_function(std::string name, std::string help, std::string example) {
  return {std::move(name),
          "text",
          std::move(help),
          std::move(example),
          {{{{"s", Accepts::string}}, Kind::string, always(text_rows<Text>([](TextResult& out, Text s) {
              out.append(trim<Start, End>(s, " "));
            }))},
           {{{"s", Accepts::string}, {"characters", Accepts::string}},
            Kind::string,
            always(text_rows<Text, Text>(
                [](TextResult& out, Text s, Text set) { out.append(trim<Start, End>(s, set)); }))}}};
}

/// Characters `start` (1 is the first) to `end`, without `end`, as SQL counts them: places before the first are empty.
Text characters(Text text, std::int64_t start, std::int64_t end) {
  if (end <= 1 || end <= start) return {};
  const auto skip = static_cast<std::size_t>(std::max<std::int64_t>(start, 1) - 1);
  const std::size_t from = utf8::offset_of(text, skip);
  text.remove_prefix(from);
  const auto count = static_cast<std::uint64_t>(end) - static_cast<std::uint64_t>(std::max<std::int64_t>(start, 1));
  if (count >= text.size()) return text;
  return text.substr(0, utf8::offset_of(text, count));
}

void substring_from(TextResult& out, Text text, std::int64_t start) {
  out.append(characters(text, start, INT64_MAX));
}

void substring(TextResult& out, Text text, std::int64_t start, std::int64_t count) {
  if (count < 0) return out.fail("the length of a substring cannot be negative");
  std::int64_t end = 0;
  if (__builtin_add_overflow(start, count, &end)) end = INT64_MAX;
  out.append(characters(text, start, end));
}

std::int64_t position(Text text, Text wanted) {
  const std::size_t at = text.find(wanted);
  return at == Text::npos ? 0 : static_cast<std::int64_t>(utf8::length(text.substr(0, at))) + 1;
}

/// Where `part` is in the text; of one letter, which is what is mostly asked for, without comparing it again.
std::size_t find(Text text, Text part) {
  return part.size() == 1 ? text.find(part.front()) : text.find(part);
}

void replace(TextResult& out, Text text, Text from, Text to) {
  if (from.empty()) return out.append(text);
  for (std::size_t at = find(text, from); at != Text::npos && !out.too_long(); at = find(text, from)) {
    out.append(text.substr(0, at));
    out.append(to);
    text.remove_prefix(at + from.size());
  }
  out.append(text);
}

void split_part(TextResult& out, Text text, Text separator, std::int64_t part) {
  if (part == 0) return out.fail("the first part is number 1, the last one -1");
  if (separator.empty()) {
    if (part == 1 || part == -1) out.append(text);
    return;
  }
  if (part > 0 && separator.size() == 1) return out.append(nth_part(text, separator.front(), part));
  if (part > 0) {
    for (; part > 1; --part) {
      const std::size_t at = find(text, separator);
      if (at == Text::npos) return;
      text.remove_prefix(at + separator.size());
    }
    return out.append(text.substr(0, find(text, separator)));
  }
  for (; part < -1; ++part) {
    const std::size_t at = text.rfind(separator);
    if (at == Text::npos) return;
    text.remove_suffix(text.size() - at);
  }
  const std::size_t at = text.rfind(separator);
  out.append(at == Text::npos ? text : text.substr(at + separator.size()));
}

ColumnPtr concat(KernelCall& call) {
  std::vector<Reader<Text>> readers;
  for (const Vector& argument : call.arguments) readers.emplace_back(argument);
  TextResult out{call};
  for (std::uint32_t row = 0; row < call.rows; ++row) {
    if (!call.is_valid(row)) continue;
    out.begin(row);
    for (const auto& reader : readers) out.append(reader[row]);
  }
  return out.finish();
}

template <class Test>
Function test_function(std::string name, std::string help, std::string example, Test test) {
  return {
      std::move(name),
      "text",
      std::move(help),
      std::move(example),
      {{{{"s", Accepts::string}, {"part", Accepts::string}}, Kind::boolean, always(map_rows<bool, Text, Text>(test))}}};
}

void add_case_functions(std::vector<Function>& table) {
  const Parameter s{"s", Accepts::string};
  table.push_back({"lower",
                   "text",
                   "In lower case.",
                   "lower('Zürich') = 'zürich'",
                   {{{s}, Kind::string, always(text_rows<Text>(mapped<append_lower>))}}});
  table.push_back({"upper",
                   "text",
                   "In upper case.",
                   "upper('Zürich') = 'ZÜRICH'",
                   {{{s}, Kind::string, always(text_rows<Text>(mapped<append_upper>))}}});
  table.push_back(trim_function<true, true>(
      "trim",
      "Without spaces, or without the given characters, at both ends. Also trim(BOTH | LEADING | TRAILING c FROM s).",
      "trim('  a ') = 'a'"));
  table.push_back(trim_function<true, false>("ltrim", "Without spaces, or without the given characters, at the start.",
                                             "ltrim('xxa', 'x') = 'a'"));
  table.push_back(trim_function<false, true>("rtrim", "Without spaces, or without the given characters, at the end.",
                                             "rtrim('a  ') = 'a'"));
}

}  // namespace

void add_text_functions(std::vector<Function>& table) {
  const Parameter s{"s", Accepts::string};
  const Parameter start{"start", Accepts::int64};
  add_case_functions(table);
  table.push_back({"length",
                   "text",
                   "The number of characters; of bytes for bytes.",
                   "length('Zürich') = 6",
                   {{{s}, Kind::int64, always(lengths_of_texts)},
                    {{{"b", Accepts::bytes}}, Kind::int64, always(map_rows<std::int64_t, Text>([](Text x) {
                       return static_cast<std::int64_t>(x.size());
                     }))}}});
  table.push_back({"substring",
                   "text",
                   "The characters from number start (the first is 1) on, at most count of them. Also substring(s FROM "
                   "start FOR count).",
                   "substring('stream', 2, 3) = 'tre'",
                   {{{s, start}, Kind::string, always(text_rows<Text, std::int64_t>(substring_from))},
                    {{s, start, {"count", Accepts::int64}},
                     Kind::string,
                     always(text_rows<Text, std::int64_t, std::int64_t>(substring))}}});
  table.push_back(
      {"position",
       "text",
       "The number of the character at which part first occurs in s, or 0. Also position(part IN s).",
       "position('stream', 'r') = 3",
       {{{s, {"part", Accepts::string}}, Kind::int64, always(map_rows<std::int64_t, Text, Text>(position))}}});
  table.push_back({"replace",
                   "text",
                   "With every occurrence of a text replaced by another.",
                   "replace('a-b-c', '-', '+') = 'a+b+c'",
                   {{{s, {"old", Accepts::string}, {"new", Accepts::string}},
                     Kind::string,
                     always(text_rows<Text, Text, Text>(replace))}}});
  table.push_back(
      {"split_part",
       "text",
       "Part number n of s cut at every separator; negative numbers count from the end; empty when there is no "
       "such part.",
       "split_part('a/b/c', '/', 2) = 'b'",
       {{{s, {"separator", Accepts::string}, {"n", Accepts::int64}},
         Kind::string,
         always(text_rows<Text, Text, std::int64_t>(split_part))}}});
  table.push_back({"concat",
                   "text",
                   "The texts joined; NULL when one of them is, as with ||.",
                   "concat('a', 'b', 'c') = 'abc'",
                   {{{s}, Kind::string, always(concat), 0, true}}});
  table.push_back(test_function("starts_with", "Whether s starts with the part.", "starts_with('stream', 'str')",
                                [](Text text, Text part) { return text.starts_with(part); }));
  table.push_back(test_function("ends_with", "Whether s ends with the part.", "ends_with('stream', 'am')",
                                [](Text text, Text part) { return text.ends_with(part); }));
}

}  // namespace dataflow::expr
