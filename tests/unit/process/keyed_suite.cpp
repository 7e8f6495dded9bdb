#include "tests/unit/process/keyed_suite.hpp"

#include <algorithm>
#include <array>
#include <random>
#include <set>
#include <thread>
#include <tuple>

#include "libdataflow/checkpoint/memory_storage.hpp"
#include "tests/support/seeds.hpp"
#include "tests/support/temporary_folder.hpp"

namespace dataflow::keyed_tests {

using testing_support::TemporaryFolder;

const std::vector<KeyKind>& key_kinds() {
  static const std::vector<KeyKind> kinds{
      {"integer", {TypeKind::int64}, false, [](std::int64_t key) { return Row{Value{key}}; }},
      {"text", {TypeKind::string}, false, [](std::int64_t key) { return Row{Value{"key " + std::to_string(key)}}; }},
      {"two fields",
       {TypeKind::string, TypeKind::int64},
       true,
       [](std::int64_t key) {
         return Row{key % 3 == 0 ? Value{} : Value{std::string(static_cast<std::size_t>(key % 5), 'x')}, Value{key}};
       }},
  };
  return kinds;
}

const std::vector<BackendKind>& backend_kinds() {
  static const std::vector<BackendKind> kinds{
      {"heap", [](const auto&) { return StateBackendPtr{}; }},
      {"memory store, no cache", [](const auto& folder) { return *make_memory_backend(folder, 0); }},
      {"memory store", [](const auto& folder) { return *make_memory_backend(folder, 2000); }},
      {"rocksdb, no cache", [](const auto& folder) { return *make_rocksdb_backend(folder, 0); }},
      {"rocksdb", [](const auto& folder) { return *make_rocksdb_backend(folder, 16U << 20); }},
  };
  return kinds;
}

const BackendKind& backend_kind(std::string_view name) {
  const auto& kinds = backend_kinds();
  const auto at = std::find_if(kinds.begin(), kinds.end(), [&](const BackendKind& kind) { return kind.name == name; });
  REQUIRE(at != kinds.end());
  return *at;
}

namespace {

std::uint32_t group_of(const Subtask& subtask, std::int64_t key) {
  const BatchPtr batch = make_batch(subtask.schema, std::vector<Row>{subtask.keys.row(key)});
  std::vector<const Column*> columns;
  for (const ColumnPtr& column : batch->columns()) columns.push_back(column.get());
  std::vector<std::uint64_t> hashes;
  hash_rows(columns, 1, hashes);
  return key_group_of(hashes[0], key_groups);
}

using Model = std::map<std::int64_t, Values>;

void change(Subtask& subtask, Model& model, std::mt19937_64& random, std::int64_t now, std::int64_t most_keys) {
  std::vector<std::int64_t> keys;
  for (std::size_t n = 1 + random() % 40; n > 0; --n) {
    keys.push_back(static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(most_keys)));
  }
  subtask.batch(keys, now, [&](std::int64_t key) {
    Function& f = subtask.function;
    Values& m = model[key];
    m.check(f, now);
    const auto number = static_cast<std::int64_t>(random() % 1000);
    const std::string text(random() % 50, static_cast<char>('a' + number % 26));
    switch (random() % 10) {
      case 0: f.value = number, m.value = number; break;
      case 1: f.value.clear(), m.value.reset(); break;
      case 2: f.list.add(text), m.list.push_back(text); break;
      case 3: f.list.clear(), m.list.clear(); break;
      case 4: f.map.put(text, number), m.map.insert_or_assign(text, number); break;
      case 5: f.map.remove(text), m.map.erase(text); break;
      case 6: f.sum.add(number), m.sum = m.sum.value_or(0) + number; break;
      case 7:
        f.longest.add(text);
        if (!m.longest || text.size() > m.longest->size()) m.longest = text;
        break;
      case 8: f.brief = text, m.brief = {text, now}; break;
      default:
        f.value.clear(), f.list.clear(), f.map.clear(), f.sum.clear(), f.longest.clear(), f.brief.clear();
        m = {};
    }
    m.check(f, now);
  });
}

void check_all(Subtask& subtask, const Model& model, std::int64_t now, std::int64_t most_keys) {
  for (std::int64_t key = 0; key < most_keys; ++key) {
    subtask.batch({key}, now, [&](std::int64_t) {
      CAPTURE(key);
      const auto at = model.find(key);
      (at == model.end() ? Values{} : at->second).check(subtask.function, now);
    });
  }
}

}  // namespace

