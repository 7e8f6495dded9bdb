#pragma once
// Where the operators of a process keep state that is too large for memory: one budget, one folder, a store for each
// operator that asks. A job whose state lives on the heap has none; a batch has a place for sorted runs even so.

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "libdataflow/state/local_copies.hpp"
#include "libdataflow/state/state_store.hpp"

namespace dataflow {

class StateBackend;
using StateBackendPtr = std::shared_ptr<StateBackend>;

/// A store and its folder, which goes with it. Holds the backend.
class OwnedStore {
 public:
  OwnedStore(StateBackendPtr backend, std::filesystem::path folder, StateStorePtr store);
  ~OwnedStore();
  OwnedStore(const OwnedStore&) = delete;
  OwnedStore& operator=(const OwnedStore&) = delete;

  StateStore& operator*() const { return *store_; }
  StateStore* operator->() const { return store_.get(); }
  /// A name in the same place for a checkpoint's folder that is not there yet.
  [[nodiscard]] std::filesystem::path checkpoint_folder();
  [[nodiscard]] const StateBackendPtr& backend() const { return backend_; }

 private:
  StateBackendPtr backend_;
  std::filesystem::path folder_;
  StateStorePtr store_;
  std::atomic<std::uint64_t> checkpoints_ = 0;
};
using OwnedStorePtr = std::shared_ptr<OwnedStore>;

/// A folder for what an operator writes without a store, with a share of what caches may take. Goes with its files.
class OwnedFolder {
 public:
  OwnedFolder(StateBackendPtr backend, std::filesystem::path folder);
  ~OwnedFolder();
  OwnedFolder(const OwnedFolder&) = delete;
  OwnedFolder& operator=(const OwnedFolder&) = delete;

  /// A name in it that no other file has.
  [[nodiscard]] std::filesystem::path new_file();
  [[nodiscard]] const StateBackendPtr& backend() const { return backend_; }

 private:
  StateBackendPtr backend_;
  std::filesystem::path folder_;
  std::uint64_t files_ = 0;
};
using OwnedFolderPtr = std::shared_ptr<OwnedFolder>;

/// Safe to use from any thread.
class StateBackend : public std::enable_shared_from_this<StateBackend> {
 public:
  /// `folder` is this process's own; it goes with the backend. `cache_bytes`: of all write-back caches together.
  StateBackend(std::filesystem::path folder, std::uint64_t cache_bytes);
  virtual ~StateBackend();
  StateBackend(const StateBackend&) = delete;
  StateBackend& operator=(const StateBackend&) = delete;

  /// A folder of a name that no other has, which does not exist.
  [[nodiscard]] std::filesystem::path new_folder();
  /// Whether there are any stores: without, it has folders only, and must not be asked to `open` one.
  [[nodiscard]] virtual bool has_stores() const { return true; }
  /// A store on what lies in `folder`, a new_folder, or an empty one. Errors: io, malformed_data.
  Result<OwnedStorePtr> open(std::filesystem::path folder);
  /// An empty folder. Errors: io.
  Result<OwnedFolderPtr> open_folder();
  /// To be told before anybody else has the backend.
  void keep_copies_in(const std::filesystem::path& folder) { copies_ = std::make_shared<LocalCopies>(folder); }
  /// Of its stores' files in checkpoints; null: none are kept.
  [[nodiscard]] const LocalCopiesPtr& local_copies() const { return copies_; }
  /// Whether its stores are RocksDB's, and so the files of their checkpoints.
  [[nodiscard]] virtual bool on_rocksdb() const = 0;
  /// What the write-back cache of one open store, or what waits for one open folder, may take.
  [[nodiscard]] std::uint64_t cache_bytes() const;

 protected:
  virtual Result<StateStorePtr> open_store(const std::filesystem::path& folder) = 0;

 private:
  friend class OwnedStore;
  friend class OwnedFolder;
  std::filesystem::path folder_;
  std::uint64_t cache_bytes_;
  LocalCopiesPtr copies_;
  std::atomic<std::uint64_t> folders_ = 0;
  std::atomic<std::uint64_t> open_ = 0;
};

/// On RocksDB, in `memory_bytes` altogether: half for its own buffers and caches, a quarter for write-back caches, the
/// rest for what a snapshot holds beside them. Errors: io when the folder cannot be made.
Result<StateBackendPtr> make_rocksdb_backend(const std::filesystem::path& folder, std::uint64_t memory_bytes);
/// Without stores, for a batch whose state is on the heap: half of `memory_bytes` for what waits until it is written,
/// the rest for what sorting, merging and a snapshot take beside it. Errors: io when the folder cannot be made.
Result<StateBackendPtr> make_spill_backend(const std::filesystem::path& folder, std::uint64_t memory_bytes);
/// On sorted maps in memory; for tests and simulation.
Result<StateBackendPtr> make_memory_backend(const std::filesystem::path& folder, std::uint64_t cache_bytes);

/// A folder below `parent` for this process, which goes when the process does: those that processes which are gone have
/// left are removed. Errors: io.
Result<std::filesystem::path> claim_state_folder(const std::filesystem::path& parent);

}  // namespace dataflow
