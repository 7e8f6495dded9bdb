#include "libdataflow/state/memory_store.hpp"

#include <fcntl.h>
#include <unistd.h>
#include <xxhash.h>

#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <mutex>
#include <set>
#include <utility>

#include "libdataflow/state/store_key.hpp"

namespace dataflow {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view run_magic = "DFRUN1\n";
constexpr std::string_view list_name = "RUNS";
constexpr std::string_view list_magic = "DFRUNS 1";
/// Runs are joined once they hold this many times the content.
constexpr std::uint64_t most_garbage = 2;
constexpr std::size_t most_runs = 64;

using Entries = std::map<std::string, std::string, std::less<>>;

class MemoryScan final : public StoreScan {
 public:
  explicit MemoryScan(std::vector<std::pair<std::string, std::string>> entries) : entries_{std::move(entries)} {}
  [[nodiscard]] bool valid() const override { return at_ < entries_.size(); }
  void next() override { ++at_; }
  [[nodiscard]] std::string_view key() const override { return entries_[at_].first; }
  [[nodiscard]] std::string_view value() const override { return entries_[at_].second; }
  [[nodiscard]] Status status() const override { return {}; }

 private:
  std::vector<std::pair<std::string, std::string>> entries_;
  std::size_t at_ = 0;
};

void put_entry(std::string& out, std::string_view key, std::optional<std::string_view> value) {
  put_ordered(out, static_cast<std::uint32_t>(key.size()));
  put_ordered(out, value ? static_cast<std::uint32_t>(value->size()) : UINT32_MAX);
  out += key;
  if (value) out += *value;
}

class MemoryStore final : public StateStore {
 public:
  explicit MemoryStore(fs::path folder) : folder_{std::move(folder)} {}

  Status load();

  Status multi_get(std::span<const std::string_view> keys, StoreValues& values) override {
    const std::lock_guard lock{mutex_};
    values.clear();
    for (const std::string_view key : keys) {
      const auto at = entries_.find(key);
      at == entries_.end() ? values.add_missing() : values.add(at->second);
    }
    return {};
  }

  Status write(const StoreBatch& changes) override {
    const std::lock_guard lock{mutex_};
    for (std::size_t i = 0; i < changes.size(); ++i) {
      const auto [key, value] = changes[i];
      if (value) {
        put(key, *value);
      } else {
        erase(entries_.find(key));
      }
    }
    return {};
  }

  Status erase_range(std::string_view from, std::string_view end) override {
    const std::lock_guard lock{mutex_};
    for (auto at = entries_.lower_bound(from); at != entries_.end() && at->first < end;) at = erase(at);
    return {};
  }

  std::unique_ptr<StoreScan> scan(std::string_view from, std::string_view end) override {
    const std::lock_guard lock{mutex_};
    const auto last = end.empty() ? entries_.end() : entries_.lower_bound(end);
    std::vector<std::pair<std::string, std::string>> found;
    if (end.empty() || from < end) found.assign(entries_.lower_bound(from), last);
    return std::make_unique<MemoryScan>(std::move(found));
  }

  Result<std::vector<StoreFile>> checkpoint(const fs::path& folder) override;

  std::uint64_t memory_bytes() const override {
    const std::lock_guard lock{mutex_};
    return bytes_;
  }
  std::uint64_t disk_bytes() const override {
    const std::lock_guard lock{mutex_};
    return run_bytes();
  }

 private:
  void put(std::string_view key, std::string_view value) {
    auto at = entries_.find(key);
    if (at == entries_.end()) {
      at = entries_.emplace(key, std::string{}).first;
      bytes_ += key.size();
    }
    bytes_ += value.size();
    bytes_ -= at->second.size();
    at->second = value;
    changed_.emplace(key);
  }
  Entries::iterator erase(Entries::iterator at) {
    if (at == entries_.end()) return at;
    bytes_ -= at->first.size() + at->second.size();
    changed_.insert(at->first);
    return entries_.erase(at);
  }
  [[nodiscard]] std::uint64_t run_bytes() const {
    std::uint64_t bytes = 0;
    for (const StoreFile& run : runs_) bytes += run.bytes;
    return bytes;
  }
  Status load_run(const std::string& name);
  Status write_run();
  [[nodiscard]] Result<StoreFile> write_file(const fs::path& folder, const std::string& name, const std::string& bytes,
                                             bool shared) const;

