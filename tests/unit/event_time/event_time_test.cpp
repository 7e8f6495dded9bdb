// Where a source's event time comes from, and what happens to records without one.
#include <doctest/doctest.h>

#include "libdataflow/runtime/local_executor.hpp"
#include "tests/support/batches.hpp"
#include "tests/support/late_keys.hpp"
#include "tests/support/scripted_source.hpp"

using namespace dataflow;
using namespace dataflow::testing_support;
using namespace std::chrono_literals;

namespace {

const SchemaPtr lines = make_schema({{"line", TypeKind::string}});

EventTimeSpec time_in_line() {
  return {.expression = Expression::compile("CAST(split_part(line, ' ', 1) AS timestamp)", *lines).value()};
}

SourceFactoryPtr source_of(BatchPtr batch) {
  return std::make_shared<ScriptedSource>(std::vector<Script>{{std::move(batch)}});
}

}  // namespace

TEST_CASE("event time may be computed from a line of text") {
  GraphBuilder b;
  b.source("in", lines, source_of(make_batch(lines, {{"2026-03-02T10:00:00Z start"}, {"2026-03-02T10:00:05Z stop"}})),
           time_in_line());
  const auto out = b.collect("out", {"in"});
  REQUIRE(LocalExecutor::create(b.graph).value()->run());
  REQUIRE(out->batches.size() == 1);
  CHECK(out->batches[0]->timestamp(0) == parse_iso8601("2026-03-02T10:00:00Z").value());
  CHECK(out->batches[0]->timestamp(1) == parse_iso8601("2026-03-02T10:00:05Z").value());
}

TEST_CASE("a line whose time cannot be computed fails the job with the line") {
  GraphBuilder b;
  b.source("in", lines, source_of(make_batch(lines, {{"yesterday start"}})), time_in_line());
  b.collect("out", {"in"});
  const Status status = LocalExecutor::create(b.graph).value()->run();
  REQUIRE_FALSE(status);
  CHECK(status.error().message().find("split-0, step 1: the event time CAST(split_part(line, ' ', 1) AS timestamp): "
                                      "'yesterday' is not a timestamp") != std::string::npos);
}

TEST_CASE("skipped lines without time leave the others with theirs") {
  GraphBuilder b;
  StreamNode& source = b.source(
      "in", lines, source_of(make_batch(lines, {{"2026-03-02T10:00:00Z a"}, {"b"}, {"2026-03-02T10:00:02Z c"}})),
      time_in_line());
  source.source->on_error = ErrorPolicy::skip;
  const auto out = b.collect("out", {"in"});
  REQUIRE(LocalExecutor::create(b.graph).value()->run());
  REQUIRE(out->batches.size() == 1);
  REQUIRE(out->batches[0]->rows() == 2);
  CHECK(out->batches[0]->column(0).text(1) == "2026-03-02T10:00:02Z c");
  CHECK(out->batches[0]->timestamp(1) == parse_iso8601("2026-03-02T10:00:02Z").value());
}
