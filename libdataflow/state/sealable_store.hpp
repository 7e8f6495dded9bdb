#pragma once
// A store that is written while a checkpoint of it is being made.
//
// At a barrier a store is sealed, which costs nothing. Its checkpoint is made later, by the thread that writes
// checkpoints, and must be what the store was at the barrier. So what is written meanwhile waits in memory, in front of
// the store: reads look there first. Once the checkpoint is made, the next write takes it into the store. When too much
// waits, whoever writes makes the checkpoint itself.

#include <atomic>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "libdataflow/state/snapshot.hpp"
#include "libdataflow/state/state_backend.hpp"
#include "libdataflow/state/stored_table.hpp"

namespace dataflow {

/// The checkpoint of a store as of a barrier. Whoever comes first makes it: the thread that writes the checkpoint, or
/// the store's own thread, which wants to write. Until `run` has succeeded nobody else writes to the store.
class SealedStore {
 public:
  explicit SealedStore(OwnedStorePtr store) : store_{std::move(store)} {}
  virtual ~SealedStore();
  SealedStore(const SealedStore&) = delete;
  SealedStore& operator=(const SealedStore&) = delete;

  /// Makes the checkpoint, if nobody has; waits for whoever is at it. On any thread. After an error it may be tried
  /// again. Errors: of the store.
  Status run();
  /// Whether a thread that writes a checkpoint does that, or will.
  [[nodiscard]] bool is_under_way();
  /// Nobody wants the checkpoint any more.
  void give_up() { wanted_ = false; }
  /// The checkpoint's files have been put where they are to be, or are of no use.
  void drop_files();
  /// Both: it has been written, or never will be.
  void abandon() {
    give_up();
    drop_files();
  }

  // For CapturedState::write; both run it. Errors: of the store and the writer; cancelled when it was given up.
  /// The whole table as the store's files; where the writer takes stores.
  Status write_files(StateWriter& writer, const StateDescription& state);
  /// Its rows, of the table begun last: for what is to outlive the job.
  Status write_rows(StateWriter& writer, const StoredTableForm& form, std::uint32_t max_parallelism);

  /// After run: the checkpoint's files, in `folder`. Empty when it was given up.
  [[nodiscard]] const std::vector<StoreFile>& files() const { return files_; }
  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }

 protected:
  /// Brings what belongs to the checkpoint and is not in the store yet. Once, until it succeeds, also for a checkpoint
  /// that was given up.
  virtual Status complete() { return {}; }
  [[nodiscard]] StateStore& store() const { return **store_; }

 private:
  Status make();

  std::mutex mutex_;
  std::atomic<bool> wanted_ = true;
  bool complete_ = false;
  bool done_ = false;
  OwnedStorePtr store_;
  std::filesystem::path folder_;
  std::vector<StoreFile> files_;
};
using SealedStorePtr = std::shared_ptr<SealedStore>;

/// All calls on one thread; what `seal` returns is for any. Errors: of the store.
class SealableStore {
 public:
  explicit SealableStore(OwnedStorePtr store) : store_{std::move(store)} {}

  // As StateStore has them.
  Status multi_get(std::span<const std::string_view> keys, StoreValues& values);
  Status write(const StoreBatch& changes);
  [[nodiscard]] std::unique_ptr<StoreScan> scan(std::string_view from, std::string_view end);

  /// The checkpoint of what is in it now. One that was sealed before is given up, or waited for if it is being made.
  Result<SealedStorePtr> seal();

  [[nodiscard]] const StateBackendPtr& backend() const { return store_->backend(); }

  /// What was written since the store was sealed: a key's value, or that it is erased.
  using Overlay = std::map<std::string, std::optional<std::string>, std::less<>>;

 private:
  Status settle();
  void keep(const StoreBatch& changes);
  [[nodiscard]] std::size_t most_overlay_bytes() const;

  OwnedStorePtr store_;
  SealedStorePtr sealed_;             ///< until it is known to be made
  std::shared_ptr<Overlay> overlay_;  ///< null: nothing waits. Shared with scans, which keep what they began with
  std::size_t overlay_bytes_ = 0;
  // Scratch.
  std::vector<std::string_view> in_store_;
  StoreValues from_store_;
};

}  // namespace dataflow
