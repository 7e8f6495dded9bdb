#pragma once
// The hand-written baselines of reading text: a mapped file, memchr from separator to separator, integers and plain
// decimals parsed by hand. They believe their input, as a program for one file may.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

namespace dataflow::loops {

/// A whole file, mapped read-only for one pass. Ends the program when it cannot be opened.
class MappedFile {
 public:
  explicit MappedFile(const std::string& path) {
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat status {};
    if (file < 0 || ::fstat(file, &status) != 0) {
      std::perror(path.c_str());
      std::exit(1);
    }
    size_ = static_cast<std::size_t>(status.st_size);
    data_ = static_cast<const char*>(::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file, 0));
    ::madvise(const_cast<char*>(data_), size_, MADV_SEQUENTIAL);
    ::close(file);
  }
  ~MappedFile() { ::munmap(const_cast<char*>(data_), size_); }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  [[nodiscard]] const char* begin() const { return data_; }
  [[nodiscard]] const char* end() const { return data_ + size_; }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  const char* data_ = nullptr;
  std::size_t size_ = 0;
};

/// Behind the next `separator` at or after `at`, or `end` when there is none.
inline const char* behind(const char* at, const char* end, char separator) {
  const void* found = std::memchr(at, separator, static_cast<std::size_t>(end - at));
  return found != nullptr ? static_cast<const char*>(found) + 1 : end;
}

/// Digits from `at`, which is left behind the last one.
inline std::int64_t take_integer(const char*& at) {
  const bool negative = *at == '-';
  if (negative) ++at;
  std::int64_t value = 0;
  for (unsigned digit; (digit = static_cast<unsigned char>(*at) - unsigned{'0'}) < 10; ++at) value = value * 10 + digit;
  return negative ? -value : value;
}

/// Digits with at most one point, as one multiplication: exact for up to 15 digits.
inline double take_decimal(const char*& at) {
  static constexpr double powers[] = {1, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9};
  const bool negative = *at == '-';
  if (negative) ++at;
  const std::int64_t whole = take_integer(at);
  double value = static_cast<double>(whole);
  if (*at == '.') {
    const char* point = ++at;
    std::int64_t fraction = 0;
    for (unsigned digit; (digit = static_cast<unsigned char>(*at) - unsigned{'0'}) < 10; ++at) {
      fraction = fraction * 10 + digit;
    }
    value += static_cast<double>(fraction) * powers[at - point];
  }
  return negative ? -value : value;
}

}  // namespace dataflow::loops
