// Patterns and event time: order, lateness, what runs out of time, the end; and state.
#include <doctest/doctest.h>

#include "tests/unit/patterns/matching.hpp"

namespace dataflow {
namespace {

using pattern_tests::Input;
using pattern_tests::Matching;
using pattern_tests::Node;

const Node small_then_large{.pattern = "small+ large",
                            .define = R"t(small = "v < 10", large = "v > 50")t",
                            .measures = R"t(smalls = "count(small.*)", amount = "large.v")t",
                            .within = "100us"};

const Node unconfirmed{.pattern = "payment !confirm",
                       .define = R"t(payment = "kind = 'payment'", confirm = "kind = 'confirm'")t",
                       .measures = R"t(amount = "payment.v")t",
                       .within = "100us"};

TEST_CASE("rows are matched in the order of event time, whatever the order in which they come") {
  Matching matching{small_then_large};
  matching.push({{"a", "", 60, 30}, {"a", "", 2, 20}});
  matching.push({{"a", "", 1, 10}});
  CHECK(matching.results() == "");
  matching.watermark(30);
  CHECK(matching.results() == "a 2 60");
}

TEST_CASE("rows of one time are matched in the order in which they came") {
  Matching matching{small_then_large};
  matching.push({{"a", "", 1, 10}, {"a", "", 60, 10}, {"b", "", 60, 10}, {"b", "", 1, 10}});
  matching.drain();
  CHECK(matching.results() == "a 1 60");
}

TEST_CASE("a row waits until the watermark has passed it") {
  Matching matching{small_then_large};
  matching.push({{"a", "", 1, 10}, {"a", "", 60, 20}, {"a", "", 1, 30}, {"a", "", 70, 40}});
  matching.watermark(19);
  CHECK(matching.results() == "");
  matching.watermark(20);
  CHECK(matching.results() == "a 1 60");
  matching.watermark(100);
  CHECK(matching.results() == "a 1 70");
}

TEST_CASE("keys do not see each other's rows, and NULL is a key") {
  Matching matching{small_then_large};
  matching.push(
      {{"a", "", 1, 1}, {std::nullopt, "", 2, 2}, {"b", "", 60, 3}, {std::nullopt, "", 70, 4}, {"a", "", 80, 5}});
  matching.drain();
  CHECK(matching.results() == "NULL 1 70; a 1 80");
}

TEST_CASE("without key_by all rows are one sequence") {
  Node node = small_then_large;
  node.key_by = "";
  Matching matching{node};
  matching.push({{"a", "", 1, 1}, {"b", "", 60, 3}});
  matching.drain();
  CHECK(matching.results() == "1 60");
}

TEST_CASE("a row at or before the watermark is late: counted, handed on whole, and not matched") {
  Matching matching{small_then_large};
  matching.push({{"a", "", 1, 10}});
  matching.watermark(20);
  matching.push({{"a", "", 60, 20}, {"a", "", 70, 21}, {"a", "", 5, 3}});
  matching.watermark(30);
  CHECK(matching.results() == "a 1 70");
  CHECK(matching.late() == "a  60 20; a  5 3");
  CHECK(matching.counted("late") == 2);
}

TEST_CASE("a match's last row comes less than `within` after its first one") {
  Matching matching{small_then_large};
  matching.push({{"a", "", 1, 0}, {"a", "", 60, 99}, {"b", "", 1, 0}, {"b", "", 60, 100}});
  matching.drain();
  CHECK(matching.results() == "a 1 60");
}

TEST_CASE("what runs out of time goes to the timeout output, once the watermark says so") {
  Matching matching{small_then_large};
  matching.push({{"a", "", 1, 10}, {"a", "", 2, 20}});
  matching.watermark(108);
  CHECK(matching.timeouts() == "");
  matching.watermark(109);
  CHECK(matching.event_times(patterns::pattern_timeout_output) == std::vector<std::int64_t>{109});
  CHECK(matching.timeouts() == "a 2 NULL");
  matching.drain();
  CHECK(matching.timeouts() == "a 1 NULL");
  CHECK(matching.results() == "");
}

TEST_CASE("the absence of a row is found when the time for it is over") {
  Matching matching{unconfirmed};
  matching.push({{"a", "payment", 7, 10}, {"b", "payment", 8, 20}, {"b", "note", 0, 30}, {"b", "confirm", 0, 119}});
  matching.push({{"c", "payment", 9, 20}, {"c", "confirm", 0, 120}});
  matching.watermark(108);
  CHECK(matching.results() == "");
  matching.watermark(109);
  CHECK(matching.results() == "a 7");
  matching.watermark(1000);
  CHECK(matching.event_times() == std::vector<std::int64_t>{119});
  CHECK(matching.results() == "c 9");
  CHECK(matching.timeouts() == "");
}

TEST_CASE("a result carries the time at which it was decided, so that it is never late itself") {
  Node node{.pattern = "a b*", .define = R"t(a = "v = 1", b = "v = 2")t", .within = "100us"};
  Matching matching{node};
  matching.push({{"x", "", 1, 10}, {"x", "", 2, 20}, {"x", "", 3, 50}, {"x", "", 1, 60}});
  matching.drain();
  CHECK(matching.event_times() == std::vector<std::int64_t>{50, 159});
}

TEST_CASE("a bounded input ends with the end of all time, which decides everything") {
  Matching matching{{.pattern = "a b?", .define = R"t(a = "v = 1", b = "v = 2")t", .within = ""}};
  matching.push({{"x", "", 1, 10}, {"y", "", 1, 5}});
  matching.watermark(10);
  CHECK(matching.results() == "");
  matching.drain();
  CHECK(matching.event_times() == std::vector<std::int64_t>{11, 11});
  CHECK(matching.results() == "y 1 1 1; x 1 1 1");
}

TEST_CASE("partial matches and waiting rows go through a checkpoint") {
  Matching matching{small_then_large};
  matching.push({{"a", "", 1, 10}, {"b", "", 1, 10}, {"a", "", 2, 20}, {"a", "", 60, 40}});
  matching.watermark(30);
  matching.restore(matching.save());
  matching.push({{"b", "", 70, 35}, {"b", "", 80, 30}});
  CHECK(matching.late() == "b  80 30");
  matching.restore(matching.save());
  matching.watermark(50);
  CHECK(matching.results() == "b 1 70; a 2 60");
}

TEST_CASE("the time of a partial match is up after a checkpoint too") {
  Matching matching{unconfirmed};
  matching.push({{"a", "payment", 1, 10}, {"b", "payment", 2, 5}});
  matching.watermark(50);
  matching.restore(matching.save());
  matching.watermark(1000);
  CHECK(matching.results() == "b 2; a 1");
}

TEST_CASE("the state of another pattern is refused") {
  Matching matching{small_then_large};
  matching.push({{"a", "", 1, 10}});
  const std::string saved = matching.save();
  Node other = small_then_large;
  other.pattern = "small large";
  Matching changed{other};
  CHECK_THROWS_WITH(changed.restore(saved), doctest::Contains("the pattern was another one"));
  Node wider = small_then_large;
  wider.within = "200us";
  Matching widened{wider};
  CHECK_NOTHROW(widened.restore(saved));
}

TEST_CASE("an output that is full stops the operator, and nothing is lost") {
  Matching matching{{.pattern = "a", .define = R"t(a = "TRUE")t", .measures = R"t(v = "v")t"}};
  matching.out.always_full = true;
  std::vector<Input> rows;
  for (int i = 0; i < 5000; ++i) rows.push_back({"x", "", i, i});
  matching.push(rows);
  matching.drain();
  std::size_t results = 0;
  for (const BatchPtr& batch : matching.out.batches[0]) results += batch->rows();
  CHECK(results == 5000);
  CHECK(matching.out.batches[0].size() > 3);
}

TEST_CASE("a key with more partial matches than allowed fails the job") {
  Node node{.pattern = "a a* b", .define = R"t(a = "v = 1", b = "v = 2")t"};
  node.more = "max_partial_matches = 10";
  Matching matching{node};
  std::vector<Input> rows;
  for (int i = 0; i < 20; ++i) rows.push_back({"x", "", 1, i});
  matching.push(rows);
  const Error error = matching.error_of_watermark(100);
  CHECK(error.code() == ErrorCode::invalid_argument);
  CHECK(error.message().find("more than 10 partial matches: shorten `within`") != std::string::npos);
  CHECK(error.message().find(R"t(in record {"key":"x")t") != std::string::npos);
}

}  // namespace
}  // namespace dataflow
