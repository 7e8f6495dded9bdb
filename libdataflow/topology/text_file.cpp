#include "libdataflow/topology/text_file.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <vector>

namespace dataflow {

Result<std::string> read_text_file(const std::filesystem::path& file, const std::string& what) {
  std::error_code error;
  if (std::filesystem::is_directory(file, error))
    return fail(ErrorCode::invalid_argument, "this is a folder, not a " + what);
  const auto unreadable = [&] {
    const int reason = errno;
    return fail(reason == ENOENT ? ErrorCode::not_found : ErrorCode::io,
                "cannot read the " + what + ": " +
                    std::string{reason != 0 ? std::strerror(reason) : "the file ends with an error"});
  };
  errno = 0;
  std::ifstream stream{file, std::ios::binary};
  if (!stream) return unreadable();
  std::string text;
  std::vector<char> piece(64 << 10);
  // The size is known only of regular files, and those grow.
  while (text.size() <= largest_text_file) {
    errno = 0;
    stream.read(piece.data(), static_cast<std::streamsize>(piece.size()));
    text.append(piece.data(), static_cast<std::size_t>(stream.gcount()));
    if (stream.bad()) return unreadable();
    if (!stream) return text;
  }
  return fail(ErrorCode::invalid_argument, "too large to be a " + what);
}

}  // namespace dataflow
