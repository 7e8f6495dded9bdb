// The suite that the state of process functions passes whatever keeps it: every kind of state, TTL and timers, against
// a model, through checkpoints of either form, into any other backend and parallelism.

#include <doctest/doctest.h>

#include <array>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "dataflow/keyed_runtime.hpp"
#include "dataflow/state.hpp"
#include "libdataflow/checkpoint/memory_storage.hpp"
#include "libdataflow/checkpoint/restored_checkpoint.hpp"
#include "libdataflow/checkpoint/state_file.hpp"
#include "libdataflow/state/state_backend.hpp"
#include "tests/support/batches.hpp"
#include "tests/support/seeds.hpp"
#include "tests/support/temporary_folder.hpp"

namespace dataflow {

namespace {

using testing_support::make_batch;
using testing_support::Row;
using testing_support::TemporaryFolder;

constexpr std::uint32_t key_groups = 16;
constexpr Duration ttl_time{1000};

struct Longest {
  std::string text;
  void add(const std::string& other) {
    if (other.size() > text.size()) text = other;
  }
  [[nodiscard]] std::string result() const { return text; }
};
DATAFLOW_RECORD(Longest, text)

struct Function : StateOwner {
  ValueState<std::int64_t> value{this, "value"};
  ListState<std::string> list{this, "list"};
  MapState<std::string, std::int64_t> map{this, "map"};
  ReducingState<std::int64_t> sum{this, "sum"};
  AggregatingState<Longest> longest{this, "longest"};
  ValueState<std::string> brief{this, "brief", ttl(ttl_time)};
};

struct Values {
  std::optional<std::int64_t> value;
  std::vector<std::string> list;
  std::map<std::string, std::int64_t> map;
  std::optional<std::int64_t> sum;
  std::optional<std::string> longest;
  std::optional<std::pair<std::string, std::int64_t>> brief;  ///< and when it was written

  void check(const Function& function, std::int64_t now) const {
    CHECK(function.value.has_value() == value.has_value());
    if (value && function.value) CHECK(*function.value == *value);
    CHECK(function.list.get() == list);
    CHECK(function.map.get() == map);
    CHECK((function.sum.get() == nullptr) == !sum.has_value());
    if (sum && function.sum) CHECK(*function.sum == *sum);
    CHECK(function.longest.get() == longest);
    const bool alive = brief && now - brief->second < ttl_time.count();
    CHECK(function.brief.has_value() == alive);
    if (alive && function.brief) CHECK(*function.brief == brief->first);
  }
};

/// A key is its number, by the form of keys under test.
struct KeyKind {
  const char* name;
  std::vector<DataType> types;
  bool optional;
  std::function<Row(std::int64_t)> row;
};
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

struct BackendKind {
  const char* name;
  std::function<StateBackendPtr(const std::filesystem::path&)> make;
};
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

/// One subtask.
struct Subtask {
  Subtask(const KeyKind& kind, const StateBackendPtr& backend) : keys{kind} {
    std::vector<std::size_t> fields(kind.types.size());
    std::vector<Field> columns;
    for (std::size_t i = 0; i < fields.size(); ++i) {
      fields[i] = i;
      columns.push_back({"k" + std::to_string(i), kind.types[i]});
    }
    schema = make_schema(std::move(columns));
    runtime = std::make_unique<KeyedRuntime>(function, fields, kind.types, kind.optional);
    if (backend) REQUIRE(runtime->use_backend(backend, key_groups).has_value());
  }
  /// Calls `use(key)` for each, with its state in scope.
  void batch(const std::vector<std::int64_t>& numbers, std::int64_t now, const std::function<void(std::int64_t)>& use) {
    std::vector<Row> rows;
    for (const std::int64_t number : numbers) rows.push_back(keys.row(number));
    const BatchPtr batch = make_batch(schema, rows);
    const auto slots = runtime->begin_batch(*batch, Timestamp{now});
    REQUIRE(slots.has_value());
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      runtime->select((*slots)[i]);
      use(numbers[i]);
    }
    const Status ended = runtime->end_batch();
    REQUIRE_MESSAGE(ended.has_value(), (ended ? "" : ended.error().message()));
  }

