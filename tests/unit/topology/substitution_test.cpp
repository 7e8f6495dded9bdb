#include "libdataflow/topology/substitution.hpp"

#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <map>

namespace dataflow {
namespace {

struct Substituted {
  TomlValue root;
  Secrets secrets;
  std::vector<Diagnostic> diagnostics;
};

Substituted substituted(const std::string& text, const std::map<std::string, std::string>& variables) {
  Substituted result;
  result.root = std::move(*parse_toml("t.toml", text));
  const EnvironmentLookup environment = [&](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional{found->second};
  };
  substitute(result.root, environment, "/", result.secrets, result.diagnostics);
  return result;
}

TEST_CASE("variables are put in after parsing and cannot change the structure") {
  const auto result = substituted("a = \"x ${A} y\"\nb = \"${B:-8}\"\n", {{"A", "\"\n[sources.evil]\n"}});
  CHECK(result.diagnostics.empty());
  CHECK(result.root.members.size() == 2);
  CHECK(result.root.find("a")->text == "x \"\n[sources.evil]\n y");
  CHECK(result.root.find("a")->written == "x ${A} y");
  CHECK(result.root.find("b")->text == "8");
}

TEST_CASE("two dollars are one, and a lone one stays") {
  const auto result = substituted("a = \"$${A} $1 $\"\n", {});
  CHECK(result.diagnostics.empty());
  CHECK(result.root.find("a")->text == "${A} $1 $");
}

TEST_CASE("values are not searched for variables again") {
  CHECK(substituted("a = \"${A}\"\n", {{"A", "${B}"}}).root.find("a")->text == "${B}");
}

TEST_CASE("every variable that is not set is a mistake at its place") {
  const auto result = substituted("a = \"x ${A}\"\nb = [\"${B}\"]\nc = \"${}\"\nd = \"${C\"\n", {});
  REQUIRE(result.diagnostics.size() == 4);
  CHECK(result.diagnostics[0].message == "the environment variable A is not set");
  CHECK(result.diagnostics[0].span.column == 8);
  CHECK(result.diagnostics[0].span.length == 4);
  CHECK(result.diagnostics[1].span.line == 2);
  CHECK(result.root.find("a")->unresolved);
}

TEST_CASE("a file's text is put in without its last newline") {
  const std::string path = "topology_secret_" + std::to_string(getpid()) + ".txt";
  const std::string absolute = std::filesystem::absolute(path).string();
  std::ofstream{path} << "s3cret\n";
  const auto result = substituted("a = \"${file:" + absolute + "}\"\nb = \"${file:/no/such}\"\n", {});
  std::remove(path.c_str());
  CHECK(result.root.find("a")->text == "s3cret");
  REQUIRE(result.diagnostics.size() == 1);
  CHECK(result.diagnostics[0].message == "cannot read the file /no/such: it does not exist");
  CHECK(result.secrets.redact("got s3cret") == "got ${file:" + absolute + "}");
}

TEST_CASE("what was put in is hidden, the longest first; short values only where they stand alone") {
  Secrets secrets;
  secrets.add("pass", "${A}");
  secrets.add("password", "${B}");
  secrets.add("5", "${N}");
  secrets.add("data", "${D}", false);
  CHECK(secrets.redact("password pass") == "${B} ${A}");
  CHECK(secrets.redact("x > 5, 25m") == "x > ${N}, 25m");
  CHECK(secrets.redact("data") == "data");
  CHECK(secrets.redact_all("data") == "${D}");
}

TEST_CASE("a piece of a value that a parser quotes is hidden too") {
  Secrets secrets;
  secrets.add("hush-hush in", "${S}");
  CHECK(secrets.redact_pieces("no column \"hush\" in \"readings\"", "${S} > 23") ==
        "no column \"${S}\" in \"readings\"");
  CHECK(secrets.redact_pieces("no column \"x\" in \"s\"", "x > ${S}") == "no column \"x\" in \"s\"");
  CHECK(secrets.redact_pieces("hush is wrong", "hush ${S}") == "hush is wrong");
}

}  // namespace
}  // namespace dataflow
