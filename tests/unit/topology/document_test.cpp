#include "libdataflow/topology/document.hpp"

#include "libdataflow/topology/text_position.hpp"

namespace dataflow {
namespace {

TomlValue parsed(const std::string& text) {
  auto value = parse_toml("t.toml", text);
  REQUIRE(value);
  return std::move(*value);
}

TEST_CASE("members keep the order of the file") {
  const TomlValue root = parsed("z = 1\na = { y = 1, b = 2 }\n[m]\n[b]\n");
  REQUIRE(root.members.size() == 4);
  CHECK(root.members[0].key == "z");
  CHECK(root.members[1].key == "a");
  CHECK(root.members[1].value.members[0].key == "y");
  CHECK(root.members[2].key == "m");
  CHECK(root.members[3].key == "b");
}

TEST_CASE("a place inside of a text is counted in characters of the file") {
  const TomlValue root = parsed("\"ä\" = \"x\"\nwhere = \"ö > 5\"\n");
  const SourceSpan place = place_within(*root.find("where"), 2, 2);  // behind the two bytes of ö: " >"
  CHECK(place.span.line == 2);
  CHECK(place.span.column == 11);
  CHECK(place.span.length == 2);
  CHECK(place.text->line(2) == "where = \"ö > 5\"");
}

/// "LINE:COLUMN+LENGTH" of `length` bytes of the text `key` from `offset` on.
std::string place(const TomlValue& root, std::string_view key, std::size_t offset, std::size_t length) {
  const FileSpan span = place_within(*root.find(key), offset, length).span;
  return std::to_string(span.line) + ":" + std::to_string(span.column) + "+" + std::to_string(span.length);
}

TEST_CASE("offsets into a text with escapes point at the whole value from the first escape on") {
  const TomlValue root = parsed("a = \"x \\\" y\"\nb = 'x \\ y'\nc = 'plain'\nd = \"\\\\\\\\d\"\n");
  CHECK(place(root, "a", 0, 1) == "1:6+1");
  CHECK(place(root, "a", 3, 1) == "1:5+8");
  CHECK(place(root, "a", 0, 5) == "1:5+8");
  CHECK(place(root, "b", 4, 1) == "2:10+1");
  CHECK(place(root, "c", 1, 3) == "3:7+3");
  CHECK(place(root, "c", 5, 1) == "3:11+1");
  CHECK(place(root, "c", 6, 1) == "3:5+7");
  CHECK(place(root, "d", 2, 1) == "4:5+7");
}

TEST_CASE("offsets into a text of several lines point at the line and column in the file") {
  const TomlValue root =
      parsed("a = '''\nx\nö > y'''\nb = \"\"\"first\n  second\n\"\"\"\nc = \"\"\"\none \\\n  two\"\"\"\n");
  CHECK(place(root, "a", 0, 1) == "2:1+1");
  CHECK(place(root, "a", 5, 3) == "3:3+3");
  CHECK(place(root, "b", 0, 5) == "4:8+5");
  CHECK(place(root, "b", 8, 6) == "5:3+6");
  // A piece of two lines is marked as far as its first one goes, one behind the end at the closing quotes.
  CHECK(place(root, "b", 0, 14) == "4:8+5");
  CHECK(place(root, "b", 15, 1) == "6:1+1");
  // The backslash swallows the line's end and the blanks behind it.
  CHECK(place(root, "c", 0, 3) == "8:1+3");
  CHECK(place(root, "c", 4, 3) == "7:5+3");
}

TEST_CASE("a file with the line ends of Windows has its places too") {
  const TomlValue root = parsed("a = '''\r\nx\r\n  yy'''\r\nb = 'z'\r\n");
  CHECK(root.find("a")->text == "x\n  yy");
  CHECK(place(root, "a", 0, 1) == "2:1+1");
  CHECK(place(root, "a", 4, 2) == "3:3+2");
  CHECK(place(root, "b", 0, 1) == "4:6+1");
}

TEST_CASE("a mistake in TOML's grammar has its place") {
  const auto broken = parse_toml("t.toml", "a = 1\nb = \n");
  REQUIRE_FALSE(broken);
  CHECK(broken.error().span.line == 2);
  CHECK(broken.error().message.rfind("not valid TOML: ", 0) == 0);
}

TEST_CASE("a table that cannot be, because a value has its name, is marked at its header") {
  for (const std::string text :
       {"sources = 3\n  [sources.r]\ntype = 1\n", "sources = 3\n  [sources.r]\n[sources.r.x]\n",
        "sources = 3\n  [sources.r]", "[sources]\n  [sources]\n[sources]"}) {
    const auto broken = parse_toml("t.toml", text);
    REQUIRE_FALSE(broken);
    CHECK(broken.error().message.find("cannot redefine existing") != std::string::npos);
    CHECK(broken.error().span.line == 2);
  }
}

std::string repeated(std::string_view text, std::size_t count) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) out += text;
  return out;
}

