#include "libdataflow/artifact/elf_file.hpp"

#include <elf.h>
#include <link.h>

#include <cstring>
#include <filesystem>
#include <fstream>

namespace dataflow {

namespace {

template <class T>
bool read_at(std::ifstream& file, std::uint64_t offset, T& out) {
  file.seekg(static_cast<std::streamoff>(offset));
  file.read(reinterpret_cast<char*>(&out), sizeof(T));
  return file.good();
}

}  // namespace

Status check_shared_library(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    return fail(ErrorCode::invalid_argument, path + " cannot be loaded: it is not a file");
  }
  std::ifstream file{path, std::ios::binary};
  if (!file) return fail(ErrorCode::io, path + " cannot be read: " + std::strerror(errno));
  const std::uint64_t size = std::filesystem::file_size(path, error);
  constexpr unsigned char own_class = sizeof(void*) == 8 ? ELFCLASS64 : ELFCLASS32;
  ElfW(Ehdr) header{};
  if (!read_at(file, 0, header) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
      header.e_ident[EI_CLASS] != own_class || header.e_type != ET_DYN) {
    return fail(ErrorCode::invalid_argument, path + " cannot be loaded: it is no shared library of this machine");
  }
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    ElfW(Phdr) segment{};
    const bool there = read_at(file, header.e_phoff + std::uint64_t{i} * sizeof(segment), segment);
    if (!there ||
        (segment.p_type == PT_LOAD && (segment.p_offset > size || segment.p_filesz > size - segment.p_offset))) {
      return fail(ErrorCode::invalid_argument, path + " cannot be loaded: it is cut off after " + std::to_string(size) +
                                                   " bytes; copy or build it again");
    }
  }
  return {};
}

}  // namespace dataflow