void keeps_what_it_is_given(const BackendKind& backend) {
  TemporaryFolder folder;
  int number = 0;
  for (const KeyKind& keys : key_kinds()) {
    for (const std::uint64_t seed : testing_support::seeds(3)) {
      const std::string backend_name = backend.name;
      CAPTURE(backend_name);
      const std::string keys_name = keys.name;
      CAPTURE(keys_name);
      CAPTURE(seed);
      std::mt19937_64 random{seed};
      Subtask subtask{keys, backend.make(folder / std::to_string(++number))};
      Model model;
      std::int64_t now = 0;
      for (int i = 0; i < 60; ++i) {
        now += static_cast<std::int64_t>(random() % 200);
        change(subtask, model, random, now, 100);
      }
      check_all(subtask, model, now, 100);
    }
  }
}

void goes_through_checkpoints(const BackendKind& from) {
  TemporaryFolder folder;
  int number = 0;
  for (const BackendKind& into : backend_kinds()) {
    for (const bool portable : {false, true}) {
      const std::string from_name = from.name;
      CAPTURE(from_name);
      const std::string into_name = into.name;
      CAPTURE(into_name);
      CAPTURE(portable);
      const KeyKind& keys = key_kinds()[static_cast<std::size_t>(number) % key_kinds().size()];
      const std::string keys_name = keys.name;
      CAPTURE(keys_name);
      std::mt19937_64 random{static_cast<std::uint64_t>(number)};
      const auto path = [&](const char* what) { return folder / (what + std::to_string(number)); };
      ++number;
      const CheckpointStoragePtr storage =
          number % 2 == 0 ? make_local_storage((folder / ("storage" + std::to_string(number))).string())
                          : std::make_shared<MemoryStorage>();
      UploadedFiles uploaded;
      auto subtask = std::make_unique<Subtask>(keys, from.make(path("from")));
      Model model;
      std::int64_t now = 0;
      std::shared_ptr<const RestoredCheckpoint> checkpoint;
      Model at_checkpoint;
      for (int i = 0; i < 4; ++i) {
        for (int j = 0; j < 8; ++j) change(*subtask, model, random, now += 50, 60);
        at_checkpoint = model;
        std::vector<CapturedStatePtr> captured(1);
        auto snapshot = subtask->runtime->snapshot(key_groups);
        REQUIRE(snapshot.has_value());
        captured[0] = std::move(*snapshot);
        // One is given up; of the others the operator goes on before they are written.
        if (i == 1) captured.clear();
        for (int j = 0; j < 5; ++j) change(*subtask, model, random, now, 60);
        if (captured.empty()) continue;
        if (i == 2) subtask = nullptr;  // the attempt is over, the snapshot is written all the same
        checkpoint = checkpoint_of(std::move(captured), portable, "chk" + std::to_string(i), storage, uploaded);
        if (i == 2) break;
      }
      Subtask restored{keys, into.make(path("into"))};
      const auto reader = checkpoint->reader("op", 0, 1);
      const Status read = restored.runtime->restore(*reader);
      REQUIRE_MESSAGE(read.has_value(), (read ? "" : read.error().message()));
      check_all(restored, at_checkpoint, now, 60);
    }
  }
}

void is_written_on_another_thread(const BackendKind& backend) {
  TemporaryFolder folder;
  int number = 0;
  const std::string backend_name = backend.name;
  CAPTURE(backend_name);
  for (const KeyKind& keys : key_kinds()) {
    std::mt19937_64 random{static_cast<std::uint64_t>(++number)};
    Subtask subtask{keys, backend.make(folder / ("from" + std::to_string(number)))};
    Model model;
    std::int64_t now = 0;
    const auto change_some = [&](int batches) {
      for (int i = 0; i < batches; ++i) {
        change(subtask, model, random, now += 5, 300);
        subtask.batch({static_cast<std::int64_t>(random() % 300)}, now, [&](std::int64_t) {
          subtask.runtime->set_timer(TimerDomain::event_time, Timestamp{now + 1000}, "t");
        });
      }
    };
    change_some(30);
    const auto storage = std::make_shared<MemoryStorage>();
    UploadedFiles uploaded;
    for (int round = 0; round < 5; ++round) {
      auto snapshot = subtask.runtime->snapshot(key_groups);
      REQUIRE(snapshot.has_value());
      const Model at_snapshot = model;  // NOLINT(performance-unnecessary-copy-initialization): change_some changes it
      const std::int64_t then = now;
      std::vector<CapturedStatePtr> captured(1);
      captured[0] = std::move(*snapshot);
      std::shared_ptr<const RestoredCheckpoint> checkpoint;
      std::thread writer{[&, name = "chk" + std::to_string(round)] {
        checkpoint = checkpoint_of(std::move(captured), round % 2 == 0, name, storage, uploaded);
      }};
      change_some(20);
      writer.join();
      Subtask restored{keys, nullptr};
      const auto reader = checkpoint->reader("op", 0, 1);
      REQUIRE(restored.runtime->restore(*reader).has_value());
      check_all(restored, at_snapshot, then, 300);
    }
  }
}