TEST_CASE("a key of twenty thousand parts is a mistake and does not end the process") {
  const std::string many = repeated("a.", 20'000);
  for (const std::string& text : {many + "a=1", "[" + many + "a]", "x = { " + many + "a = 1 }"}) {
    const auto refused = parse_toml("t.toml", "b = 1\n" + text);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message == "a key of more than 64 parts");
    CHECK(refused.error().span.line == 2);
    CHECK(refused.error().source_line.substr(refused.error().span.column - 1, 2) == ".a");
  }
  TomlValue root = parsed("");
  const auto refused = apply_override(root, many + "a=1");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message == "a key of more than 64 parts");
  REQUIRE(parse_toml("t.toml", repeated("a.", 63) + "a = 1"));
}

TEST_CASE("values nested too deep are a mistake, also where each key has a few parts") {
  for (const auto& [opening, closing] : {std::pair{"[", "]"}, std::pair{"{ a.a.a.a = ", "}"}}) {
    const auto refused = parse_toml("t.toml", "x = " + repeated(opening, 10'000) + "1" + repeated(closing, 10'000));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message == "values nested in more than 256 levels");
  }
}

TEST_CASE("dots that part no key do not count") {
  const std::string dots(1'000, '.');
  const TomlValue root =
      parsed("a = \"\\\"" + dots + "\" # " + dots + "\nb = '" + dots + "'\nc = \"\"\"\"" + dots +
             "\"\"\"\"\"\nd = '''" + dots + "''''\ne.\"" + dots + "\" = [" + repeated("1.5, ", 1'000) + "]\n");
  CHECK(root.find("a")->text == "\"" + dots);
  CHECK(root.find("b")->text == dots);
  CHECK(root.find("c")->text == "\"" + dots + "\"\"");
  CHECK(root.find("d")->text == dots + "'");
  CHECK(root.find("e")->find(dots)->items.size() == 1'000);
  TomlValue empty = parsed("");
  REQUIRE(apply_override(empty, "a=x" + dots));
  CHECK(empty.find("a")->text == "x" + dots);
}

TEST_CASE("a line of many values has the place of each") {
  std::string text = "a = [";
  for (int i = 0; i < 1'000; ++i) text += "\"ö\", ";
  const TomlValue root = parsed(text + "]\n");
  for (const std::size_t index : {0U, 1U, 42U, 500U, 999U}) {
    const TomlValue& item = root.find("a")->items[index];
    CHECK(item.place.span.column == 6 + 5 * index);
    CHECK(item.content == 6 + 6 * index);
  }
}

TEST_CASE("a diagnostic keeps the part of a long line that is around its place") {
  for (const std::string letter : {"a", "ö"}) {
    const TomlValue root =
        parsed("x = ['" + repeated(letter, 100'000) + "', 'WRONG', '" + repeated(letter, 100'000) + "']\n");
    const Diagnostic diagnostic = diagnose(Severity::error, root.find("x")->items[1].place, "m");
    CHECK(diagnostic.source_line.size() < 3'000);
    CHECK(diagnostic.span.column == 100'010);
    const std::string shown = render(diagnostic);
    CHECK(shown.find(":1:100010\n") != std::string::npos);
    const std::size_t line_start = shown.find("1 | ...");
    const std::string before = shown.substr(line_start, shown.find("'WRONG'") - line_start);
    const std::size_t caret_start = shown.find("  | ", line_start);
    CHECK(character_count(before) == shown.find('^', caret_start) - caret_start);
    CHECK(shown.find("...\n") != std::string::npos);
  }
}

TEST_CASE("--set replaces one key and leaves its neighbours") {
  TomlValue root = parsed("[operators.hot]\ntype = \"filter\"\nwhere = \"a > 1\"\n");
  REQUIRE(apply_override(root, "operators.hot.where=\"b > 2\""));
  const TomlValue& hot = *root.find("operators")->find("hot");
  CHECK(hot.find("where")->text == "b > 2");
  CHECK(hot.find("type")->text == "filter");
  CHECK(hot.find("where")->place.text->name == "--set");
}

TEST_CASE("--set takes any TOML value, and text without quotes") {
  TomlValue root = parsed("");
  REQUIRE(apply_override(root, "parallelism=4"));
  CHECK(root.find("parallelism")->integer == 4);
  REQUIRE(apply_override(root, "sources.r.path=data/x.csv"));
  CHECK(root.find("sources")->find("r")->find("path")->text == "data/x.csv");
  REQUIRE(apply_override(root, "a.b={ tumbling = \"1d\" }"));
  CHECK(root.find("a")->find("b")->find("tumbling")->text == "1d");
  REQUIRE(apply_override(root, "q=it's \"so\""));
  CHECK(root.find("q")->text == "it's \"so\"");
  REQUIRE(apply_override(root, "parallelism=8"));
  CHECK(root.find("parallelism")->integer == 8);
}

TEST_CASE("--set cannot smuggle in a second key") {
  TomlValue root = parsed("a = 1\n");
  CHECK_FALSE(apply_override(root, "a=1\n[sources.x]"));
  CHECK_FALSE(apply_override(root, "a"));
  CHECK_FALSE(apply_override(root, "=1"));
  CHECK_FALSE(apply_override(root, "a.b=1"));
  CHECK(root.members.size() == 1);
}

}  // namespace
}  // namespace dataflow
