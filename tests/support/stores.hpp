#pragma once
// The stores that the suites of state stores run against, and short words for what is done with them.

#include <doctest/doctest.h>

#include <functional>
#include <map>
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

inline std::vector<StoreFile> checkpoint(StateStore& store, const std::filesystem::path& folder) {
  auto files = store.checkpoint(folder);
  REQUIRE_MESSAGE(files.has_value(), (files ? "" : files.error().message()));
  return std::move(*files);
}

}  // namespace dataflow::testing_support
