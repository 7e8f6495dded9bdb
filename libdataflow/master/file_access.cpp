#include "libdataflow/master/file_access.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

namespace dataflow {

namespace {

tl::unexpected<Error> refused(const std::string& path, std::string_view what) {
  const int reason = errno;
  return fail(reason == ENOENT ? ErrorCode::not_found : ErrorCode::io,
              path + ": cannot be " + std::string{what} + ": " + std::strerror(reason));
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_{fd} {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

Status sync(const std::string& path, int flags) {
  const Descriptor fd{::open(path.c_str(), flags | O_CLOEXEC)};
  if (fd.get() < 0 || ::fsync(fd.get()) != 0) return refused(path, "synced");
  return {};
}

class SystemFiles final : public FileAccess {
 public:
  Status make_folder(const std::string& path) override {
    std::error_code error;
    std::filesystem::create_directories(path, error);
    if (error) return fail(ErrorCode::io, path + ": the folder cannot be made: " + error.message());
    return {};
  }

  Status write(const std::string& path, std::string_view bytes) override {
    const Descriptor fd{::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)};
    if (fd.get() < 0) return refused(path, "written");
    while (!bytes.empty()) {
      const ssize_t written = ::write(fd.get(), bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return refused(path, "written");
      bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    return {};
  }

  Status sync_file(const std::string& path) override { return sync(path, O_RDONLY); }
  Status sync_folder(const std::string& path) override { return sync(path, O_RDONLY | O_DIRECTORY); }

  Status rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) return refused(to, "put in place");
    return {};
  }

  Result<bool> link(const std::string& from, const std::string& to) override {
    if (::link(from.c_str(), to.c_str()) == 0) return true;
    if (errno == EEXIST) return false;
    return refused(to, "put in place");
  }

  Status remove(const std::string& path) override {
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return refused(path, "removed");
    return {};
  }

  Result<std::string> read(const std::string& path) override {
    const Descriptor fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    if (fd.get() < 0) return refused(path, "read");
    std::string bytes;
    char block[64 * 1024];
    while (true) {
      const ssize_t count = ::read(fd.get(), block, sizeof block);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return refused(path, "read");
      if (count == 0) return bytes;
      bytes.append(block, static_cast<std::size_t>(count));
    }
  }

  Result<std::vector<std::string>> list(const std::string& path) override {
    std::vector<std::string> names;
    std::error_code error;
    std::filesystem::directory_iterator at{path, error};
    for (; !error && at != std::filesystem::directory_iterator{}; at.increment(error)) {
      names.push_back(at->path().filename().string());
    }
    if (error) return fail(ErrorCode::io, path + ": the folder cannot be read: " + error.message());
    std::sort(names.begin(), names.end());
    return names;
  }
};

}  // namespace

std::unique_ptr<FileAccess> system_files() {
  return std::make_unique<SystemFiles>();
}

}  // namespace dataflow
