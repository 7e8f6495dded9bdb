// State of process functions in RocksDB.

#include <doctest/doctest.h>

#include <set>

#include "libdataflow/checkpoint/memory_storage.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/unit/process/keyed_suite.hpp"

namespace dataflow {

using namespace keyed_tests;
using testing_support::TemporaryFolder;

TEST_CASE("rocksdb: keyed state is what it should be") {
  keeps_what_it_is_given(backend_kind("rocksdb, no cache"));
  keeps_what_it_is_given(backend_kind("rocksdb"));
}

TEST_CASE("rocksdb: keyed state goes through a checkpoint into any other backend, while it goes on changing") {
  goes_through_checkpoints(backend_kind("rocksdb, no cache"));
  goes_through_checkpoints(backend_kind("rocksdb"));
}

TEST_CASE("rocksdb: a checkpoint of keyed state is written on another thread while the function goes on") {
  is_written_on_another_thread(backend_kind("rocksdb, no cache"));
  is_written_on_another_thread(backend_kind("rocksdb"));
}

TEST_CASE("rocksdb: timers fire in their order, once each, however many there are and through checkpoints") {
  fires_timers_in_order(backend_kind("rocksdb, no cache"));
  fires_timers_in_order(backend_kind("rocksdb"));
}

TEST_CASE("rocksdb: keyed state is dealt out to any number of subtasks, each key once") {
  is_dealt_out_to_other_subtasks(backend_kind("rocksdb, no cache"));
  is_dealt_out_to_other_subtasks(backend_kind("rocksdb"));
}

TEST_CASE("a checkpoint of a store names the files that the one before it has, and writes none of them again") {
  TemporaryFolder folder;
  const CheckpointStoragePtr storage = std::make_shared<MemoryStorage>();  // which can take no file as it is
  UploadedFiles uploaded;
  Subtask subtask{key_kinds()[0], *make_rocksdb_backend(folder / "state", 16U << 20)};
  const auto take = [&](const std::string& name) {
    auto snapshot = subtask.runtime->snapshot(key_groups);
    REQUIRE(snapshot.has_value());
    CapturedStates states;
    states.emplace_back("op", std::move(*snapshot));
    auto written = write_task_state(std::move(states), *storage, name, "0", &uploaded);
    REQUIRE(written.has_value());
    return std::move(*written);
  };
  std::vector<std::int64_t> all;
  for (std::int64_t key = 0; key < 4000; ++key) all.push_back(key);
  subtask.batch(all, 0, [&](std::int64_t key) {
    subtask.function.list.set({std::string(100, 'x'), std::to_string(key)});
  });
  const TaskState whole = take("chk-1");
  CHECK(whole.size() > 4000 * 100);
  subtask.batch({1, 2, 3}, 0, [&](std::int64_t) { subtask.function.value = 1; });
  const TaskState second = take("chk-2");
  CHECK(second.size() >= whole.size());
  const auto checksums = [](const TaskState& state) {
    std::set<std::uint64_t> found;
    for (const auto& file : state.operators[0].tables[0].store) {
      if (file.immutable) found.insert(file.checksum);
    }
    return found;
  };
  for (const std::uint64_t checksum : checksums(whole)) CHECK(checksums(second).contains(checksum));
}

}  // namespace dataflow
