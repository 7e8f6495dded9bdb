#pragma once
// A place for an operator's state, picked at random: the heap, or a store with a cache of any size.

#include <random>
#include <string>

#include "libdataflow/state/state_backend.hpp"
#include "tests/support/temporary_folder.hpp"

namespace dataflow::testing_support {

class RandomBackends {
 public:
  /// Null is the heap. Every other one is a store in memory whose cache has room for little or nothing; RocksDB, which
  /// opens and closes slowly, is rare.
  StateBackendPtr next(std::mt19937_64& random) {
    const auto path = folder_ / std::to_string(++number_);
    switch (random() % 128) {
      case 0: return *make_rocksdb_backend(path, 16U << 20);
      case 1: return *make_rocksdb_backend(path, 0);
      default: break;
    }
    return random() % 2 == 0 ? nullptr : *make_memory_backend(path, (random() % 3) * 1500);
  }

 private:
  TemporaryFolder folder_;
  std::size_t number_ = 0;
};

}  // namespace dataflow::testing_support