  fs::path folder_;
  mutable std::mutex mutex_;  ///< checkpoints and lookups meet
  Entries entries_;
  std::set<std::string, std::less<>> changed_;  ///< since the newest run
  std::uint64_t bytes_ = 0;                     ///< of keys and values
  std::vector<StoreFile> runs_;                 ///< oldest first
  std::uint64_t next_run_ = 1;
};

Result<std::string> read_file(const fs::path& file) {
  std::ifstream in{file, std::ios::binary};
  if (!in) return fail(ErrorCode::io, "cannot read " + file.string() + ": " + std::strerror(errno));
  return std::string{std::istreambuf_iterator<char>{in}, {}};
}

Status MemoryStore::load() {
  std::error_code error;
  fs::create_directories(folder_, error);
  if (error) return fail(ErrorCode::io, "cannot make the folder " + folder_.string() + ": " + error.message());
  const fs::path list = folder_ / list_name;
  if (!fs::exists(list, error)) return {};
  std::ifstream in{list};
  std::string line;
  if (!std::getline(in, line) || line != list_magic) {
    return fail(ErrorCode::malformed_data, list.string() + " is no list of runs; restore an earlier checkpoint");
  }
  while (std::getline(in, line)) {
    if (auto status = load_run(line); !status) return status;
    next_run_ = std::max<std::uint64_t>(next_run_, std::strtoull(line.c_str(), nullptr, 10) + 1);
  }
  changed_.clear();
  fs::remove(list, error);
  return {};
}

Status MemoryStore::load_run(const std::string& name) {
  const fs::path file = folder_ / name;
  const auto content = read_file(file);
  if (!content) return fail(content.error());
  std::string_view left{*content};
  const auto damaged = [&] {
    return fail(ErrorCode::malformed_data, file.string() + " is damaged; restore an earlier checkpoint");
  };
  // The run's own checksum stands at its end.
  if (left.size() < run_magic.size() + 8 || !left.starts_with(run_magic)) return damaged();
  const auto checksum = get_ordered<std::uint64_t>(left.substr(left.size() - 8));
  left.remove_suffix(8);
  if (checksum != XXH3_64bits(left.data(), left.size())) return damaged();
  left.remove_prefix(run_magic.size());
  while (!left.empty()) {
    if (left.size() < 8) return damaged();
    const std::size_t key_bytes = get_ordered<std::uint32_t>(left);
    const std::size_t value_bytes = get_ordered<std::uint32_t>(left.substr(4));
    left.remove_prefix(8);
    const bool erases = value_bytes == UINT32_MAX;
    if (left.size() < key_bytes + (erases ? 0 : value_bytes)) return damaged();
    const std::string_view key = left.substr(0, key_bytes);
    if (erases) {
      erase(entries_.find(key));
    } else {
      put(key, left.substr(key_bytes, value_bytes));
    }
    left.remove_prefix(key_bytes + (erases ? 0 : value_bytes));
  }
  runs_.push_back({name, content->size(), XXH3_64bits(content->data(), content->size()), true});
  return {};
}

Result<StoreFile> MemoryStore::write_file(const fs::path& folder, const std::string& name, const std::string& bytes,
                                          bool shared) const {
  const fs::path file = folder / name;
  const auto cannot = [&](int error) {
    return fail(ErrorCode::io, "cannot write " + file.string() + ": " + std::strerror(error) +
                                   "; make room or mend the disk, the next checkpoint tries again");
  };
  const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return cannot(errno);
  std::size_t done = 0;
  int error = 0;
  while (done < bytes.size() && error == 0) {
    const ssize_t written = ::write(fd, bytes.data() + done, bytes.size() - done);
    if (written >= 0) {
      done += static_cast<std::size_t>(written);
    } else if (errno != EINTR) {
      error = errno;
    }
  }
  if (error == 0 && ::fsync(fd) != 0) error = errno;
  ::close(fd);
  if (error != 0) return cannot(error);
  return StoreFile{name, bytes.size(), XXH3_64bits(bytes.data(), bytes.size()), shared};
}

/// Writes what has changed, or everything when that is the better deal.
Status MemoryStore::write_run() {
  if (changed_.empty() && !runs_.empty()) return {};
  const bool all = runs_.size() >= most_runs || run_bytes() > most_garbage * (bytes_ + 4096);
  std::string run{run_magic};
  if (all) {
    for (const auto& [key, value] : entries_) put_entry(run, key, value);
  } else {
    for (const std::string& key : changed_) {
      const auto at = entries_.find(key);
      put_entry(run, key, at == entries_.end() ? std::nullopt : std::optional<std::string_view>{at->second});
    }
  }
  put_ordered(run, XXH3_64bits(run.data(), run.size()));
  char name[32];
  std::snprintf(name, sizeof name, "%06" PRIu64 ".run", next_run_);
  auto file = write_file(folder_, name, run, true);
  if (!file) return fail(file.error());
  ++next_run_;
  std::vector<StoreFile> old;
  if (all) old.swap(runs_);
  runs_.push_back(std::move(*file));
  changed_.clear();
  for (const StoreFile& gone : old) {  // checkpoints hold links of their own
    std::error_code ignored;
    fs::remove(folder_ / gone.name, ignored);
  }
  return {};
}

Result<std::vector<StoreFile>> MemoryStore::checkpoint(const fs::path& folder) {
  const std::lock_guard lock{mutex_};
  if (auto status = write_run(); !status) return fail(status.error());
  std::error_code error;
  if (!fs::create_directory(folder, error)) {
    return fail(ErrorCode::io, "cannot make the folder " + folder.string() + ": " +
                                   (error ? error.message() : std::string{"it is there already"}));
  }
  std::string list{list_magic};
  list += '\n';
  std::vector<StoreFile> files = runs_;
  for (const StoreFile& run : runs_) {
    if (auto status = link_or_copy(folder_ / run.name, folder / run.name); !status) return fail(status.error());
    list += run.name + '\n';
  }
  auto listed = write_file(folder, std::string{list_name}, list, false);
  if (!listed) return fail(listed.error());
  files.push_back(std::move(*listed));
  return files;
}

}  // namespace

Result<StateStorePtr> open_memory_store(const fs::path& folder) {
  auto store = std::make_unique<MemoryStore>(folder);
  if (auto status = store->load(); !status) return fail(status.error());
  return store;
}

}  // namespace dataflow
