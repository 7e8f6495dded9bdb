// What the write-back cache of a process function's state does between a barrier and the moment at which what was
// sealed there is in the store.

#include <doctest/doctest.h>

#include <cstdint>
#include <map>
#include <vector>

#include "dataflow/keyed_runtime.hpp"
#include "dataflow/state.hpp"
#include "libdataflow/checkpoint/memory_storage.hpp"
#include "libdataflow/checkpoint/restored_checkpoint.hpp"
#include "libdataflow/checkpoint/state_file.hpp"
#include "libdataflow/state/state_backend.hpp"
#include "serialization/builder.hpp"
#include "tests/support/temporary_folder.hpp"

namespace dataflow {

namespace {

constexpr std::uint32_t key_groups = 16;

struct SumOfKey : StateOwner {
  ReducingState<std::int64_t> sum{this, "sum"};
};

/// A sum for each key, and what it should be.
struct Sums {
  explicit Sums(const StateBackendPtr& backend) { REQUIRE(runtime.use_backend(backend, key_groups)); }

  /// Calls `each(key)` with the key's state at hand.
  template <class Each>
  void batch(std::int64_t first, std::int64_t end, Each&& each) {
    BatchBuilder rows{schema};
    for (std::int64_t key = first; key < end; ++key) {
      rows.column(0).append_int64(key);
      rows.end_row();
    }
    const BatchPtr keys = rows.finish();
    const auto slots = runtime.begin_batch(*keys, Timestamp{});
    REQUIRE(slots.has_value());
    for (std::uint32_t row = 0; row < keys->rows(); ++row) {
      runtime.select((*slots)[row]);
      each(first + row);
    }
    REQUIRE(runtime.end_batch());
  }
  void add(std::int64_t first, std::int64_t end) {
    batch(first, end, [this](std::int64_t key) {
      function.sum.add(1);
      ++expected[key];
    });
  }
  void check() {
    for (const auto& [key, sum] : expected) {
      batch(key, key + 1, [this, sum = sum](std::int64_t) {
        REQUIRE(function.sum.get() != nullptr);
        CHECK(*function.sum.get() == sum);
      });
    }
  }
  CapturedStatePtr snapshot() {
    auto captured = runtime.snapshot(key_groups);
    REQUIRE(captured.has_value());
    return std::move(*captured);
  }

  SchemaPtr schema = make_schema({{"key", TypeKind::int64}});
  SumOfKey function;
  KeyedRuntime runtime{function, {0}, {DataType{TypeKind::int64}}, false};
  std::map<std::int64_t, std::int64_t> expected;
};

}  // namespace

TEST_CASE("keys make room for others while a checkpoint waits to be written, and neither it nor they are wrong") {
  const testing_support::TemporaryFolder folder;
  const auto storage = std::make_shared<MemoryStorage>();
  UploadedFiles uploaded;
  std::uint64_t number = 0;
  const auto write = [&](CapturedStatePtr captured) {
    std::string name = "chk-" + std::to_string(++number);
    CapturedStates states;
    states.emplace_back("op", std::move(captured));
    auto written = write_task_state(std::move(states), *storage, name, "0-0", &uploaded);
    REQUIRE(written.has_value());
    CheckpointMetadata metadata;
    metadata.id = number;
    metadata.max_parallelism = key_groups;
    metadata.files.push_back(written->file);
    metadata.operators.push_back({"op", {{std::move(written->operators[0].tables), 0}}, std::nullopt});
    REQUIRE(storage->put(name + "/" + std::string{metadata_name}, encode_metadata(metadata)));
    return name;
  };
  const auto check_restored = [&](const std::string& name, std::map<std::int64_t, std::int64_t> expected) {
    Sums restored{*make_memory_backend(folder / ("restored-" + name), 1U << 20)};
    const auto checkpoint = RestoredCheckpoint::load(storage, name);
    REQUIRE(checkpoint.has_value());
    REQUIRE(restored.runtime.restore(*(*checkpoint)->reader("op", 0, 1)));
    restored.expected = std::move(expected);
    restored.check();
  };

  for (const bool changed_before : {false, true}) {
    CAPTURE(changed_before);
    Sums sums{*make_memory_backend(folder / (changed_before ? "all" : "few"), 40'000)};  // has room for about 300 keys
    sums.add(0, 200);
    write(sums.snapshot());
    sums.add(0, changed_before ? 200 : 20);
    auto waits = sums.snapshot();
    auto at_barrier = sums.expected;
    for (std::int64_t round = 0; round < 4; ++round) {
      sums.add(10, 30);                                        // some of what was sealed
      sums.add(1000 + 100 * round, 1000 + 100 * round + 100);  // which room is made for
      sums.check();
    }
    if (changed_before) {  // given up: its changes are in the next one
      waits.reset();
      sums.add(5, 15);
      waits = sums.snapshot();
      at_barrier = sums.expected;
      sums.add(2000, 2400);
    }
    check_restored(write(std::move(waits)), at_barrier);
    sums.check();
    check_restored(write(sums.snapshot()), sums.expected);
  }
}

}  // namespace dataflow
