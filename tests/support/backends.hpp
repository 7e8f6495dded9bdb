#pragma once
// The state backends that suites run against.

#include <functional>
#include <vector>

#include "libdataflow/state/state_backend.hpp"

namespace dataflow::testing_support {

struct BackendKind {
  const char* name;
  std::function<Result<StateBackendPtr>(const std::filesystem::path&)> make;
};

inline const std::vector<BackendKind>& backend_kinds() {
  static const std::vector<BackendKind> kinds{
      {"memory", [](const std::filesystem::path& folder) { return make_memory_backend(folder, 0); }},
      {"rocksdb", [](const std::filesystem::path& folder) { return make_rocksdb_backend(folder, 0); }},
  };
  return kinds;
}

}  // namespace dataflow::testing_support
