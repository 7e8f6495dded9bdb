#include "libdataflow/sources/generate_source.hpp"

#include <doctest/doctest.h>

#include "tests/unit/sources/reading.hpp"

using namespace dataflow;
using dataflow::testing::read_all;

namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

SourceFactoryPtr generator(const Fields& fields, std::uint64_t count, std::uint64_t seed = 0) {
  auto plan = plan_generator(fields);
  REQUIRE(plan);
  GenerateSourceSpec spec;
  spec.plan = std::move(*plan);
  spec.count = count;
  spec.seed = seed;
  spec.interval = std::chrono::seconds{1};
  return make_generate_source(std::move(spec));
}

}  // namespace

TEST_CASE("seq() counts from 0, time() goes on by the interval") {
  const auto got = read_all(*generator({{"id", "SEQ()"}, {"twice", "seq( ) * 2"}, {"at", "time()"}}, 3));
  CHECK(got.rows ==
        "{\"id\":0,\"twice\":0,\"at\":\"1970-01-01T00:00:00Z\"}\n"
        "{\"id\":1,\"twice\":2,\"at\":\"1970-01-01T00:00:01Z\"}\n"
        "{\"id\":2,\"twice\":4,\"at\":\"1970-01-01T00:00:02Z\"}\n");
}

TEST_CASE("rows are the same at any parallelism and batch size, and other with another seed") {
  const Fields fields{{"id", "seq()"}, {"x", "random()"}};
  const auto one = read_all(*generator(fields, 10'000));
  CHECK(one.failure == "");
  CHECK(read_all(*generator(fields, 10'000), 4).rows == one.rows);
  CHECK(read_all(*generator(fields, 10'000), 1, 17).rows == one.rows);
  CHECK(read_all(*generator(fields, 10'000, 1)).rows != one.rows);
}

TEST_CASE("random numbers are frozen: a job's rows must not change with the engine's version") {
  CHECK(read_all(*generator({{"x", "floor(random() * 1000000)"}}, 3)).rows ==
        "{\"x\":905037.0}\n{\"x\":552304.0}\n{\"x\":279188.0}\n");
}

TEST_CASE("every call of random() has its own numbers; a field's stay when another is added") {
  const auto both = read_all(*generator({{"same", "random() = random()"}, {"x", "random()"}}, 50)).rows;
  CHECK(both.find("true") == std::string::npos);
  const auto x = read_all(*generator({{"x", "random()"}}, 1)).rows;
  CHECK(both.find(x.substr(1, x.size() - 3)) != std::string::npos);
}

TEST_CASE("a call's name in a text or a quoted name is left alone") {
  CHECK(read_all(*generator({{"s", "'seq() and random()'"}}, 1)).rows == "{\"s\":\"seq() and random()\"}\n");
}

TEST_CASE("a mistake is shown at its place in what the user wrote") {
  const auto plan = plan_generator({{"x", "seq() + nothing"}});
  REQUIRE_FALSE(plan);
  REQUIRE(plan.error().size() == 1);
  CHECK(plan.error()[0].field == "x");
  CHECK(plan.error()[0].error.offset == 8);
  CHECK(plan.error()[0].error.message == "no column \"nothing\"");
}

TEST_CASE("a row that cannot be computed is malformed, with its number") {
  const auto got = read_all(*generator({{"x", "1 / (seq() - 1)"}}, 3));
  CHECK(got.rows == "{\"x\":-1}\n{\"x\":1}\n");
  REQUIRE(got.errors.size() == 1);
  CHECK(got.errors[0].find("row 1: field \"x\": ") == 0);
}
