#include "libdataflow/checkpoint/copied_storage.hpp"

#include <atomic>
#include <utility>

namespace dataflow {

namespace {

std::string folder_of(const std::string& key) {
  return key.substr(0, key.rfind('/'));
}

/// It has no second name.
bool was_copied(const std::filesystem::path& file) {
  std::error_code error;
  return std::filesystem::hard_link_count(file, error) == 1 && !error;
}

class CopiedStorage final : public CheckpointStorage {
 public:
  CopiedStorage(CheckpointStoragePtr storage, LocalCopiesPtr copies)
      : storage_{std::move(storage)}, copies_{std::move(copies)} {}

  Result<std::unique_ptr<StoredFile>> create(const std::string& key) override { return storage_->create(key); }
  Result<std::string> get(const std::string& key) override { return storage_->get(key); }
  Result<Buffer> get_range(const std::string& key, std::uint64_t offset, std::uint64_t length) override {
    return storage_->get_range(key, offset, length);
  }
  Result<std::vector<std::string>> list(const std::string& prefix) override { return storage_->list(prefix); }
  Status remove(const std::string& key) override { return storage_->remove(key); }
  Result<bool> link(const std::string& key, const std::string& known) override { return storage_->link(key, known); }
  [[nodiscard]] std::string describe(const std::string& key) const override { return storage_->describe(key); }

  Result<std::uint64_t> put_file(const std::string& key, const StoreFile& file, const std::filesystem::path& at,
                                 const std::string& known) override {
    auto written = storage_->put_file(key, file, at, known);
    if (!written || !file.shared) return written;
    if (*written > 0) is_elsewhere_ = true;
    // What it has from an earlier checkpoint is part of this one, too.
    if (is_elsewhere_) copies_->keep(folder_of(key), file, at);
    return written;
  }

  Status fetch_file(const std::string& key, const StoreFile& file, const std::filesystem::path& into) override {
    if (!file.shared) return storage_->fetch_file(key, file, into);
    bool copied = copies_->give(file, into);
    if (!copied) {
      if (Status fetched = storage_->fetch_file(key, file, into); !fetched) return fetched;
      copied = was_copied(into);
    }
    if (copied) {
      is_elsewhere_ = true;
      copies_->keep(folder_of(key), file, into);
    }
    return {};
  }

 private:
  CheckpointStoragePtr storage_;
  LocalCopiesPtr copies_;
  std::atomic<bool> is_elsewhere_ = false;
};

}  // namespace

CheckpointStoragePtr with_local_copies(CheckpointStoragePtr storage, LocalCopiesPtr copies) {
  return std::make_shared<CopiedStorage>(std::move(storage), std::move(copies));
}

}  // namespace dataflow