void fires_timers_in_order(const BackendKind& backend) {
  TemporaryFolder folder;
  int number = 0;
  using Timer = std::tuple<std::int64_t, std::int64_t, std::string>;  // time, key, name
  for (const KeyKind& keys : {key_kinds()[0], key_kinds()[1]}) {
    for (const std::uint64_t seed : testing_support::seeds(4)) {
      const std::string backend_name = backend.name;
      CAPTURE(backend_name);
      const std::string keys_name = keys.name;
      CAPTURE(keys_name);
      CAPTURE(seed);
      std::mt19937_64 random{seed};
      const auto pick = [&](std::int64_t below) {
        return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(below));
      };
      // Keys of one length: their texts are in the order of their numbers.
      constexpr std::int64_t least_key = 1000;
      auto subtask = std::make_unique<Subtask>(keys, backend.make(folder / std::to_string(++number)));
      std::array<std::set<Timer>, 2> model;
      std::int64_t now = 0;
      for (int step = 0; step < 40; ++step) {
        std::vector<std::int64_t> batch;
        for (std::int64_t n = 1 + pick(60); n > 0; --n) batch.push_back(least_key + pick(200));
        subtask->batch(batch, now, [&](std::int64_t key) {
          subtask->function.value = key;
          const auto domain = static_cast<TimerDomain>(pick(2));
          auto& timers = model[static_cast<std::size_t>(domain)];
          const Timer timer{now + 1 + pick(50), key, pick(3) == 0 ? std::string{clean_up_timer} : ""};
          const auto& [time, of, name] = timer;
          if (pick(3) != 0) {
            subtask->runtime->set_timer(domain, Timestamp{time}, name);
            timers.insert(timer);
          } else {
            // One that is there, if the key has any.
            const auto at =
                std::find_if(timers.begin(), timers.end(), [&](const Timer& t) { return std::get<1>(t) == key; });
            const Timer gone = at == timers.end() ? timer : *at;
            subtask->runtime->delete_timer(domain, Timestamp{std::get<0>(gone)}, std::get<2>(gone));
            timers.erase(gone);
          }
        });
        if (pick(5) == 0) {
          std::vector<CapturedStatePtr> captured(1);
          auto snapshot = subtask->runtime->snapshot(key_groups);
          REQUIRE(snapshot.has_value());
          captured[0] = std::move(*snapshot);
          // What comes afterwards is not in it.
          subtask->batch({least_key}, now, [&](std::int64_t) {
            for (int i = 0; i < 50; ++i)
              subtask->runtime->set_timer(TimerDomain::event_time, Timestamp{now + i}, "late");
          });
          if (pick(2) == 0) subtask = nullptr;
          UploadedFiles uploaded;
          const CheckpointStoragePtr storage = std::make_shared<MemoryStorage>();
          const auto checkpoint = checkpoint_of(std::move(captured), pick(2) == 0, "chk", storage, uploaded);
          subtask = std::make_unique<Subtask>(keys, backend.make(folder / std::to_string(++number)));
          const auto reader = checkpoint->reader("op", 0, 1);
          REQUIRE(subtask->runtime->restore(*reader).has_value());
        }
        const bool last = step == 39;
        now += last ? 1000 : pick(10);
        for (const TimerDomain domain : {TimerDomain::event_time, TimerDomain::processing_time}) {
          auto& timers = model[static_cast<std::size_t>(domain)];
          std::int64_t most = last ? 1'000'000 : pick(300);
          while (most-- > 0) {
            const auto due = subtask->runtime->pop_due(domain, Timestamp{now});
            REQUIRE(due.has_value());
            if (!*due) {
              CHECK((timers.empty() || std::get<0>(*timers.begin()) > now));
              break;
            }
            REQUIRE(!timers.empty());
            const auto [time, key, name] = *timers.begin();
            timers.erase(timers.begin());
            CHECK((*due)->time.micros == time);
            CHECK(*(*due)->name == name);
            REQUIRE(subtask->function.value.has_value());
            CHECK(*subtask->function.value == key);
            if (pick(10) == 0) {  // from a timer, too
              const Timer next{time + 1 + pick(100), key, "next"};
              subtask->runtime->set_timer(domain, Timestamp{std::get<0>(next)}, "next");
              if (std::get<0>(next) <= now || !last) timers.insert(next);
              if (std::get<0>(next) > now && last) {
                subtask->runtime->delete_timer(domain, Timestamp{std::get<0>(next)}, "next");
              }
            }
            subtask->runtime->end_timer((*due)->slot);
          }
        }
        for (const TimerDomain domain : {TimerDomain::event_time, TimerDomain::processing_time}) {
          const auto& timers = model[static_cast<std::size_t>(domain)];
          // Of what is left the next one is known; it may be due.
          subtask->batch({}, now, [](std::int64_t) {});
          const auto next = subtask->runtime->next_timer(domain);
          CHECK(next.has_value() == !timers.empty());
          if (next && !timers.empty()) CHECK(next->micros == std::get<0>(*timers.begin()));
          if (domain == TimerDomain::processing_time) continue;
          const auto first = std::find_if(timers.begin(), timers.end(),
                                          [](const Timer& t) { return std::get<2>(t) != clean_up_timer; });
          const auto result = subtask->runtime->next_result();
          // In memory is the beginning of all timers, where there is a store.
          if (result || std::string_view{backend.name} == "heap") CHECK(result.has_value() == (first != timers.end()));
          if (result && first != timers.end()) CHECK(result->micros == std::get<0>(*first));
        }
      }
    }
  }
}

