#include "libdataflow/sources/byte_stream.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "libdataflow/sources/decompressor.hpp"

namespace dataflow {

FileHandle::~FileHandle() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

namespace {

Error not_readable(const std::string& path, int reason) {
  switch (reason) {
    case ENOENT:
    case ENOTDIR: return {ErrorCode::not_found, path + " does not exist; check the path"};
    case EACCES: return {ErrorCode::io, "no permission to read " + path + "; allow it with chmod or run as its owner"};
    default: return {ErrorCode::io, "cannot open " + path + ": " + std::strerror(reason)};
  }
}

}  // namespace

Result<FileHandle> open_to_read(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor >= 0) {
    struct stat info {};
    if (::fstat(descriptor, &info) == 0 && S_ISDIR(info.st_mode)) {
      ::close(descriptor);
      return fail(ErrorCode::io, path + " is a folder where a file is expected");
    }
    return FileHandle{descriptor};
  }
  return fail(not_readable(path, errno));
}

Status check_readable(const std::string& path) {
  if (::access(path.c_str(), R_OK) == 0) return {};
  return fail(not_readable(path, errno));
}

namespace {

class FileRangeStream final : public ByteStream {
 public:
  FileRangeStream(FileHandle file, std::uint64_t begin, std::uint64_t end)
      : file_{std::move(file)}, at_{begin}, end_{end} {}

  Result<Read> read(char* into, std::size_t capacity) override {
    const std::size_t wanted = std::min<std::uint64_t>(capacity, end_ - at_);
    if (wanted == 0) return Read{0, true};
    ssize_t got = 0;
    // A character device or a pipe has no positions.
    do {
      got = seekable_ ? ::pread(file_.descriptor(), into, wanted, static_cast<off_t>(at_))
                      : ::read(file_.descriptor(), into, wanted);
      if (got < 0 && errno == ESPIPE && at_ == 0) {
        seekable_ = false;
        errno = EINTR;
      }
    } while (got < 0 && errno == EINTR);
    if (got < 0) return fail(ErrorCode::io, std::string{"cannot read: "} + std::strerror(errno));
    if (got == 0) {
      if (end_ == to_end_of_file) return Read{0, true};
      return fail(ErrorCode::io, "the file has shrunk to " + std::to_string(at_) + " bytes while it was being read");
    }
    at_ += static_cast<std::uint64_t>(got);
    return Read{static_cast<std::size_t>(got), false};
  }

 private:
  FileHandle file_;
  std::uint64_t at_;
  std::uint64_t end_;
  bool seekable_ = true;
};

class PipeStream final : public ByteStream {
 public:
  explicit PipeStream(int descriptor) : descriptor_{descriptor} {}

  Result<Read> read(char* into, std::size_t capacity) override {
    // A read of what poll reports never blocks; files are always ready. The descriptor may be shared with a parent
    // process, so it is not switched to non-blocking mode.
    pollfd ready{descriptor_, POLLIN, 0};
    const int count = ::poll(&ready, 1, 0);
    if (count < 0 && errno != EINTR) return fail(ErrorCode::io, std::string{"cannot poll: "} + std::strerror(errno));
    if (count <= 0) return Read{};
    if ((ready.revents & POLLNVAL) != 0) return fail(ErrorCode::io, "it is closed");
    const ssize_t got = ::read(descriptor_, into, capacity);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) return Read{};
    if (got < 0) return fail(ErrorCode::io, std::string{"cannot read: "} + std::strerror(errno));
    return Read{static_cast<std::size_t>(got), got == 0};
  }

 private:
  int descriptor_;
};

}  // namespace

std::unique_ptr<ByteStream> file_range(FileHandle file, std::uint64_t begin, std::uint64_t end) {
  return std::make_unique<FileRangeStream>(std::move(file), begin, end);
}

std::unique_ptr<ByteStream> pipe_stream(int descriptor) {
  return std::make_unique<PipeStream>(descriptor);
}

Compression compression_of(std::string_view path) {
  if (path.ends_with(".gz")) return Compression::gzip;
  if (path.ends_with(".zst")) return Compression::zstd;
  return Compression::none;
}

std::unique_ptr<ByteStream> decompress(std::unique_ptr<ByteStream> compressed, Compression compression) {
  switch (compression) {
    case Compression::none: return compressed;
    case Compression::gzip: return gunzip(std::move(compressed));
    case Compression::zstd: return unzstd(std::move(compressed));
  }
  return compressed;
}

}  // namespace dataflow
