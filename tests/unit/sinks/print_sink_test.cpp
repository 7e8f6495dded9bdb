#include "libdataflow/sinks/print_sink.hpp"

#include <doctest/doctest.h>

#include <unistd.h>
#include <csignal>
#include <cstdio>

#include "libdataflow/sinks/discard_sink.hpp"
#include "tests/unit/sinks/sinking.hpp"

using namespace dataflow;
using namespace dataflow::testing;

namespace {

std::string text_of(std::FILE* file) {
  std::string text;
  std::rewind(file);
  for (int c = std::fgetc(file); c != EOF; c = std::fgetc(file)) text += static_cast<char>(c);
  return text;
}

}  // namespace

TEST_CASE("rows are printed at once, with one heading over all subtasks") {
  std::FILE* file = std::tmpfile();
  PrintSinkSpec spec{city_schema(), OutputFormat::csv, false, file};
  const auto factory = make_print_sink(spec);
  NoOutput none;
  REQUIRE(factory->create()->process(0, cities({{"a", 1}}), none));
  REQUIRE(factory->create()->process(0, cities({{"b", 2}}), none));
  CHECK(text_of(file) == "city,n\na,1\nb,2\n");
  std::fclose(file);
}

TEST_CASE("a reader that has gone away is an error that says so") {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  ::close(ends[0]);
  const auto handler = std::signal(SIGPIPE, SIG_IGN);
  std::FILE* file = ::fdopen(ends[1], "w");
  NoOutput none;
  const auto step =
      make_print_sink({city_schema(), OutputFormat::json, false, file})->create()->process(0, cities({{"a", 1}}), none);
  REQUIRE_FALSE(step);
  CHECK(step.error().message() == "standard output was closed by the program that reads it");
  std::fclose(file);
  std::signal(SIGPIPE, handler);
}

TEST_CASE("a full device is an error") {
  std::FILE* file = std::fopen("/dev/full", "w");
  REQUIRE(file != nullptr);
  NoOutput none;
  const auto step =
      make_print_sink({city_schema(), OutputFormat::json, false, file})->create()->process(0, cities({{"a", 1}}), none);
  REQUIRE_FALSE(step);
  CHECK(step.error().message().find("No space left on device") != std::string::npos);
  std::fclose(file);
}

TEST_CASE("discard takes everything") {
  NoOutput none;
  const auto step = make_discard_sink()->create()->process(0, cities({{"a", 1}}), none);
  REQUIRE(step);
  CHECK(*step == Step::done);
}
