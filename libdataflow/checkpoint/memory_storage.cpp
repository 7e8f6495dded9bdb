#include "libdataflow/checkpoint/memory_storage.hpp"

namespace dataflow {

namespace {

tl::unexpected<Error> refused(const std::string& key) {
  return fail(ErrorCode::io, "memory:" + key + ": the storage does not work");
}

}  // namespace

class MemoryStorage::File final : public StoredFile {
 public:
  File(MemoryStorage& storage, std::string key) : storage_{storage}, key_{std::move(key)} {}
  Status append(std::string_view bytes) override {
    bytes_ += bytes;
    return {};
  }
  Result<PutOutcome> finish() override { return storage_.store(key_, std::move(bytes_)); }

 private:
  MemoryStorage& storage_;
  std::string key_;
  std::string bytes_;
};

Result<std::unique_ptr<StoredFile>> MemoryStorage::create(const std::string& key) {
  return std::make_unique<File>(*this, key);
}

Result<PutOutcome> MemoryStorage::store(const std::string& key, std::string bytes) {
  const Fate fate = fate_of(Call::put, key);
  if (fate == Fate::lost) return refused(key);
  const std::lock_guard lock{mutex_};
  const bool stored = files_.emplace(key, std::move(bytes)).second;
  if (fate == Fate::unsure) return refused(key);
  return stored ? PutOutcome::stored : PutOutcome::exists;
}

Result<std::string> MemoryStorage::get(const std::string& key) {
  if (fate_of(Call::get, key) != Fate::works) return refused(key);
  const std::lock_guard lock{mutex_};
  const auto at = files_.find(key);
  if (at == files_.end()) return fail(ErrorCode::not_found, "there is no memory:" + key);
  return at->second;
}

Result<Buffer> MemoryStorage::get_range(const std::string& key, std::uint64_t offset, std::uint64_t length) {
  const auto all = get(key);
  if (!all) return fail(all.error());
  if (offset > all->size() || length > all->size() - offset) {
    return fail(ErrorCode::malformed_data, "memory:" + key + " is cut off");
  }
  GrowingBuffer bytes;
  bytes.append(all->data() + offset, length);
  return bytes.freeze();
}

Result<std::vector<std::string>> MemoryStorage::list(const std::string& prefix) {
  if (fate_of(Call::list, prefix) != Fate::works) return refused(prefix);
  const std::lock_guard lock{mutex_};
  std::vector<std::string> keys;
  for (auto at = files_.lower_bound(prefix); at != files_.end() && at->first.starts_with(prefix); ++at) {
    keys.push_back(at->first);
  }
  return keys;
}

Result<bool> MemoryStorage::link(const std::string& key, const std::string& known) {
  const Fate fate = fate_of(Call::link, key);
  if (fate == Fate::lost) return refused(key);
  const std::lock_guard lock{mutex_};
  const auto at = files_.find(known);
  if (at == files_.end()) return false;
  const bool linked = files_.emplace(key, at->second).second;
  if (fate == Fate::unsure) return refused(key);
  if (!linked) return fail(ErrorCode::internal, describe(key) + " has been written by somebody else");
  return true;
}

Status MemoryStorage::remove(const std::string& key) {
  const Fate fate = fate_of(Call::remove, key);
  if (fate == Fate::lost) return refused(key);
  const std::lock_guard lock{mutex_};
  files_.erase(key);
  if (fate == Fate::unsure) return refused(key);
  return {};
}

}  // namespace dataflow
