#pragma once
// An ordered key-value store below an operator's own structures: where state lies that does not fit into memory, and
// what incremental checkpoints are made of.
//
// Operators keep their hash tables and use a store as what is behind a write-back cache: keys that are missing are
// fetched for a whole batch, changes are written in batches, and nothing is asked for one record. A checkpoint is a
// list of immutable files, most of which the checkpoint before it has too (O'Neil et al., "The log-structured
// merge-tree", Acta Informatica 33, 1996; Flink's incremental checkpoints of RocksDB). There is no log: what was not
// in a checkpoint is computed again.
//
// Keys are bytes in lexicographic order, and begin with their key group (see store_key.hpp), so that a subtask of
// another parallelism reads the groups that it owns as a few ranges.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "libdataflow/state/store_files.hpp"
#include "serialization/result.hpp"

namespace dataflow {

/// Puts and erasures that become visible together. Keeps its memory when it is cleared.
class StoreBatch {
 public:
  struct Change {
    std::string_view key;
    std::optional<std::string_view> value;  ///< nothing: the key is erased
  };

  void put(std::string_view key, std::string_view value);
  void erase(std::string_view key);
  void clear();

  [[nodiscard]] std::size_t size() const { return entries_.size(); }
  [[nodiscard]] bool empty() const { return entries_.empty(); }
  /// Of keys and values.
  [[nodiscard]] std::size_t byte_size() const { return bytes_.size(); }
  /// The i-th change in the order in which they were made; of two to one key the later one counts.
  [[nodiscard]] Change operator[](std::size_t i) const;

 private:
  struct Entry {
    std::size_t at;
    std::uint32_t key_bytes;
    std::uint32_t value_bytes;
    bool erases;
  };
  std::string bytes_;
  std::vector<Entry> entries_;
};

/// The answers to a multi_get, each at its key's position. Keeps its memory from one to the next.
class StoreValues {
 public:
  void clear();
  void add(std::string_view value);
  void add_missing();

  [[nodiscard]] std::size_t size() const { return entries_.size(); }
  /// Nothing when there is no such key. Valid until the values change.
  [[nodiscard]] std::optional<std::string_view> operator[](std::size_t i) const;

 private:
  struct Entry {
    std::size_t at;
    std::uint32_t bytes;
    bool found;
  };
  std::string bytes_;
  std::vector<Entry> entries_;
};

/// A walk over a range of keys, in order: `for (; scan->valid(); scan->next())`, then look at `status`.
class StoreScan {
 public:
  virtual ~StoreScan() = default;
  /// False at the end of the range, and after a failure.
  [[nodiscard]] virtual bool valid() const = 0;
  virtual void next() = 0;
  /// Both valid until `next`.
  [[nodiscard]] virtual std::string_view key() const = 0;
  [[nodiscard]] virtual std::string_view value() const = 0;
  /// Errors: io, malformed_data. Without looking, a walk that failed looks like one that ended.
  [[nodiscard]] virtual Status status() const = 0;
};

/// Errors of all calls: io (disk full, permission, a vanished disk) and malformed_data (damaged files), naming the
/// folder, what was done and what to do. A failed write has changed nothing.
///
/// Threads: one at a time may write and make checkpoints; multi_get and scans may run beside it on another.
class StateStore {
 public:
  virtual ~StateStore() = default;

  /// The values of `keys`, in any order of keys; sorted keys are found fastest.
  virtual Status multi_get(std::span<const std::string_view> keys, StoreValues& values) = 0;
  virtual Status write(const StoreBatch& changes) = 0;
  /// Erases the keys from `from` up to but without `end`.
  virtual Status erase_range(std::string_view from, std::string_view end) = 0;
  /// The keys from `from` up to but without `end` (empty: to the last one), as they are now: later writes are not seen.
  /// The store outlives the scan.
  [[nodiscard]] virtual std::unique_ptr<StoreScan> scan(std::string_view from, std::string_view end) = 0;

  /// Puts everything that was written into files in `folder`, which must not exist while its parent must. Files are
  /// linked, not copied, when the folder is on the store's filesystem. Returns all of them.
  virtual Result<std::vector<StoreFile>> checkpoint(const std::filesystem::path& folder) = 0;

  /// Of memory, caches included.
  [[nodiscard]] virtual std::uint64_t memory_bytes() const = 0;
  /// Of files on disk, about.
  [[nodiscard]] virtual std::uint64_t disk_bytes() const = 0;
};

using StateStorePtr = std::unique_ptr<StateStore>;

/// Copies a range of one store into another: the key groups that a subtask takes over from another one.
Status copy_range(StateStore& from, StateStore& into, std::string_view first, std::string_view end);

}  // namespace dataflow
