#pragma once
// A storage in memory that does what disks do on bad days: for tests and simulation.

#include <functional>
#include <map>
#include <mutex>

#include "libdataflow/checkpoint/storage.hpp"

namespace dataflow {

class MemoryStorage final : public CheckpointStorage {
 public:
  /// What becomes of a call. `lost`: it fails and has done nothing. `unsure`: it has done its work and fails all the
  /// same, as when the answer of a server is lost.
  enum class Fate : std::uint8_t { works, lost, unsure };
  enum class Call : std::uint8_t { put, get, list, remove, link };

  Result<std::unique_ptr<StoredFile>> create(const std::string& key) override;
  Result<std::string> get(const std::string& key) override;
  Result<Buffer> get_range(const std::string& key, std::uint64_t offset, std::uint64_t length) override;
  Result<std::vector<std::string>> list(const std::string& prefix) override;
  Status remove(const std::string& key) override;
  Result<bool> link(const std::string& key, const std::string& known) override;
  [[nodiscard]] std::string describe(const std::string& key) const override { return "memory:" + key; }

  /// Asked before each call; by default all work.
  void decide_fates(std::function<Fate(Call, const std::string& key)> fate) { fate_ = std::move(fate); }
  /// The stored files, to be looked at and damaged. Not while others use the storage.
  std::map<std::string, std::string>& files() { return files_; }

 private:
  class File;
  [[nodiscard]] Fate fate_of(Call call, const std::string& key) const { return fate_ ? fate_(call, key) : Fate::works; }
  Result<PutOutcome> store(const std::string& key, std::string bytes);

  std::mutex mutex_;
  std::map<std::string, std::string> files_;
  std::function<Fate(Call, const std::string&)> fate_;
};

}  // namespace dataflow