  const KeyKind& keys;
  Function function;
  SchemaPtr schema;
  std::unique_ptr<KeyedRuntime> runtime;
};

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

/// The subtasks' states as a checkpoint: of stores as they are, or, `portable`, of rows.
std::shared_ptr<const RestoredCheckpoint> checkpoint_of(std::vector<CapturedStatePtr> captured, bool portable,
                                                        const std::string& folder, const CheckpointStoragePtr& storage,
                                                        UploadedFiles& uploaded) {
  CheckpointMetadata metadata;
  metadata.id = 1;
  metadata.max_parallelism = key_groups;
  metadata.operators.push_back({"op", {}, std::nullopt});
  for (std::size_t subtask = 0; subtask < captured.size(); ++subtask) {
    CapturedStates states;
    states.emplace_back("op", std::move(captured[subtask]));
    auto written =
        write_task_state(std::move(states), *storage, folder, std::to_string(subtask), portable ? nullptr : &uploaded);
    REQUIRE_MESSAGE(written.has_value(), (written ? "" : written.error().message()));
    auto arrived = decode_task_state(encode_task_state(*written));
    REQUIRE(arrived.has_value());
    metadata.operators[0].subtasks.push_back(
        {std::move(arrived->operators[0].tables), static_cast<std::uint32_t>(metadata.files.size())});
    metadata.files.push_back(std::move(arrived->file));
  }
  REQUIRE(storage->put(folder + "/" + std::string{metadata_name}, encode_metadata(metadata)));
  auto loaded = RestoredCheckpoint::load(storage, folder);
  REQUIRE(loaded.has_value());
  return *loaded;
}

}  // namespace

TEST_CASE("keyed state is what it should be, in every backend, with keys of every form") {
  TemporaryFolder folder;
  int number = 0;
  for (const BackendKind& backend : backend_kinds()) {
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
}

TEST_CASE("keyed state goes through a checkpoint of any backend into any other, while it goes on changing") {
  TemporaryFolder folder;
  int number = 0;
  for (const BackendKind& from : backend_kinds()) {
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
}

TEST_CASE("a checkpoint is written on another thread while the function goes on, in every backend") {
  TemporaryFolder folder;
  int number = 0;
  for (const BackendKind& backend : backend_kinds()) {
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
        const Model at_snapshot = model;
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
}

TEST_CASE("timers fire in their order, once each, in every backend, however many there are and through checkpoints") {
  TemporaryFolder folder;
  int number = 0;
  using Timer = std::tuple<std::int64_t, std::int64_t, std::string>;  // time, key, name
  for (const BackendKind& backend : backend_kinds()) {
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
            const Timer timer{now + 1 + pick(50), key, pick(3) == 0 ? "other" : ""};
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
              CHECK((*due)->name == name);
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
          }
        }
      }
    }
  }
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

TEST_CASE("keyed state in a store is dealt out to any number of subtasks, each key once") {
  TemporaryFolder folder;
  int number = 0;
  for (const BackendKind& kind : backend_kinds()) {
    for (const auto& [before, after] : {std::pair{1U, 3U}, {3U, 1U}, {3U, 2U}, {2U, 5U}}) {
      const std::string kind_name = kind.name;
      CAPTURE(kind_name);
      CAPTURE(before);
      CAPTURE(after);
      const KeyKind& keys = key_kinds()[0];
      constexpr std::int64_t most_keys = 200;
      const CheckpointStoragePtr storage = make_local_storage((folder / ("s" + std::to_string(number))).string());
      UploadedFiles uploaded;
      const StateBackendPtr old_backend = kind.make(folder / ("old" + std::to_string(number)));
      const StateBackendPtr new_backend = kind.make(folder / ("new" + std::to_string(number++)));
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
