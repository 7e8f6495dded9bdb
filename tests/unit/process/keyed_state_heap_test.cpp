// State of process functions on the heap.

#include <doctest/doctest.h>

#include "tests/unit/process/keyed_suite.hpp"

namespace dataflow {

using namespace keyed_tests;

TEST_CASE("heap: keyed state is what it should be") {
  keeps_what_it_is_given(backend_kind("heap"));
}

TEST_CASE("heap: keyed state goes through a checkpoint into any other backend, while it goes on changing") {
  goes_through_checkpoints(backend_kind("heap"));
}

TEST_CASE("heap: a checkpoint of keyed state is written on another thread while the function goes on") {
  is_written_on_another_thread(backend_kind("heap"));
}

TEST_CASE("heap: timers fire in their order, once each, however many there are and through checkpoints") {
  fires_timers_in_order(backend_kind("heap"));
}

TEST_CASE("heap: keyed state is dealt out to any number of subtasks, each key once") {
  is_dealt_out_to_other_subtasks(backend_kind("heap"));
}

TEST_CASE("keys whose values have expired give their memory back, though no record of theirs comes again") {
  struct Brief : StateOwner {
    ValueState<std::int64_t> value{this, "value", ttl(ttl_time)};
  };
  Brief function;
  const SchemaPtr schema = make_schema({{"key", TypeKind::int64}});
  KeyedRuntime runtime{function, {0}, {DataType{TypeKind::int64}}, false};
  const auto put = [&](std::int64_t key, std::int64_t now) {
    const auto slots = runtime.begin_batch(*make_batch(schema, {{key}}), Timestamp{now});
    REQUIRE(slots.has_value());
    runtime.select((*slots)[0]);
    function.value = key;
    REQUIRE(runtime.end_batch().has_value());
  };
  for (std::int64_t key = 0; key < 1000; ++key) put(key, 0);
  CHECK(runtime.keys() == 1000);
  put(0, ttl_time.count());
  CHECK(runtime.keys() < 1000);
  CHECK(runtime.keys() > 900);  // bit by bit
  for (int i = 0; i < 20; ++i) put(0, ttl_time.count() + i);
  CHECK(runtime.keys() == 1);
  for (std::int64_t key = 2000; key < 2100; ++key) put(key, ttl_time.count() + 20);
  CHECK(runtime.keys() == 101);
}

}  // namespace dataflow
