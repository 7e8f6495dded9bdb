// The hashes of the keys that an operator keeps.

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <set>

#include "libdataflow/batch/hash_set.hpp"

using namespace dataflow;

TEST_CASE("a hash is in the set once it has been put there, 0 too, and those that fall on one place") {
  std::mt19937_64 random{1};
  HashSet hashes;
  std::set<std::uint64_t> expected;
  CHECK_FALSE(hashes.contains(0));
  for (int i = 0; i < 20'000; ++i) {
    // Few, with many ends that are the same.
    const std::uint64_t hash = random() % 3 == 0 ? random() % 3000 : (random() % 3000) << 32;
    CHECK(hashes.contains(hash) == expected.contains(hash));
    CHECK(hashes.insert(hash) == expected.insert(hash).second);
  }
  CHECK(hashes.contains(0));
  CHECK(hashes.size() == expected.size());
  std::vector<std::uint64_t> all = hashes.all();
  std::sort(all.begin(), all.end());
  CHECK(std::equal(all.begin(), all.end(), expected.begin(), expected.end()));
}
