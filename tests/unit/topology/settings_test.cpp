#include "libdataflow/topology/checked_settings.hpp"

namespace dataflow {
namespace {

struct Checked {
  SettingsCheck result;
  std::vector<Diagnostic> diagnostics;
  const CheckedSettings& settings() const { return result.settings; }
};

Checked checked(const std::string& text, const std::vector<Option>& options, bool extra_keys = false) {
  Checked out;
  const TomlValue root = std::move(*parse_toml("t.toml", text));
  SettingsRules rules;
  for (const Option& option : options) rules.options.push_back(&option);
  rules.what = "a thing";
  rules.extra_keys = extra_keys;
  out.result = check_settings(root, root.place, rules, "/base", out.diagnostics);
  return out;
}

TEST_CASE("each kind is read, and defaults stand in") {
  const auto c = checked(
      "t = \"text\"\nn = 3\nd = \"10s\"\ns = \"64MiB\"\np = \"x/../y\"\nl = \"one\"\nm = { b = \"1\", a = \"2\" }\n"
      "r = [ { x = 1, at = 2010-01-01T00:00:00Z } ]\nnested = { inner = 1.5 }\n",
      {{.name = "t"},
       {.name = "n", .kind = OptionKind::number},
       {.name = "d", .kind = OptionKind::duration},
       {.name = "s", .kind = OptionKind::size},
       {.name = "p", .kind = OptionKind::path},
       {.name = "l", .kind = OptionKind::text_list},
       {.name = "m", .kind = OptionKind::text_table},
       {.name = "r", .kind = OptionKind::rows},
       {.name = "nested",
        .kind = OptionKind::table,
        .nested = {{.name = "inner", .kind = OptionKind::number},
                   {.name = "flag", .kind = OptionKind::flag, .default_value = "true"}}},
       {.name = "w", .kind = OptionKind::duration, .default_value = "1h"},
       {.name = "absent"}});
  REQUIRE(c.diagnostics.empty());
  CHECK(c.settings().text("t") == "text");
  CHECK(c.settings().number("n") == 3.0);
  CHECK(c.settings().duration("d") == std::chrono::seconds{10});
  CHECK(c.settings().size("s") == 64ULL << 20);
  CHECK(c.settings().text("p") == "/base/y");
  CHECK(c.settings().text_list("l") == std::vector<std::string>{"one"});
  CHECK(c.settings().text_table("m") == std::vector<std::pair<std::string, std::string>>{{"b", "1"}, {"a", "2"}});
  REQUIRE(c.settings().rows("r").size() == 1);
  CHECK(c.settings().rows("r")[0].members[0].second == Value{std::int64_t{1}});
  CHECK(std::get<std::string>(c.settings().rows("r")[0].members[1].second) == "2010-01-01T00:00:00Z");
  CHECK(c.settings().table("nested").number("inner") == 1.5);
  CHECK(c.settings().table("nested").flag("flag"));
  CHECK(c.settings().duration("w") == std::chrono::hours{1});
  CHECK_FALSE(c.settings().has("absent"));
}

TEST_CASE("every mistake of a table is reported") {
  const auto c = checked("a = 1\nb = \"x\"\nc = 5\nd = \"red\"\ne = \"1 parsec\"\n",
                         {{.name = "a"},
                          {.name = "b", .kind = OptionKind::integer},
                          {.name = "c", .kind = OptionKind::duration},
                          {.name = "d", .kind = OptionKind::choice, .choices = {"read", "write"}},
                          {.name = "e", .kind = OptionKind::size},
                          {.name = "f", .required = true}});
  REQUIRE(c.diagnostics.size() == 6);
  CHECK_FALSE(c.result.ok);
  CHECK(c.diagnostics[0].message == "\"a\" must be a text, not an integer");
  CHECK(c.diagnostics[2].suggestion == "write a unit: \"5s\"");
  CHECK(c.diagnostics[3].suggestion == "did you mean \"read\"?");
  CHECK(c.diagnostics[5].message == "a thing needs \"f\"");
}

TEST_CASE("an empty path or name, and a number that is none, are mistakes") {
  const auto c = checked("p = \"\"\nm = { \"\" = \"1\", a = \"2\" }\nn = nan\ni = -inf\n",
                         {{.name = "p", .kind = OptionKind::path, .example = "\"data.csv\""},
                          {.name = "m", .kind = OptionKind::text_table},
                          {.name = "n", .kind = OptionKind::number},
                          {.name = "i", .kind = OptionKind::number}});
  REQUIRE(c.diagnostics.size() == 4);
  CHECK(c.diagnostics[0].message == "\"p\" is empty");
  CHECK(c.diagnostics[0].suggestion == "for example p = \"data.csv\"");
  CHECK(c.diagnostics[0].span.column == 5);
  CHECK(c.diagnostics[1].message == "a name in \"m\" is empty");
  CHECK(c.diagnostics[1].span.column == 7);
  CHECK(c.diagnostics[2].message == "\"n\" must be a number, not nan");
  CHECK(c.diagnostics[3].message == "\"i\" must be a number, not inf");
  CHECK_FALSE(c.result.ok);
}

TEST_CASE("a misspelt required key is one mistake, not two") {
  const auto c = checked("wher = \"x\"\n", {{.name = "where", .required = true}});
  REQUIRE(c.diagnostics.size() == 1);
  CHECK(c.diagnostics[0].message == "unknown key \"wher\" in a thing");
  CHECK(c.diagnostics[0].suggestion == "did you mean \"where\"?");
  CHECK_FALSE(c.result.ok);
}

TEST_CASE("unknown keys are kept as JSON where a type takes its own") {
  const auto c =
      checked("a = 1\nx = { y = [1.5, \"z\"], t = true }\n", {{.name = "a", .kind = OptionKind::integer}}, true);
  CHECK(c.diagnostics.empty());
  CHECK(c.settings().extra_keys_json() == R"({"x":{"y":[1.5,"z"],"t":true}})");
}

TEST_CASE("sizes") {
  CHECK(parse_size("64MiB").value() == 64ULL << 20);
  CHECK(parse_size("1.5 KiB").value() == 1536);
  CHECK(parse_size("10GB").value() == 10'000'000'000ULL);
  for (const char* wrong : {"", "MiB", "-1B", "1", "1 XB", "1e400B", "99999999999TiB"}) {
    CAPTURE(wrong);
    CHECK_FALSE(parse_size(wrong));
  }
  for (const std::string& text : {std::string{"99999999999TiB"}, "1" + std::string(400, '0') + " B"})
    CHECK(parse_size(text).error().message() == "the size \"" + text + "\" is too large");
}

}  // namespace
}  // namespace dataflow
