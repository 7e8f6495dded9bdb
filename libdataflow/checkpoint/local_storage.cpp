#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <set>
#include <utility>

#include "libdataflow/checkpoint/storage.hpp"

namespace dataflow {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t copy_bytes = 1U << 18;

std::string_view advice(int reason) {
  switch (reason) {
    case ENOSPC:
    case EDQUOT: return "; free some space, or let [checkpoint] storage be elsewhere";
    case EACCES:
    case EPERM:
    case EROFS: return "; allow writing there, or let [checkpoint] storage be elsewhere";
    default: return "";
  }
}

tl::unexpected<Error> failed(std::string_view what, const std::string& path, int reason) {
  const auto code = reason == ENOENT ? ErrorCode::not_found : ErrorCode::io;
  std::string message = "cannot ";
  message += what;
  message += " " + path + ": " + std::strerror(reason);
  message += advice(reason);
  return fail(code, std::move(message));
}

/// Some network filesystems cannot sync a folder and need not.
Status sync_directory(const std::string& folder) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return failed("open", folder, errno);
  const int result = ::fsync(descriptor);
  const int reason = errno;
  ::close(descriptor);
  if (result != 0 && reason != EINVAL && reason != ENOTSUP) return failed("sync", folder, reason);
  return {};
}

class LocalFile final : public StoredFile {
 public:
  LocalFile(std::string path, std::string temporary, int descriptor)
      : path_{std::move(path)}, temporary_{std::move(temporary)}, descriptor_{descriptor} {}
  ~LocalFile() override {
    if (descriptor_ >= 0) ::close(descriptor_);
    if (!temporary_.empty()) ::unlink(temporary_.c_str());
  }

  Status append(std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return failed("write to", path_, errno);
      bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    return {};
  }

  Result<PutOutcome> finish() override {
    // Reported by the disk late: a full or failing one may say so only here.
    if (::fsync(descriptor_) != 0) return failed("write to", path_, errno);
    if (::close(std::exchange(descriptor_, -1)) != 0) return failed("close", path_, errno);
    if (::link(temporary_.c_str(), path_.c_str()) != 0) {
      if (errno == EEXIST) return PutOutcome::exists;
      return failed("create", path_, errno);
    }
    ::unlink(std::exchange(temporary_, {}).c_str());
    if (Status synced = sync_directory(fs::path{path_}.parent_path().native()); !synced) return fail(synced.error());
    return PutOutcome::stored;
  }

 private:
  std::string path_;
  std::string temporary_;
  int descriptor_;
};

class LocalStorage final : public CheckpointStorage {
 public:
  explicit LocalStorage(std::string folder) : folder_{std::move(folder)} {}

  Result<std::unique_ptr<StoredFile>> create(const std::string& key) override {
    const std::string path = describe(key);
    const std::string parent = fs::path{path}.parent_path().native();
    if (Status made = make_folder(parent); !made) return fail(made.error());
    static std::atomic<std::uint64_t> number{0};
    std::string temporary = parent + "/.writing." + std::to_string(::getpid()) + "." + std::to_string(++number);
    const int descriptor = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (descriptor < 0) return failed("create", temporary, errno);
    return std::make_unique<LocalFile>(path, std::move(temporary), descriptor);
  }

  Result<std::string> get(const std::string& key) override {
    std::string bytes;
    const Status got = with_file(key, [&](int descriptor) -> Status {
      char chunk[64 * 1024];
      while (true) {
        const ssize_t count = ::read(descriptor, chunk, sizeof chunk);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return failed("read", describe(key), errno);
        if (count == 0) return {};
        bytes.append(chunk, static_cast<std::size_t>(count));
      }
    });
    if (!got) return fail(got.error());
    return bytes;
  }

