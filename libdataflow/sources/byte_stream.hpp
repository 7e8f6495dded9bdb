#pragma once
// Bytes one after the other: a range of a file, standard input, or either of them decompressed.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "serialization/result.hpp"

namespace dataflow {

class ByteStream {
 public:
  /// What a read came to: some bytes; none at present (a pipe without data); or the end.
  struct Read {
    std::size_t bytes = 0;
    bool end = false;
  };

  virtual ~ByteStream() = default;
  /// Reads at most `capacity` (> 0) bytes into `into`. Errors: io, malformed_data, without the stream's name.
  virtual Result<Read> read(char* into, std::size_t capacity) = 0;
};

/// An open file; closes itself. Move-only.
class FileHandle {
 public:
  FileHandle() = default;
  explicit FileHandle(int descriptor) : descriptor_{descriptor} {}
  FileHandle(FileHandle&& other) noexcept : descriptor_{other.descriptor_} { other.descriptor_ = -1; }
  FileHandle& operator=(FileHandle&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  FileHandle(const FileHandle&) = delete;
  FileHandle& operator=(const FileHandle&) = delete;
  ~FileHandle();

  [[nodiscard]] int descriptor() const { return descriptor_; }

 private:
  int descriptor_ = -1;
};

/// Opens for reading. Errors: not_found, io with the path, the system's reason and what to do.
Result<FileHandle> open_to_read(const std::string& path);

/// Whether open_to_read may succeed, with its errors; opens nothing.
Status check_readable(const std::string& path);

/// The end of a range that goes to the end of the file, wherever that is.
inline constexpr std::uint64_t to_end_of_file = UINT64_MAX;

/// Bytes [begin, end) of a file, in large preads. (Not by mmap: a file that shrinks while it is mapped kills the
/// process.) A file that ends before `end` is an error, unless that is to_end_of_file.
std::unique_ptr<ByteStream> file_range(FileHandle file, std::uint64_t begin, std::uint64_t end);

/// A descriptor that may be a pipe or a terminal: a read never blocks, and gives no bytes while there are none.
/// The descriptor stays open.
std::unique_ptr<ByteStream> pipe_stream(int descriptor);

enum class Compression : std::uint8_t { none, gzip, zstd };

/// By the name's end: .gz, .zst.
Compression compression_of(std::string_view path);

/// Gzip with any number of members, or zstd with any number of frames. Errors: malformed_data for damaged data and
/// data that is cut off.
std::unique_ptr<ByteStream> decompress(std::unique_ptr<ByteStream> compressed, Compression compression);

}  // namespace dataflow
