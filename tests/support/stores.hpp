#pragma once
// The stores that the suites of state stores run against, and short words for what is done with them.

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "libdataflow/state/memory_store.hpp"
#include "libdataflow/state/rocksdb_store.hpp"
#include "tests/support/temporary_folder.hpp"

namespace dataflow::testing_support {

struct StoreKind {
  const char* name;
  std::function<Result<StateStorePtr>(const std::filesystem::path&)> open;
};

inline const std::vector<StoreKind>& store_kinds() {
  static const std::vector<StoreKind> kinds{
      {"memory", open_memory_store},
      {"rocksdb",
       [](const std::filesystem::path& folder) {
         return open_rocksdb_store(folder, std::make_shared<RocksMemory>(16U << 20));
       }},
  };
  return kinds;
}

using Content = std::map<std::string, std::string>;

inline Content content_of(StateStore& store, std::string_view from = "", std::string_view end = "") {
  Content content;
  const auto scan = store.scan(from, end);
  for (; scan->valid(); scan->next()) content.emplace(scan->key(), scan->value());
  REQUIRE(scan->status());
  return content;
}

inline void put(StateStore& store, const Content& entries) {
  StoreBatch batch;
  for (const auto& [key, value] : entries) batch.put(key, value);
  const auto status = store.write(batch);
  REQUIRE_MESSAGE(status.has_value(), (status ? "" : status.error().message()));
}

/// Few and short, so that they meet; with bytes on both sides of the sign.
inline std::string random_key(std::mt19937_64& random) {
  std::string key;
  for (std::size_t left = random() % 3 + 1; left != 0; --left) key += "\x00\x01q\x80\xff"[random() % 5];
  return key;
}

/// Puts and erasures of some keys with values below `most_bytes`, in the store and in what it is to have.
template <class Store>
void write_at_random(Store& store, Content& content, std::mt19937_64& random, std::size_t most_bytes) {
  StoreBatch batch;
  for (std::size_t left = random() % 8; left != 0; --left) {
    const std::string key = random_key(random);
    if (random() % 3 == 0) {
      batch.erase(key);
      content.erase(key);
    } else {
      const std::string value(random() % most_bytes, static_cast<char>('a' + random() % 26));
      batch.put(key, value);
      content[key] = value;
    }
  }
  REQUIRE(store.write(batch));
}

/// Some keys, in any order, have the values that they are to have.
template <class Store>
void look_up_at_random(Store& store, const Content& content, std::mt19937_64& random) {
  std::vector<std::string> keys(random() % 12);
  for (std::string& key : keys) key = random_key(random);
  if (random() % 2 == 0) std::sort(keys.begin(), keys.end());
  const std::vector<std::string_view> views{keys.begin(), keys.end()};
  StoreValues values;
  REQUIRE(store.multi_get(views, values));
  REQUIRE(values.size() == keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const auto at = content.find(keys[i]);
    REQUIRE(values[i] == (at == content.end() ? std::nullopt : std::optional<std::string_view>{at->second}));
  }
}

inline std::vector<StoreFile> checkpoint(StateStore& store, const std::filesystem::path& folder) {
  auto files = store.checkpoint(folder);
  REQUIRE_MESSAGE(files.has_value(), (files ? "" : files.error().message()));
  return std::move(*files);
}

}  // namespace dataflow::testing_support
