#include "libdataflow/simulation/storage.hpp"

#include <utility>

namespace dataflow::simulation {

namespace {

std::string folder_of(const std::string& path) {
  return path.substr(0, path.rfind('/'));
}

class DiskFile final : public StoredFile {
 public:
  DiskFile(Disk& disk, std::string path, std::string temporary)
      : disk_{disk}, path_{std::move(path)}, temporary_{std::move(temporary)} {}
  ~DiskFile() override {
    if (!temporary_.empty()) static_cast<void>(disk_.remove(temporary_));
  }

  Status append(std::string_view bytes) override {
    bytes_ += bytes;
    return {};
  }
  Result<PutOutcome> finish() override {
    if (Status written = disk_.write(temporary_, bytes_); !written) return fail(written.error());
    if (Status synced = disk_.sync_file(temporary_); !synced) return fail(synced.error());
    const auto linked = disk_.link(temporary_, path_);
    if (!linked) return fail(linked.error());
    if (!*linked) return PutOutcome::exists;
    static_cast<void>(disk_.remove(std::exchange(temporary_, {})));
    if (Status synced = disk_.sync_folder(folder_of(path_)); !synced) return fail(synced.error());
    return PutOutcome::stored;
  }

 private:
  Disk& disk_;
  std::string path_;
  std::string temporary_;
  std::string bytes_;
};

class DiskStorage final : public CheckpointStorage {
 public:
  DiskStorage(Disk& disk, std::string folder) : disk_{disk}, folder_{std::move(folder)} {}

  Result<std::unique_ptr<StoredFile>> create(const std::string& key) override {
    const std::string path = describe(key);
    return std::make_unique<DiskFile>(disk_, path, folder_of(path) + "/.writing." + std::to_string(++files_));
  }
  Result<std::string> get(const std::string& key) override { return disk_.read(describe(key)); }
  Result<Buffer> get_range(const std::string& key, std::uint64_t offset, std::uint64_t length) override {
    const auto all = disk_.read(describe(key));
    if (!all) return fail(all.error());
    if (offset > all->size() || length > all->size() - offset) {
      return fail(ErrorCode::malformed_data, describe(key) + " is cut off");
    }
    GrowingBuffer bytes;
    bytes.append(all->data() + offset, length);
    return bytes.freeze();
  }
  Result<std::vector<std::string>> list(const std::string& prefix) override {
    auto paths = disk_.list_below(describe(prefix));
    if (!paths) return fail(paths.error());
    std::vector<std::string> keys;
    for (const std::string& path : *paths) {
      if (path.find("/.") == std::string::npos) keys.push_back(path.substr(folder_.size() + 1));
    }
    return keys;
  }
  Status remove(const std::string& key) override { return disk_.remove(describe(key)); }
  [[nodiscard]] std::string describe(const std::string& key) const override { return folder_ + "/" + key; }

 private:
  Disk& disk_;
  std::string folder_;
  std::uint64_t files_ = 0;
};

}  // namespace

CheckpointStoragePtr make_disk_storage(Disk& disk, std::string folder) {
  return std::make_shared<DiskStorage>(disk, std::move(folder));
}

}  // namespace dataflow::simulation