  Result<Buffer> get_range(const std::string& key, std::uint64_t offset, std::uint64_t length) override {
    GrowingBuffer bytes;
    const Status got = with_file(key, [&](int descriptor) -> Status {
      // Before memory is reserved for it: lengths come out of a file.
      struct stat info {};
      if (::fstat(descriptor, &info) != 0) return failed("read", describe(key), errno);
      const auto size = static_cast<std::uint64_t>(info.st_size);
      if (offset > size || length > size - offset) {
        return fail(ErrorCode::malformed_data, describe(key) + " is cut off: it has " + std::to_string(size) +
                                                   " bytes, and " + std::to_string(offset) + " + " +
                                                   std::to_string(length) + " are wanted");
      }
      bytes.resize(length);
      for (std::uint64_t done = 0; done < length;) {
        const ssize_t count =
            ::pread(descriptor, bytes.data() + done, length - done, static_cast<off_t>(offset + done));
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return failed("read", describe(key), errno);
        if (count == 0) return fail(ErrorCode::malformed_data, describe(key) + " is cut off");
        done += static_cast<std::uint64_t>(count);
      }
      return {};
    });
    if (!got) return fail(got.error());
    return bytes.freeze();
  }

  Result<std::vector<std::string>> list(const std::string& prefix) override {
    std::vector<std::string> keys;
    // The prefix may end within a name: its folder is walked.
    const std::size_t slash = prefix.rfind('/');
    const std::string folder = slash == std::string::npos ? folder_ : describe(prefix.substr(0, slash));
    std::error_code error;
    if (!fs::exists(folder, error)) return keys;
    fs::recursive_directory_iterator entry{folder, error};
    for (; !error && entry != fs::recursive_directory_iterator{}; entry.increment(error)) {
      if (!entry->is_regular_file(error) || entry->path().filename().native().starts_with('.')) continue;
      std::string key = fs::relative(entry->path(), folder_, error).native();
      if (!error && key.starts_with(prefix)) keys.push_back(std::move(key));
    }
    // What is deleted by another process while it is walked is no failure.
    if (error && error != std::errc::no_such_file_or_directory) return failed("list", folder, error.value());
    std::sort(keys.begin(), keys.end());
    return keys;
  }

  Status remove(const std::string& key) override {
    const std::string path = describe(key);
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return failed("remove", path, errno);
    // The folder goes with its last file; one that is not empty stays.
    const std::string parent = fs::path{path}.parent_path().native();
    if (parent != folder_ && ::rmdir(parent.c_str()) == 0) {
      const std::lock_guard lock{mutex_};
      known_.erase(parent);
      known_above_.erase(parent);
    }
    return {};
  }

  Result<std::uint64_t> put_file(const std::string& key, const StoreFile& file, const fs::path& at,
                                 const std::string& known) override {
    const std::string path = describe(key);
    if (Status made = make_folder(fs::path{path}.parent_path().native()); !made) return fail(made.error());
    // A name more for what is there: each checkpoint has all of its files, and none has to be counted.
    if (::link(at.c_str(), path.c_str()) == 0) return 0;
    if (errno == EEXIST) return fail(ErrorCode::internal, path + " has been written by somebody else");
    return CheckpointStorage::put_file(key, file, at, known);
  }

  Result<bool> link(const std::string& key, const std::string& known) override {
    const std::string path = describe(key);
    if (Status made = make_folder(fs::path{path}.parent_path().native()); !made) return fail(made.error());
    if (::link(describe(known).c_str(), path.c_str()) == 0) return true;
    if (errno == EEXIST) return fail(ErrorCode::internal, path + " has been written by somebody else");
    return false;
  }

  Status fetch_file(const std::string& key, const StoreFile& file, const fs::path& into) override {
    return restore_file(describe(key), file, into);
  }

  [[nodiscard]] std::string describe(const std::string& key) const override { return folder_ + "/" + key; }

 private:
  template <class Use>
  Status with_file(const std::string& key, Use&& use) {
    const std::string path = describe(key);
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return failed("open", path, errno);
    Status used = use(descriptor);
    ::close(descriptor);
    return used;
  }

