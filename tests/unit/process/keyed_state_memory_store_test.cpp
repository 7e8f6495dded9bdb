// State of process functions behind a cache of a store, with room for all keys and for none. The store is in memory,
// and so are the entries that a RocksDB would have on disk.

#include <doctest/doctest.h>

#include "libdataflow/checkpoint/memory_storage.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/unit/process/keyed_suite.hpp"

namespace dataflow {

using namespace keyed_tests;
using testing_support::TemporaryFolder;

TEST_CASE("store in memory: keyed state is what it should be") {
  keeps_what_it_is_given(backend_kind("memory store, no cache"));
  keeps_what_it_is_given(backend_kind("memory store"));
}

TEST_CASE("store in memory: keyed state goes through a checkpoint into any other backend, while it goes on changing") {
  goes_through_checkpoints(backend_kind("memory store, no cache"));
  goes_through_checkpoints(backend_kind("memory store"));
}

TEST_CASE("store in memory: a checkpoint of keyed state is written on another thread while the function goes on") {
  is_written_on_another_thread(backend_kind("memory store, no cache"));
  is_written_on_another_thread(backend_kind("memory store"));
}

TEST_CASE("store in memory: timers fire in their order, once each, however many there are and through checkpoints") {
  fires_timers_in_order(backend_kind("memory store, no cache"));
  fires_timers_in_order(backend_kind("memory store"));
}

TEST_CASE("store in memory: keyed state is dealt out to any number of subtasks, each key once") {
  is_dealt_out_to_other_subtasks(backend_kind("memory store, no cache"));
  is_dealt_out_to_other_subtasks(backend_kind("memory store"));
}

TEST_CASE("keys that have nothing but timers far off take no memory with a store") {
  TemporaryFolder folder;
  const KeyKind& keys = key_kinds()[1];
  Subtask subtask{keys, *make_memory_backend(folder / "state", 0)};
  for (std::int64_t key = 0; key < 5000; ++key) {
    subtask.batch({key}, 0, [&](std::int64_t k) {
      subtask.runtime->set_timer(TimerDomain::event_time, Timestamp{1'000'000 - k}, "t");
    });
  }
  CHECK(subtask.runtime->keys() < 100);
  for (std::int64_t key = 4999; key >= 0; --key) {
    const auto due = subtask.runtime->pop_due(TimerDomain::event_time, Timestamp::max());
    REQUIRE(due.has_value());
    REQUIRE(*due);
    CHECK((*due)->time.micros == 1'000'000 - key);
    CHECK(subtask.runtime->text_key((*due)->slot) == "key " + std::to_string(key));
    subtask.runtime->end_timer((*due)->slot);
  }
  CHECK(subtask.runtime->keys() < 100);
}

TEST_CASE("values in a store whose time is over go with the checkpoints, also of keys that never come again") {
  struct Brief : StateOwner {
    ValueState<std::int64_t> value{this, "value", ttl(ttl_time)};
  };
  TemporaryFolder folder;
  const StateBackendPtr backend = *make_memory_backend(folder / "state", 0);
  const CheckpointStoragePtr storage = std::make_shared<MemoryStorage>();
  UploadedFiles uploaded;
  Brief function;
  const SchemaPtr schema = make_schema({{"key", TypeKind::int64}});
  KeyedRuntime runtime{function, {0}, {DataType{TypeKind::int64}}, false};
  REQUIRE(runtime.use_backend(backend, key_groups).has_value());
  const auto put = [&](std::int64_t key, std::int64_t now) {
    const auto slots = runtime.begin_batch(*make_batch(schema, {{key}}), Timestamp{now});
    REQUIRE(slots.has_value());
    runtime.select((*slots)[0]);
    function.value = key;
    REQUIRE(runtime.end_batch().has_value());
  };
  const auto rows_at = [&](std::int64_t now, const std::string& name) {
    runtime.set_now(Timestamp{now});
    std::vector<CapturedStatePtr> captured(1);
    auto snapshot = runtime.snapshot(key_groups);
    REQUIRE(snapshot.has_value());
    captured[0] = std::move(*snapshot);
    const auto checkpoint = checkpoint_of(std::move(captured), false, name, storage, uploaded);
    const auto reader = checkpoint->reader("op", 0, 1);
    std::uint32_t rows = 0;
    const auto count = [&](std::uint32_t, const BatchPtr& batch) -> Status {
      rows += batch->rows();
      return {};
    };
    REQUIRE(reader->read("values", reader->find("values")->schema, count).has_value());
    return rows;
  };
  for (std::int64_t key = 0; key < 100; ++key) put(key, 0);
  for (std::int64_t key = 100; key < 110; ++key) put(key, 900);
  CHECK(rows_at(900, "chk-1") == 110);
  CHECK(rows_at(1000, "chk-2") == 10);
  CHECK(rows_at(1900, "chk-3") == 0);
}

}  // namespace dataflow
