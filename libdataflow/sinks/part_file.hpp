#pragma once
// One file that is being written: compressed on the way if asked for, durable when it is finished, and under a hidden
// name until somebody renames it.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "serialization/result.hpp"

namespace dataflow {

enum class OutputCompression : std::uint8_t { none, gzip, zstd };

/// ".gz", ".zst" or nothing.
std::string_view extension(OutputCompression compression);

/// A compressor in the course of one file: text in, bytes out.
class Compressor {
 public:
  virtual ~Compressor() = default;
  /// Appends what `text` becomes to `out`; with `last`, the end of the file too. Errors: io (no memory).
  virtual Status compress(std::string_view text, bool last, std::string& out) = 0;
};

/// Null for none.
std::unique_ptr<Compressor> make_compressor(OutputCompression compression);

/// Writes through a buffer. Errors: io, naming the file, the reason and what to do. After an error the file is of no
/// use but to be removed.
class PartFile {
 public:
  PartFile() = default;
  PartFile(PartFile&& other) noexcept;
  PartFile& operator=(PartFile&& other) noexcept;
  PartFile(const PartFile&) = delete;
  PartFile& operator=(const PartFile&) = delete;
  ~PartFile();

  /// Makes the file, which must not exist.
  static Result<PartFile> create(std::string path, OutputCompression compression);

  Status append(std::string_view text);
  /// Everything is written, on the disk, and closed.
  Status finish();
  /// Closes and removes it.
  void discard();

  [[nodiscard]] const std::string& path() const { return path_; }
  /// Bytes that were appended, before compression.
  [[nodiscard]] std::uint64_t size() const { return size_; }

 private:
  Status flush();
  [[nodiscard]] tl::unexpected<Error> failed(std::string_view what, int reason) const;

  std::string path_;
  int descriptor_ = -1;
  std::unique_ptr<Compressor> compressor_;
  std::string buffer_;
  std::uint64_t size_ = 0;
};

/// fsyncs a folder, so that names made or changed in it survive a crash.
Status sync_folder(const std::string& folder);

}  // namespace dataflow
