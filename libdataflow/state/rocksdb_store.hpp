#pragma once
// A store on RocksDB: state as large as the disk, in as little memory as it is given.
//
// How it is tuned, and why (docs/decisions/008-state-backends.md; what it comes to: bench_state, bench_keyed_state):
// - No write-ahead log: checkpoints are the log.
// - Memtables, index and filter blocks and cached data of all stores of a process are charged to one budget.
// - Universal (tiered) compaction: a byte is rewritten a few times over its life where levels rewrite it ten times and
//   more, and what is rewritten is what the next incremental checkpoint has to carry. Nothing ever forces a full one.
// - One column family: each has memtables of its own, so that many states would mean many small files. States are told
//   apart by what follows the key group in their keys.

#include <cstdint>
#include <filesystem>
#include <memory>

#include "libdataflow/state/state_store.hpp"

namespace dataflow {

/// The memory that all RocksDB stores of a process share: half of it at most for what has been written and not yet
/// flushed, the rest caches what is read. Safe to use from any thread.
class RocksMemory {
 public:
  explicit RocksMemory(std::uint64_t budget_bytes);
  ~RocksMemory();
  RocksMemory(const RocksMemory&) = delete;
  RocksMemory& operator=(const RocksMemory&) = delete;

  [[nodiscard]] std::uint64_t budget_bytes() const { return budget_; }
  /// In use now: at most the budget, but for blocks that scans and lookups hold at this moment.
  [[nodiscard]] std::uint64_t used_bytes() const;

  struct Parts;
  [[nodiscard]] const Parts& parts() const { return *parts_; }

 private:
  std::uint64_t budget_;
  std::unique_ptr<Parts> parts_;
};

/// The least budget with which a store works at all.
inline constexpr std::uint64_t least_rocks_memory_bytes = 8U << 20;

/// A store in `folder`, on what restore_files put there, or empty. The folder is the store's own.
/// Errors: io; malformed_data when the files are damaged.
Result<StateStorePtr> open_rocksdb_store(const std::filesystem::path& folder, std::shared_ptr<RocksMemory> memory);

}  // namespace dataflow
