#pragma once
// One file that is being written: compressed on the way if asked for, durable when it is finished, and under a hidden
// name until somebody renames it.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "libdataflow/sinks/part_files.hpp"
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
  /// Makes the file, which must not exist.
  static Result<PartFile> create(PartFilesPtr files, std::string path, OutputCompression compression);

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

  PartFilesPtr files_;
  std::string path_;
  std::unique_ptr<OpenFile> file_;
  std::unique_ptr<Compressor> compressor_;
  std::string buffer_;
  std::uint64_t size_ = 0;
};

}  // namespace dataflow
