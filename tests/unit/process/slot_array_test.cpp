// Arrays over slots and timers that are frozen while their owner goes on.

#include <doctest/doctest.h>

#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "dataflow/slot_array.hpp"
#include "libdataflow/process/timer_queue.hpp"
#include "tests/support/seeds.hpp"

namespace dataflow {

TEST_CASE("a frozen array is what it was, whatever its owner does afterwards") {
  for (const std::uint64_t seed : testing_support::seeds(50)) {
    CAPTURE(seed);
    std::mt19937_64 random{seed};
    struct Snapshot {
      SlotArray<std::string>::Frozen frozen;
      std::vector<std::string> expected;
    };
    SlotArray<std::string> array;
    std::vector<std::string> model;
    std::vector<Snapshot> snapshots;
    for (int step = 0; step < 400; ++step) {
      if (random() % 10 == 0) array.grow(array.size() + 1);
      model.resize(array.size());
      if (!model.empty() && random() % 3 != 0) {
        const std::size_t slot = random() % model.size();
        array.write(slot) = model[slot] = std::to_string(random());
      }
      if (random() % 20 == 0) snapshots.push_back({array.freeze(), model});
      if (!snapshots.empty() && random() % 15 == 0) {
        snapshots.erase(snapshots.begin() + static_cast<std::ptrdiff_t>(random() % snapshots.size()));
      }
      for (const Snapshot& snapshot : snapshots) {
        REQUIRE(snapshot.frozen.size() == snapshot.expected.size());
        for (std::size_t slot = 0; slot < snapshot.expected.size(); ++slot) {
          REQUIRE(snapshot.frozen[slot] == snapshot.expected[slot]);
        }
      }
    }
    for (std::size_t slot = 0; slot < model.size(); ++slot) CHECK(array[slot] == model[slot]);
  }
}

TEST_CASE("a frozen array can be read on another thread while its owner changes it") {
  constexpr std::size_t slots = 20'000;
  SlotArray<std::string> array;
  array.grow(slots);
  for (std::size_t slot = 0; slot < slots; ++slot) array.write(slot) = "before " + std::to_string(slot);
  for (int round = 0; round < 3; ++round) {
    std::size_t equal = 0;
    const std::string before = round == 0 ? "before " : "after " + std::to_string(round - 1) + " ";
    std::thread reader{[frozen = array.freeze(), &equal, &before] {
      for (std::size_t slot = 0; slot < slots; ++slot) equal += frozen[slot] == before + std::to_string(slot) ? 1 : 0;
    }};
    for (std::size_t slot = 0; slot < slots; ++slot) {
      array.write(slot) = "after " + std::to_string(round) + " " + std::to_string(slot);
    }
    reader.join();
    CHECK(equal == slots);
  }
}

TEST_CASE("an array whose readers are gone copies nothing more") {
  SlotArray<int> array;
  array.grow(1);
  const int* at = &array[0];
  { const auto frozen = array.freeze(); }
  array.write(0) = 1;
  CHECK(&array[0] == at);
  const auto frozen = array.freeze();
  array.write(0) = 2;
  CHECK(&array[0] != at);
  CHECK(frozen[0] == 1);
}

TEST_CASE("timers come by time, key and name, and frozen ones stay what they were") {
  using Entry = std::tuple<std::int64_t, std::int64_t, std::string>;
  for (const std::uint64_t seed : testing_support::seeds(30)) {
    CAPTURE(seed);
    std::mt19937_64 random{seed};
    KeyTable keys{KeyShape::integer};
    std::vector<std::uint32_t> slots;
    for (std::int64_t key = 0; key < 20; ++key) slots.push_back(keys.slot_of_integer((key * 7) % 20));
    TimerQueue timers{keys};
    std::set<Entry> model;
    std::vector<std::pair<FrozenTimers, std::set<Entry>>> snapshots;
    const bool in_order = random() % 2 == 0;
    const std::int64_t range = random() % 2 == 0 ? 50 : 100'000;
    std::int64_t now = 0;
    for (int step = 0; step < 5000; ++step) {
      const std::uint32_t slot = slots[random() % slots.size()];
      const std::string name = random() % 3 == 0 ? "late" : "";
      const std::int64_t time =
          in_order ? now + step / 3 : now + static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(range));
      const Entry entry{time, keys.integer(slot), name};
      switch (random() % 8) {
        case 0: CHECK(timers.remove(Timestamp{time}, slot, name) == (model.erase(entry) != 0)); break;
        case 1: {
          const auto popped = timers.pop(Timestamp{now});
          const bool due = !model.empty() && std::get<0>(*model.begin()) <= now;
          REQUIRE(popped.has_value() == due);
          if (!due) {
            now += static_cast<std::int64_t>(random() % 20);
            break;
          }
          CHECK(Entry{popped->time.micros, keys.integer(popped->slot), timers.name(*popped)} == *model.begin());
          model.erase(model.begin());
          break;
        }
        default: CHECK(timers.add(Timestamp{time}, slot, name) == model.insert(entry).second);
      }
      REQUIRE(timers.first().has_value() == !model.empty());
      if (!model.empty()) REQUIRE(timers.first()->micros == std::get<0>(*model.begin()));
      if (random() % 500 == 0) snapshots.emplace_back(timers.freeze(), model);
      if (snapshots.size() > 2) snapshots.erase(snapshots.begin());
    }
    for (const auto& [frozen, expected] : snapshots) {
      std::vector<Entry> found;
      const Status read = frozen.for_each([&](const KeyTimer& timer, const std::string& name) -> Status {
        found.emplace_back(timer.time.micros, keys.integer(timer.slot), name);
        return {};
      });
      REQUIRE(read.has_value());
      CHECK(found == std::vector<Entry>(expected.begin(), expected.end()));
    }
  }
}

}  // namespace dataflow
