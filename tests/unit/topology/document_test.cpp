#include "libdataflow/topology/document.hpp"

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

TEST_CASE("offsets into a text with escapes or over several lines point at the whole value") {
  const TomlValue root = parsed("a = \"x \\\" y\"\nb = '''\nx\ny'''\nc = 'plain'\n");
  CHECK_FALSE(root.find("a")->verbatim);
  CHECK_FALSE(root.find("b")->verbatim);
  CHECK(root.find("c")->verbatim);
  CHECK(place_within(*root.find("a"), 3, 1).span.column == 5);
  CHECK(place_within(*root.find("c"), 1, 3).span.column == 7);
}

TEST_CASE("a mistake in TOML's grammar has its place") {
  const auto broken = parse_toml("t.toml", "a = 1\nb = \n");
  REQUIRE_FALSE(broken);
  CHECK(broken.error().span.line == 2);
  CHECK(broken.error().message.rfind("not valid TOML: ", 0) == 0);
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