  /// Makes it with those above it, and syncs the names of the new ones. Where a folder above it has gone since, nothing
  /// is made: a disk is not mounted any more, and what is put in its place fills another one and is found by nobody.
  Status make_folder(const std::string& folder) {
    const std::string above = fs::path{folder}.parent_path().native();
    {
      const std::lock_guard lock{mutex_};
      if (known_.contains(folder)) return {};
      std::error_code error;
      if (known_above_.contains(above) && !fs::exists(above, error)) {
        return fail(ErrorCode::unavailable,
                    "the folder " + above + " is not there any more: has a disk vanished, or been exchanged?");
      }
    }
    std::vector<std::string> made;
    for (fs::path path{folder}; !path.empty() && path != path.root_path(); path = path.parent_path()) {
      std::error_code error;
      if (fs::exists(path, error)) break;
      made.push_back(path.native());
    }
    std::error_code error;
    fs::create_directories(folder, error);
    if (error) return failed("make the folder", folder, error.value());
    for (const std::string& path : made) {
      if (Status synced = sync_directory(fs::path{path}.parent_path().native()); !synced) return synced;
    }
    const std::lock_guard lock{mutex_};
    known_.insert(folder);
    if (folder != folder_) known_above_.insert(above);
    return {};
  }

  std::string folder_;
  std::mutex mutex_;
  std::set<std::string> known_;        ///< folders that exist
  std::set<std::string> known_above_;  ///< those above them
};

}  // namespace

Result<PutOutcome> CheckpointStorage::put(const std::string& key, std::string_view bytes) {
  auto file = create(key);
  if (!file) return fail(file.error());
  if (Status appended = (*file)->append(bytes); !appended) return fail(appended.error());
  return (*file)->finish();
}

Result<std::uint64_t> CheckpointStorage::put_file(const std::string& key, const StoreFile&, const fs::path& at,
                                                  const std::string& known) {
  if (!known.empty()) {
    const auto linked = link(key, known);
    if (!linked) return fail(linked.error());
    if (*linked) return 0;
  }
  const int from = ::open(at.c_str(), O_RDONLY | O_CLOEXEC);
  if (from < 0) return failed("open", at.native(), errno);
  auto copied = [&]() -> Result<std::uint64_t> {
    auto to = create(key);
    if (!to) return fail(to.error());
    std::uint64_t bytes = 0;
    const auto chunk = std::make_unique_for_overwrite<char[]>(copy_bytes);
    while (true) {
      const ssize_t count = ::read(from, chunk.get(), copy_bytes);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return failed("read", at.native(), errno);
      if (count == 0) break;
      bytes += static_cast<std::uint64_t>(count);
      if (Status appended = (*to)->append({chunk.get(), static_cast<std::size_t>(count)}); !appended) {
        return fail(appended.error());
      }
    }
    const auto put = (*to)->finish();
    if (!put) return fail(put.error());
    if (*put == PutOutcome::exists) {
      return fail(ErrorCode::internal, describe(key) + " has been written by somebody else");
    }
    return bytes;
  }();
  ::close(from);
  return copied;
}

Result<bool> CheckpointStorage::link(const std::string&, const std::string&) {
  return false;
}

Status CheckpointStorage::fetch_file(const std::string& key, const StoreFile& file, const fs::path& into) {
  const auto content = get(key);
  if (!content) return fail(content.error());
  return write_checked(*content, describe(key), file, into);
}

CheckpointStoragePtr make_local_storage(std::string folder) {
  while (folder.size() > 1 && folder.ends_with('/')) folder.pop_back();
  return std::make_shared<LocalStorage>(std::move(folder));
}

Result<CheckpointStoragePtr> open_checkpoint_storage(std::string_view uri) {
  constexpr std::string_view file_scheme = "file://";
  const std::size_t scheme = uri.find("://");
  if (uri.starts_with(file_scheme))
    uri.remove_prefix(file_scheme.size());
  else if (scheme != std::string_view::npos) {
    return fail(ErrorCode::invalid_argument,
                "checkpoints cannot be stored at \"" + std::string{uri} + "\"; write file:///FOLDER or a path");
  }
  if (uri.empty()) return fail(ErrorCode::invalid_argument, "the storage of checkpoints has no path");
  std::error_code error;
  const fs::path path = fs::absolute(fs::path{uri}, error);
  return make_local_storage(error ? std::string{uri} : path.native());
}

std::string escape_key(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                       byte == '-' || byte == '_' || byte >= 0x80 || (byte == '.' && !out.empty());
    if (plain) {
      out += c;
      continue;
    }
    char code[4];
    std::snprintf(code, sizeof code, "%%%02X", byte);
    out += code;
  }
  return out;
}

}  // namespace dataflow
