// What is late depends on the records of a split and their order, never on where batches end.
#include <doctest/doctest.h>

#include <random>

#include "libdataflow/runtime/local_executor.hpp"
#include "tests/support/batches.hpp"
#include "tests/support/late_keys.hpp"
#include "tests/support/scripted_source.hpp"
#include "tests/support/seeds.hpp"

using namespace dataflow;
using namespace dataflow::testing_support;

namespace {

const SchemaPtr schema = make_schema({{"k", TypeKind::int64}, {"at", TypeKind::timestamp}});
constexpr std::int64_t out_of_orderness = 50;

std::vector<std::int64_t> late_keys_of(const std::vector<std::int64_t>& times, std::mt19937_64& random,
                                       std::size_t most_rows) {
  Script script;
  BatchBuilder builder{schema};
  for (std::size_t i = 0; i < times.size(); ++i) {
    builder.column(0).append_int64(static_cast<std::int64_t>(i));
    builder.column(1).append_int64(times[i]);
    builder.end_row();
    if (builder.rows() >= 1 + random() % most_rows || i + 1 == times.size()) script.emplace_back(builder.finish());
  }
  GraphBuilder b;
  b.source("in", schema, std::make_shared<ScriptedSource>(std::vector<Script>{script}),
           EventTimeSpec{.field = 1, .out_of_orderness = Duration{out_of_orderness}});
  b.transform("late", {"in"}, late_only());
  const auto out = b.collect("out", {"late"});
  auto executor = LocalExecutor::create(b.graph).value();
  REQUIRE(executor->run());
  std::vector<std::int64_t> keys;
  for (const BatchPtr& batch : out->batches) {
    for (const std::int64_t key : batch->column(0).as<std::int64_t>()) keys.push_back(key);
  }
  return keys;
}

/// Record by record, without batches.
std::vector<std::int64_t> reference(const std::vector<std::int64_t>& times) {
  std::vector<std::int64_t> late;
  std::int64_t newest = times.front();
  for (std::size_t i = 0; i < times.size(); ++i) {
    if (times[i] < newest - out_of_orderness) late.push_back(static_cast<std::int64_t>(i));
    newest = std::max(newest, times[i]);
  }
  return late;
}

}  // namespace

TEST_CASE("the same records are late however the source cuts its batches") {
  for (const std::uint64_t seed : seeds(60)) {
    CAPTURE(seed);
    std::mt19937_64 random{seed};
    const std::int64_t disorder = std::int64_t{1} << (seed % 10);
    std::vector<std::int64_t> times(1 + random() % 300);
    for (std::size_t i = 0; i < times.size(); ++i) {
      times[i] = static_cast<std::int64_t>(10 * i) - static_cast<std::int64_t>(random() % (disorder * 2));
    }
    const auto expected = reference(times);
    CHECK(late_keys_of(times, random, 1) == expected);
    CHECK(late_keys_of(times, random, 7) == expected);
    CHECK(late_keys_of(times, random, 100) == expected);
    CHECK(late_keys_of(times, random, 100'000) == expected);
  }
}
