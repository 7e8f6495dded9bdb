// A pattern whose state lies in a store gives what it gives from the heap, in the same order, however little of it may
// be in memory.

#include <doctest/doctest.h>

#include <functional>
#include <random>
#include <string>
#include <vector>

#include "libdataflow/state/state_backend.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/unit/patterns/matching.hpp"

namespace dataflow::pattern_tests {

namespace {

using testing_support::TemporaryFolder;

Node three_steps() {
  Node node{.pattern = "a b c",
            .define = "a = \"kind = 'a'\", b = \"kind = 'b' AND v >= a.v\", c = \"kind = 'c'\"",
            .measures = "since = \"first(v)\", until = \"last(v)\""};
  node.within = "3000us";
  return node;
}

/// Rows of many keys, a little out of order, with a watermark after every few batches.
void run_through(Matching& matching, std::uint64_t seed) {
  std::mt19937_64 random{seed};
  std::int64_t now = 1;
  for (int batch = 0; batch < 60; ++batch) {
    std::vector<Input> rows;
    for (std::size_t n = 1 + random() % 60; n > 0; --n) {
      now += static_cast<std::int64_t>(random() % 3);
      const std::uint64_t key = random() % 200;
      Input row;
      if (key != 7) row.key = "key " + std::to_string(key);
      row.kind = std::string(1, static_cast<char>('a' + random() % 3));
      if (random() % 20 != 0) row.v = static_cast<std::int64_t>(random() % 5);
      row.time = now - static_cast<std::int64_t>(random() % 50);
      rows.push_back(row);
    }
    matching.push(rows);
    if (random() % 4 == 0) matching.watermark(now - 60 - static_cast<std::int64_t>(random() % 500));
  }
  matching.drain();
}

std::string all_of(Matching& matching) {
  const std::string results = matching.results();
  CHECK(results.size() > 100);
  return results + " | " + matching.timeouts() + " | " + matching.late();
}

/// The same by a store in memory and by RocksDB, with caches that hold nothing, a little and everything.
void in_every_store(const Node& node, const std::function<std::string(Matching&)>& run) {
  Matching heap{node};
  const std::string expected = run(heap);
  TemporaryFolder folder;
  int number = 0;
  const auto path = [&] { return folder / std::to_string(++number); };
  for (const std::uint64_t cache : {0ULL, 3000ULL, 100'000'000ULL}) {
    CAPTURE(cache);
    Matching in_memory{node, *make_memory_backend(path(), cache)};
    CHECK(run(in_memory) == expected);
    Matching on_disk{node, *make_rocksdb_backend(path(), 4 * cache)};
    CHECK(run(on_disk) == expected);
  }
}

}  // namespace

TEST_CASE("a pattern gives the same from a store as from the heap, in the same order") {
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    CAPTURE(seed);
    in_every_store(three_steps(), [&](Matching& matching) {
      run_through(matching, seed);
      return all_of(matching);
    });
  }
}

TEST_CASE("attempts that nothing ends but the end of time are decided in a store in the order in which they began") {
  Node node = three_steps();
  node.pattern = "a b? c?";
  node.define = "a = \"kind = 'a'\", b = \"kind = 'b'\", c = \"kind = 'c'\"";
  node.within = "";
  in_every_store(node, [&](Matching& matching) {
    run_through(matching, 4);
    return all_of(matching);
  });
}

TEST_CASE("a row for prev is forgotten in a store when it is on the heap") {
  Node node = three_steps();
  node.pattern = "a+";
  node.define = "a = \"v > prev(v)\"";
  node.within = "40us";
  in_every_store(node, [&](Matching& matching) {
    run_through(matching, 5);
    return all_of(matching);
  });
}

TEST_CASE("without key_by a pattern is one key in a store") {
  Node node = three_steps();
  node.key_by = "";
  node.pattern = "a b";
  node.define = "a = \"kind = 'a'\", b = \"kind = 'b'\"";
  in_every_store(node, [&](Matching& matching) {
    run_through(matching, 6);
    return all_of(matching);
  });
}

TEST_CASE("an output that is full stops a pattern in a store, and nothing is lost") {
  in_every_store(three_steps(), [&](Matching& matching) {
    matching.out.always_full = true;
    run_through(matching, 7);
    return all_of(matching);
  });
}

TEST_CASE("a pattern goes on from a checkpoint of the heap in a store, and back") {
  const Node node = three_steps();
  const auto run = [&](const std::function<void(Matching&, int)>& restart) {
    Matching matching{node};
    std::string results;
    for (int part = 0; part < 4; ++part) {
      std::vector<Input> rows;
      for (int key = 0; key < 300; ++key) {
        rows.push_back({"key " + std::to_string(key), std::string(1, "abca"[part]), key % 5, part * 1000 + key});
      }
      matching.push(rows);
      matching.watermark(part * 1000 + 100);  // most of them wait
      restart(matching, part);
    }
    matching.drain();
    return matching.results() + " | " + matching.timeouts();
  };
  const std::string expected = run([](Matching&, int) {});
  TemporaryFolder folder;
  CHECK(run([&](Matching& matching, int part) {
          const std::string saved = matching.save();
          matching.context.backend =
              part % 2 == 0 ? *make_memory_backend(folder / std::to_string(part), 0) : StateBackendPtr{};
          matching.restore(saved);
        }) == expected);
}

}  // namespace dataflow::pattern_tests
