#include "libdataflow/state/store_files.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <memory>

#include "libdataflow/state/hash_state.hpp"
#include "libdataflow/state/store_origin.hpp"

namespace dataflow {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t read_bytes = 1U << 18;

/// An open file.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_{fd} {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool is_open() const { return fd_ >= 0; }

 private:
  int fd_;
};

tl::unexpected<Error> cannot(std::string_view what, const fs::path& file, int error) {
  return fail(ErrorCode::io, "cannot " + std::string{what} + " " + file.string() + ": " + std::strerror(error));
}

Status write_all(int fd, const char* data, std::size_t count, const fs::path& file) {
  while (count != 0) {
    const ssize_t written = ::write(fd, data, count);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return cannot("write", file, errno);
    data += written;
    count -= static_cast<std::size_t>(written);
  }
  return {};
}

/// Reads `from` to its end, and copies it into `to` unless that is empty.
Result<std::uint64_t> read_through(const fs::path& from, const fs::path& to) {
  const Descriptor in{::open(from.c_str(), O_RDONLY | O_CLOEXEC)};
  if (!in.is_open()) return cannot("read", from, errno);
  const Descriptor out{to.empty() ? -1 : ::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644)};
  if (!to.empty() && !out.is_open()) return cannot("make", to, errno);
  const std::unique_ptr<XXH3_state_t, FreeHashState> hash{XXH3_createState()};
  if (hash == nullptr) throw std::bad_alloc{};
  XXH3_64bits_reset(hash.get());
  const auto buffer = std::make_unique_for_overwrite<char[]>(read_bytes);
  while (true) {
    const ssize_t count = ::read(in.get(), buffer.get(), read_bytes);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return cannot("read", from, errno);
    if (count == 0) return XXH3_64bits_digest(hash.get());
    XXH3_64bits_update(hash.get(), buffer.get(), static_cast<std::size_t>(count));
    if (to.empty()) continue;
    if (auto status = write_all(out.get(), buffer.get(), static_cast<std::size_t>(count), to); !status) {
      return fail(status.error());
    }
  }
}

tl::unexpected<Error> differs(const std::string& file) {
  return fail(ErrorCode::malformed_data,
              file + " is not what was written (its checksum differs): " + std::string{when_damaged});
}

}  // namespace

std::string StoreFile::shared_name() const {
  const fs::path path{name};
  char content[40];
  std::snprintf(content, sizeof content, "-%016" PRIx64 "-%" PRIu64, checksum, bytes);
  return path.stem().string() + content + path.extension().string();
}

Result<std::uint64_t> checksum_of_file(const fs::path& file) {
  return read_through(file, {});
}

Status link_or_copy(const fs::path& from, const fs::path& to) {
  if (::link(from.c_str(), to.c_str()) == 0) return {};
  if (errno == EEXIST) return cannot("make", to, EEXIST);
  const auto copied = read_through(from, to);
  return copied ? Status{} : fail(copied.error());
}

Status restore_file(const fs::path& from, const StoreFile& file, const fs::path& into) {
  std::error_code error;
  const auto bytes = fs::file_size(from, error);
  if (error) return cannot("read", from, error.value());
  if (bytes != file.bytes) {
    return fail(ErrorCode::malformed_data, from.string() + " has " + std::to_string(bytes) + " bytes, but " +
                                               std::to_string(file.bytes) +
                                               " were written: " + std::string{when_damaged});
  }
  if (file.shared && ::link(from.c_str(), into.c_str()) == 0) return {};
  const auto checksum = read_through(from, into);
  if (!checksum) return fail(checksum.error());
  return *checksum == file.checksum ? Status{} : differs(from.string());
}

Status write_checked(std::string_view content, const std::string& from, const StoreFile& file, const fs::path& into) {
  if (content.size() != file.bytes || XXH3_64bits(content.data(), content.size()) != file.checksum) {
    return differs(from);
  }
  const Descriptor out{::open(into.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644)};
  if (!out.is_open()) return cannot("make", into, errno);
  return write_all(out.get(), content.data(), content.size(), into);
}

Status restore_files(const fs::path& from, std::span<const StoreFile> files, const fs::path& into) {
  std::error_code error;
  fs::create_directories(into, error);
  if (error) return cannot("make the folder", into, error.value());
  for (const StoreFile& file : files) {
    if (Status restored = restore_file(from / file.name, file, into / file.name); !restored) return restored;
  }
  return {};
}

}  // namespace dataflow
