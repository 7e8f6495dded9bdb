#include "libdataflow/sinks/part_file.hpp"

#include <utility>

namespace dataflow {

namespace {

constexpr std::size_t buffer_bytes = 256 * 1024;

}  // namespace

std::string_view extension(OutputCompression compression) {
  switch (compression) {
    case OutputCompression::none: return "";
    case OutputCompression::gzip: return ".gz";
    case OutputCompression::zstd: return ".zst";
  }
  return "";
}

Result<PartFile> PartFile::create(PartFilesPtr files, std::string path, OutputCompression compression) {
  PartFile part;
  auto file = files->create(path);
  if (!file) return fail(file.error());
  part.files_ = std::move(files);
  part.path_ = std::move(path);
  part.file_ = std::move(*file);
  part.compressor_ = make_compressor(compression);
  return part;
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
  if (Status written = file_->append(buffer_); !written) return written;
  buffer_.clear();
  return {};
}

Status PartFile::finish() {
  if (compressor_) {
    if (Status done = compressor_->compress({}, true, buffer_); !done) return fail(done.error().within(path_));
  }
  if (Status flushed = flush(); !flushed) return flushed;
  if (Status finished = file_->finish(); !finished) return finished;
  file_.reset();
  buffer_ = {};
  compressor_.reset();
  return {};
}

void PartFile::discard() {
  file_.reset();
  static_cast<void>(files_->remove(path_));
}

}  // namespace dataflow
