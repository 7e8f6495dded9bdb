#include "libdataflow/sinks/part_files.hpp"

#include <fcntl.h>
#include <unistd.h>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

namespace dataflow {

namespace fs = std::filesystem;

namespace {

std::string_view advice(int reason) {
  switch (reason) {
    case ENOSPC:
    case EDQUOT: return "; free some space, or write to another folder";
    case EACCES:
    case EPERM:
    case EROFS: return "; allow writing to the folder, or choose another";
    case EFBIG: return "; raise the limit on file sizes (ulimit -f), or set roll_size below it";
    case EMFILE:
    case ENFILE: return "; raise the limit on open files (ulimit -n), or partition by fewer values";
    case EEXIST: return "; another job with the same identity writes to this folder";
    case ENOENT:
    case ENOTDIR: return "; check the sink's path";
    default: return "";
  }
}

tl::unexpected<Error> cannot(std::string_view what, const std::string& path, int reason) {
  std::string message = "cannot " + std::string{what} + " " + path + ": " + std::strerror(reason);
  message += advice(reason);
  return fail(ErrorCode::io, std::move(message));
}

class SystemFile final : public OpenFile {
 public:
  SystemFile(std::string path, int descriptor) : path_{std::move(path)}, descriptor_{descriptor} {}
  ~SystemFile() override {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  SystemFile(const SystemFile&) = delete;
  SystemFile& operator=(const SystemFile&) = delete;

  Status append(std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return cannot("write to", path_, errno);
      bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    return {};
  }

  Status finish() override {
    // Reported by the disk late: a full disk or a failing one may say so only here.
    if (::fsync(descriptor_) != 0) return cannot("write to", path_, errno);
    if (::close(std::exchange(descriptor_, -1)) != 0) return cannot("close", path_, errno);
    return {};
  }

 private:
  std::string path_;
  int descriptor_;
};

/// rename(2) that fails with EEXIST instead of replacing; by link(2) where the filesystem cannot.
int rename_without_replacing(const char* from, const char* to) {
  if (::renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return errno;
  if (::link(from, to) != 0) return errno;
  return ::unlink(from) == 0 ? 0 : errno;
}

class SystemPartFiles final : public PartFiles {
 public:
  Status make_folder(const std::string& folder) override {
    std::error_code error;
    fs::create_directories(folder, error);
    if (!error && fs::is_directory(folder, error)) return {};
    return cannot("make the folder", folder, error ? error.value() : ENOTDIR);
  }

  Result<std::unique_ptr<OpenFile>> create(const std::string& path) override {
    const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor < 0) return cannot("create", path, errno);
    return std::make_unique<SystemFile>(path, descriptor);
  }

  Status sync_folder(const std::string& folder) override {
    const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return cannot("open the folder", folder, errno);
    const int result = ::fsync(descriptor);
    const int reason = errno;
    ::close(descriptor);
    // Some network filesystems cannot sync a folder and need not.
    if (result != 0 && reason != EINVAL && reason != ENOTSUP) return cannot("sync the folder", folder, reason);
    return {};
  }

  bool exists(const std::string& path) override { return ::access(path.c_str(), F_OK) == 0; }

  Result<bool> rename_to_new(const std::string& from, const std::string& to) override {
    const int reason = rename_without_replacing(from.c_str(), to.c_str());
    if (reason == EEXIST) return false;
    if (reason != 0) return cannot("make visible", to, reason);
    return true;
  }

  Status remove(const std::string& path) override {
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return cannot("remove", path, errno);
    return {};
  }

  Result<std::vector<std::string>> list(const std::string& folder) override {
    std::vector<std::string> paths;
    std::error_code error;
    if (!fs::exists(folder, error)) return paths;
    fs::recursive_directory_iterator at{folder, error};
    for (; !error && at != fs::recursive_directory_iterator{}; at.increment(error)) {
      std::error_code gone;
      if (!at->is_directory(gone)) {
        paths.push_back(at->path().native());
      } else if (at->path().filename().native().starts_with('.')) {
        at.disable_recursion_pending();
      }
    }
    if (error) return cannot("list", folder, error.value());
    return paths;
  }
};

}  // namespace

const PartFilesPtr& system_part_files() {
  static const PartFilesPtr files = std::make_shared<SystemPartFiles>();
  return files;
}

}  // namespace dataflow