void is_dealt_out_to_other_subtasks(const BackendKind& backend) {
  TemporaryFolder folder;
  int number = 0;
  for (const auto& [before, after] : {std::pair{1U, 3U}, {3U, 1U}, {3U, 2U}, {2U, 5U}}) {
    const std::string kind_name = backend.name;
    CAPTURE(kind_name);
    CAPTURE(before);
    CAPTURE(after);
    const KeyKind& keys = key_kinds()[0];
    constexpr std::int64_t most_keys = 200;
    const CheckpointStoragePtr storage = make_local_storage((folder / ("s" + std::to_string(number))).string());
    UploadedFiles uploaded;
    const StateBackendPtr old_backend = backend.make(folder / ("old" + std::to_string(number)));
    const StateBackendPtr new_backend = backend.make(folder / ("new" + std::to_string(number++)));
    std::vector<CapturedStatePtr> captured;
    for (std::uint32_t subtask = 0; subtask < before; ++subtask) {
      Subtask old{keys, old_backend};
      for (std::int64_t key = 0; key < most_keys; ++key) {
        if (!key_groups_of_subtask(subtask, key_groups, before).contains(group_of(old, key))) continue;
        old.batch({key}, 0, [&](std::int64_t k) {
          old.function.value = k;
          old.runtime->set_timer(TimerDomain::event_time, Timestamp{k}, "t");
        });
      }
      auto snapshot = old.runtime->snapshot(key_groups);
      REQUIRE(snapshot.has_value());
      captured.push_back(std::move(*snapshot));
    }
    const auto checkpoint = checkpoint_of(std::move(captured), false, "chk", storage, uploaded);
    std::multiset<std::int64_t> fired;
    for (std::uint32_t subtask = 0; subtask < after; ++subtask) {
      Subtask now{keys, new_backend};
      const auto reader = checkpoint->reader("op", subtask, after);
      const Status read = now.runtime->restore(*reader);
      REQUIRE_MESSAGE(read.has_value(), (read ? "" : read.error().message()));
      const KeyGroupRange mine = key_groups_of_subtask(subtask, key_groups, after);
      for (std::int64_t key = 0; key < most_keys; ++key) {
        now.batch({key}, 0,
                  [&](std::int64_t k) { CHECK(now.function.value.has_value() == mine.contains(group_of(now, k))); });
      }
      while (true) {
        const auto timer = now.runtime->pop_due(TimerDomain::event_time, Timestamp::max());
        REQUIRE(timer.has_value());
        if (!*timer) break;
        fired.insert((*timer)->time.micros);
        REQUIRE(now.function.value.has_value());
        CHECK(*now.function.value == (*timer)->time.micros);
        now.runtime->end_timer((*timer)->slot);
      }
    }
    CHECK(fired.size() == most_keys);
  }
}

}  // namespace dataflow::keyed_tests
