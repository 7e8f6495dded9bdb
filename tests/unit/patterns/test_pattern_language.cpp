// Each construct of the pattern language, over rows given as letters: "1-3" is a match from the first row to the third.
#include <doctest/doctest.h>

#include "tests/unit/patterns/matching.hpp"

namespace dataflow {
namespace {

using pattern_tests::matches;
using pattern_tests::Matching;

TEST_CASE("variables side by side match rows that follow each other directly") {
  CHECK(matches("a b", "ab") == "1-2");
  CHECK(matches("a b", "acb") == "");
  CHECK(matches("a b c", "xabcxabc") == "2-4; 6-8");
}

TEST_CASE("an alternation matches either side, and prefers the left one") {
  CHECK(matches("a (b | c)", "abac") == "1-2; 3-4");
  CHECK(matches("a | a b", "ab") == "1-1");
  CHECK(matches("a b | a", "ab") == "1-2");
  CHECK(matches("a b | c", "cab") == "1-1; 2-3");
}

TEST_CASE("a quantifier takes as many rows as it can") {
  CHECK(matches("a+ b", "aaab") == "1-4");
  CHECK(matches("a* b", "baab") == "1-1; 2-4");
  CHECK(matches("a? b", "aab") == "2-3");
  CHECK(matches("a+", "aaaba") == "1-3; 5-5");
  CHECK(matches("a b*", "abbbc") == "1-4");
}

TEST_CASE("a reluctant quantifier takes as few rows as it can") {
  CHECK(matches("a+?", "aaa") == "1-1; 2-2; 3-3");
  CHECK(matches("a b*? c?", "abbc") == "1-1");
  CHECK(matches("a b*? c", "abbc") == "1-4");
  CHECK(matches("a{1,2}?", "aaa") == "1-1; 2-2; 3-3");
  CHECK(matches("a b??", "ab") == "1-1");
}

TEST_CASE("braces say how often") {
  CHECK(matches("a{2}", "aaaaa") == "1-2; 3-4");
  CHECK(matches("a{2,}", "aabaaa") == "1-2; 4-6");
  CHECK(matches("a{2,3}", "aaaaa") == "1-3; 4-5");
  CHECK(matches("(a b){2}", "ababab") == "1-4");
  CHECK(matches("c a{0,2} b", "cbcaab") == "1-2; 3-6");
}

TEST_CASE("groups nest and are repeated as a whole") {
  CHECK(matches("(a | b)+ c", "ababcac") == "1-5; 6-7");
  CHECK(matches("((a b)+ c)+", "ababcabcx") == "1-8");
  CHECK(matches("(a* b*)+ c", "aabbac") == "1-6");
}

TEST_CASE("when the preferred way comes to nothing, the next one counts") {
  CHECK(matches("a+ (b c)?", "aab") == "1-2");
  CHECK(matches("a b c | a", "abx") == "1-1");
  CHECK(matches("a b* c | a", "abbb") == "1-1");
}

TEST_CASE("in the middle, !x lets rows pass as long as none is an x") {
  CHECK(matches("a !b c", "axxc") == "1-4");
  CHECK(matches("a !b c", "ac") == "1-2");
  CHECK(matches("a !b c", "axbc") == "");
  CHECK(matches("a !(b | d) c", "axdcaxc", "", "abcd") == "5-7");
  CHECK(matches("a !b !d c", "axdcaxc", "", "abcd") == "5-7");
}

TEST_CASE("what stands behind !x may need a later row than the first that fits") {
  CHECK(matches("a !b c d", "acxcd", "", "abcd") == "1-5");
}

TEST_CASE("at the end, !x waits until the time is over") {
  CHECK(matches("a !b", "axx") == "1-1");
  CHECK(matches("a !b", "axb") == "");
  CHECK(matches("a b !c", "abab") == "1-2; 3-4");
  CHECK(matches("a !b | c !b", "caxb") == "");
}

TEST_CASE("after a match the search goes on behind its last row, unless it is told otherwise") {
  CHECK(matches("a+ b", "aab") == "1-3");
  CHECK(matches("a+ b", "aab", "skip_to_next_row") == "1-3; 2-3");
  CHECK(matches("a+ b", "aab", "skip_to_last(a)") == "1-3; 2-3");
  CHECK(matches("a+ b", "aab", "no_skip") == "1-3; 2-3");
  CHECK(matches("a b+ c", "abbc", "skip_to_first(b)") == "1-4");
  CHECK(matches("a+ b+", "aabab", "skip_to_last(a)") == "1-3; 2-3; 4-5");
  CHECK(matches("a b a", "ababa", "skip_to_last(a)") == "1-3; 3-5");
  CHECK(matches("a b a", "ababa") == "1-3");
}

TEST_CASE("with no_skip every possible match is given, each once") {
  CHECK(matches("a+ b*", "aab", "no_skip") == "1-1; 1-2; 2-2; 1-3; 2-3");
  CHECK(matches("a? a? b", "ab", "no_skip") == "1-2; 2-2");
}

TEST_CASE("a skip to where the match began, or to a variable it does not have, goes to the next row") {
  CHECK(matches("a (b | c) b?", "abab", "skip_to_first(c)") == "1-2; 3-4");
  CHECK(matches("a+ b", "ab", "skip_to_last(a)") == "1-2");
}

TEST_CASE("earlier attempts are decided before later matches are given") {
  // "ab" is complete at the second row, but a longer match may come that begins with the first.
  pattern_tests::Node node{.pattern = "a (b x y)? | b",
                           .define = R"t(a = "kind = 'a'", b = "kind = 'b'", x = "kind = 'x'", y = "kind = 'y'")t"};
  Matching matching{node};
  matching.push_kinds("abx");
  matching.watermark(3);
  CHECK(matching.results() == "");
  matching.push_kinds("z", 4);
  matching.watermark(4);
  CHECK(matching.results() == "x 1 1 1; x 1 2 2");
}

}  // namespace
}  // namespace dataflow
