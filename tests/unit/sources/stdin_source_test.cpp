#include "libdataflow/sources/stdin_source.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include "libdataflow/formats/lines_decoder.hpp"
#include "tests/unit/sources/reading.hpp"

using namespace dataflow;
using dataflow::testing::CollectedOutput;
using dataflow::testing::FixedContext;

namespace {

StdinSourceSpec lines_from(int descriptor) {
  StdinSourceSpec spec;
  spec.decoder.format = TextFormat::lines;
  spec.decoder.fields = lines_fields();
  spec.descriptor = descriptor;
  return spec;
}

}  // namespace

TEST_CASE("a pipe is read as its lines come, and waited for without blocking") {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const auto source = make_stdin_source(lines_from(ends[0]));
  const auto reader = source->create_reader();
  FixedContext context;
  REQUIRE(reader->open(context));
  REQUIRE(reader->start_split({"stdin", ""}));
  CollectedOutput out;
  auto step = reader->poll(out);
  REQUIRE(step);
  CHECK(step->kind == SourceStep::Kind::wait);
  CHECK(step->until > context.now());

  REQUIRE(::write(ends[1], "one\ntw", 6) == 6);
  REQUIRE(reader->poll(out));
  CHECK(out.rows == "{\"line\":\"one\"}\n");
  CHECK(reader->poll(out)->kind == SourceStep::Kind::wait);

  REQUIRE(::write(ends[1], "o", 1) == 1);
  ::close(ends[1]);
  for (int i = 0; i < 5; ++i) step = reader->poll(out);
  CHECK(step->kind == SourceStep::Kind::split_end);
  CHECK(out.rows == "{\"line\":\"one\"}\n{\"line\":\"two\"}\n");
  ::close(ends[0]);
}

TEST_CASE("standard input has one split and one reader") {
  const auto source = make_stdin_source(lines_from(0));
  CHECK(source->max_readers() == 1);
  const auto enumerator = source->create_enumerator();
  REQUIRE(enumerator->open(4));
  CHECK(enumerator->next(2, Timestamp{})->kind == SplitEnumerator::Next::Kind::split);
  CHECK(enumerator->next(0, Timestamp{})->kind == SplitEnumerator::Next::Kind::done);
}
