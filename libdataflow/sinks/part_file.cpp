#include "libdataflow/sinks/part_file.hpp"

#include <fcntl.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>
#include <utility>

namespace dataflow {

namespace {

constexpr std::size_t buffer_bytes = 256 * 1024;

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
    default: return "";
  }
}

}  // namespace

std::string_view extension(OutputCompression compression) {
  switch (compression) {
    case OutputCompression::none: return "";
    case OutputCompression::gzip: return ".gz";
    case OutputCompression::zstd: return ".zst";
  }
  return "";
}

tl::unexpected<Error> PartFile::failed(std::string_view what, int reason) const {
  std::string message = "cannot ";
  message += what;
  message += " " + path_ + ": " + std::strerror(reason);
  message += advice(reason);
  return fail(ErrorCode::io, std::move(message));
}

PartFile::PartFile(PartFile&& other) noexcept {
  *this = std::move(other);
}

PartFile& PartFile::operator=(PartFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(compressor_, other.compressor_);
  std::swap(buffer_, other.buffer_);
  std::swap(size_, other.size_);
  return *this;
}

PartFile::~PartFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<PartFile> PartFile::create(std::string path, OutputCompression compression) {
  PartFile file;
  file.path_ = std::move(path);
  file.descriptor_ = ::open(file.path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (file.descriptor_ < 0) return file.failed("create", errno);
  file.compressor_ = make_compressor(compression);
  return file;
}

Status PartFile::append(std::string_view text) {
  size_ += text.size();
  if (compressor_) {
    if (Status done = compressor_->compress(text, false, buffer_); !done) return fail(done.error().within(path_));
  } else {
    buffer_ += text;
  }
  return buffer_.size() >= buffer_bytes ? flush() : Status{};
}

Status PartFile::flush() {
  std::string_view rest = buffer_;
  while (!rest.empty()) {
    const ssize_t written = ::write(descriptor_, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return failed("write to", errno);
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
  buffer_.clear();
  return {};
}

Status PartFile::finish() {
  if (compressor_) {
    if (Status done = compressor_->compress({}, true, buffer_); !done) return fail(done.error().within(path_));
  }
  if (Status flushed = flush(); !flushed) return flushed;
  // Reported by the disk late: a full disk or a failing one may say so only here.
  if (::fsync(descriptor_) != 0) return failed("write to", errno);
  if (::close(std::exchange(descriptor_, -1)) != 0) return failed("close", errno);
  buffer_ = {};
  compressor_.reset();
  return {};
}

void PartFile::discard() {
  if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
  ::unlink(path_.c_str());
}

Status sync_folder(const std::string& folder) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return fail(ErrorCode::io, "cannot open the folder " + folder + ": " + std::strerror(errno));
  const int result = ::fsync(descriptor);
  const int reason = errno;
  ::close(descriptor);
  // Some network filesystems cannot sync a folder and need not.
  if (result != 0 && reason != EINVAL && reason != ENOTSUP) {
    return fail(ErrorCode::io, "cannot sync the folder " + folder + ": " + std::strerror(reason));
  }
  return {};
}

}  // namespace dataflow
