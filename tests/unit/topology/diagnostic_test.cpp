#include "libdataflow/topology/diagnostic.hpp"

namespace dataflow {
namespace {

TEST_CASE("a mistake is shown with its line, a caret under what is wrong, and how to mend it") {
  const Diagnostic mistake{Severity::error,
                           "no column \"temprature\" in \"readings\"",
                           "topology.toml",
                           {18, 10, 10},
                           "where = \"temprature > 25\"",
                           "did you mean \"temperature\"?"};
  CHECK(render(mistake) ==
        "error: no column \"temprature\" in \"readings\"\n"
        "  --> topology.toml:18:10\n"
        "   |\n"
        "18 | where = \"temprature > 25\"\n"
        "   |          ^^^^^^^^^^ did you mean \"temperature\"?\n");
}

TEST_CASE("carets stand under the right characters behind letters of several bytes and tabs") {
  const Diagnostic mistake{Severity::warning, "m", "f", {3, 6, 2}, "\t\"äö\" xy", ""};
  CHECK(render(mistake) == "warning: m\n --> f:3:6\n  |\n3 |  \"äö\" xy\n  |      ^^\n");
}

TEST_CASE("control characters that a message quotes do not reach the terminal") {
  CHECK(render({Severity::error, "\"\x1b[31mred\" is no name", "a\x07.toml", {0, 0, 0}, "", "write\nred\x7f"}) ==
        "error: \"\\u001b[31mred\" is no name\n  --> a\\u0007.toml\n   = write\nred\\u007f\n");
}

TEST_CASE("of a very long line the part around the mistake is shown") {
  const std::string line = std::string(5000, 'a') + "WRONG" + std::string(5000, 'b');
  const std::string shown = render({Severity::error, "m", "f", {1, 5001, 5}, line, ""});
  CHECK(shown.size() < 500);
  CHECK(shown.find("aWRONGb") != std::string::npos);
  // The carets are below WRONG.
  const std::size_t line_start = shown.find("1 | ");
  const std::size_t caret_start = shown.find("  | ", line_start);
  CHECK(shown.find("WRONG", line_start) - line_start == shown.find('^', caret_start) - caret_start);
}

TEST_CASE("a mistake of the whole file needs no line") {
  CHECK(render({Severity::error, "cannot read it", "a.toml", {0, 0, 0}, "", "look there"}) ==
        "error: cannot read it\n  --> a.toml\n   = look there\n");
}

TEST_CASE("as JSON a mistake keeps its place") {
  CHECK(to_json({{Severity::error, "say \"no\"", "f", {2, 3, 4}, "line", ""}}) ==
        R"([{"severity":"error","message":"say \"no\"","file":"f","line":2,"column":3,"length":4,"suggestion":""}])");
  CHECK(to_json({}) == "[]");
}

}  // namespace
}  // namespace dataflow
