#include "libdataflow/state/state_backend.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "libdataflow/state/memory_store.hpp"
#include "libdataflow/state/rocksdb_store.hpp"

namespace dataflow {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view claimed_prefix = "state-";
constexpr const char* lock_name = "lock";

class RocksBackend final : public StateBackend {
 public:
  RocksBackend(const fs::path& folder, std::uint64_t memory_bytes)
      : StateBackend{folder, memory_bytes / 4}, memory_{std::make_shared<RocksMemory>(memory_bytes / 2)} {}
  [[nodiscard]] bool on_rocksdb() const override { return true; }

 protected:
  Result<StateStorePtr> open_store(const fs::path& folder) override { return open_rocksdb_store(folder, memory_); }

 private:
  std::shared_ptr<RocksMemory> memory_;
};

class MemoryBackend final : public StateBackend {
 public:
  using StateBackend::StateBackend;
  [[nodiscard]] bool on_rocksdb() const override { return false; }

 protected:
  Result<StateStorePtr> open_store(const fs::path& folder) override { return open_memory_store(folder); }
};

class SpillBackend final : public StateBackend {
 public:
  SpillBackend(const fs::path& folder, std::uint64_t memory_bytes) : StateBackend{folder, memory_bytes / 2} {}
  [[nodiscard]] bool on_rocksdb() const override { return false; }
  [[nodiscard]] bool has_stores() const override { return false; }

 protected:
  Result<StateStorePtr> open_store(const fs::path& folder) override {
    return fail(ErrorCode::internal, "there are no stores in " + folder.parent_path().string());
  }
};

Status make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (!error) return {};
  return fail(ErrorCode::io, "cannot make the folder " + folder.string() + " for state: " + error.message() +
                                 "; set DATAFLOW_STATE_DIR to a folder that can be written");
}

template <class Backend>
Result<StateBackendPtr> made_in(const fs::path& folder, std::uint64_t bytes) {
  if (Status made = make_folder(folder); !made) return fail(made.error());
  return std::make_shared<Backend>(folder, bytes);
}

}  // namespace

OwnedStore::OwnedStore(StateBackendPtr backend, fs::path folder, StateStorePtr store)
    : backend_{std::move(backend)}, folder_{std::move(folder)}, store_{std::move(store)} {
  ++backend_->open_;
}

OwnedStore::~OwnedStore() {
  store_.reset();
  --backend_->open_;
  std::error_code ignored;  // what cannot be removed goes with the process's folder
  fs::remove_all(folder_, ignored);
}

OwnedFolder::OwnedFolder(StateBackendPtr backend, fs::path folder)
    : backend_{std::move(backend)}, folder_{std::move(folder)} {
  ++backend_->open_;
}

OwnedFolder::~OwnedFolder() {
  --backend_->open_;
  std::error_code ignored;  // what cannot be removed goes with the process's folder
  fs::remove_all(folder_, ignored);
}

fs::path OwnedFolder::new_file() {
  return folder_ / std::to_string(++files_);
}

Result<OwnedFolderPtr> StateBackend::open_folder() {
  fs::path folder = new_folder();
  if (Status made = make_folder(folder); !made) return fail(made.error());
  return std::make_shared<OwnedFolder>(shared_from_this(), std::move(folder));
}

fs::path OwnedStore::checkpoint_folder() {
  return folder_.parent_path() / (folder_.filename().string() + "-checkpoint-" + std::to_string(++checkpoints_));
}

StateBackend::StateBackend(fs::path folder, std::uint64_t cache_bytes)
    : folder_{std::move(folder)}, cache_bytes_{cache_bytes} {}

StateBackend::~StateBackend() {
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

fs::path StateBackend::new_folder() {
  return folder_ / std::to_string(++folders_);
}

Result<OwnedStorePtr> StateBackend::open(fs::path folder) {
  auto store = open_store(folder);
  if (!store) return fail(store.error());
  return std::make_shared<OwnedStore>(shared_from_this(), std::move(folder), std::move(*store));
}

std::uint64_t StateBackend::cache_bytes() const {
  return cache_bytes_ / std::max<std::uint64_t>(open_.load(std::memory_order_relaxed), 1);
}

Result<StateBackendPtr> make_rocksdb_backend(const fs::path& folder, std::uint64_t memory_bytes) {
  return made_in<RocksBackend>(folder, memory_bytes);
}

Result<StateBackendPtr> make_spill_backend(const fs::path& folder, std::uint64_t memory_bytes) {
  return made_in<SpillBackend>(folder, memory_bytes);
}

Result<StateBackendPtr> make_memory_backend(const fs::path& folder, std::uint64_t cache_bytes) {
  return made_in<MemoryBackend>(folder, cache_bytes);
}

Result<fs::path> claim_state_folder(const fs::path& parent) {
  if (Status made = make_folder(parent); !made) return fail(made.error());
  std::error_code error;
  for (const auto& entry : fs::directory_iterator{parent, error}) {
    if (!entry.path().filename().string().starts_with(claimed_prefix)) continue;
    // Whoever lives holds the lock. One that has no lock yet is being made.
    const int lock = ::open((entry.path() / lock_name).c_str(), O_RDWR | O_CLOEXEC);
    if (lock < 0) continue;
    if (::flock(lock, LOCK_EX | LOCK_NB) == 0) fs::remove_all(entry.path(), error);
    ::close(lock);
  }
  static std::atomic<std::uint64_t> number{0};
  const fs::path folder =
      parent / (std::string{claimed_prefix} + std::to_string(::getpid()) + "-" + std::to_string(++number));
  if (Status made = make_folder(folder); !made) return fail(made.error());
  // Never closed: the lock is the process's.
  const int lock = ::open((folder / lock_name).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock < 0 || ::flock(lock, LOCK_EX | LOCK_NB) != 0) {
    const int reason = errno;
    if (lock >= 0) ::close(lock);
    return fail(ErrorCode::io, "cannot lock " + folder.string() + ": " + std::strerror(reason));
  }
  return folder;
}

}  // namespace dataflow
