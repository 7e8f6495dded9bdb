#pragma once
// The files of a store's checkpoint: what they are called, how they are checked, and how they become a store again.

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "serialization/result.hpp"

namespace dataflow {

/// One file of a checkpoint.
struct StoreFile {
  std::string name;            ///< in the checkpoint's folder
  std::uint64_t bytes = 0;     ///< its size
  std::uint64_t checksum = 0;  ///< XXH3_64bits of its content
  bool shared = false;         ///< immutable: other checkpoints may have the same one

  /// What a shared file is called where the files of many checkpoints and attempts lie together: equal exactly when
  /// the content is. Attempts that go on from one checkpoint use the same names for different files, so the name alone
  /// says nothing.
  [[nodiscard]] std::string shared_name() const;

  friend bool operator==(const StoreFile&, const StoreFile&) = default;
};

/// The XXH3_64bits of a file. Errors: io, naming it.
Result<std::uint64_t> checksum_of_file(const std::filesystem::path& file);

/// Hard-links `from` at `to`, or copies it where that cannot be (another filesystem, or one without links). `to` must
/// not exist. Errors: io, naming both.
Status link_or_copy(const std::filesystem::path& from, const std::filesystem::path& to);

/// Brings one file of a checkpoint from `from` to `into`; see restore_files.
Status restore_file(const std::filesystem::path& from, const StoreFile& file, const std::filesystem::path& into);
/// Writes a checkpoint's file whose content has been read from `from`. Errors: io; malformed_data.
Status write_checked(std::string_view content, const std::string& from, const StoreFile& file,
                     const std::filesystem::path& into);

/// Makes a store's folder of a checkpoint's files in `from`; the store is then opened on it. Shared files are linked
/// where they can be, after a look at their size: this is why a restore on the node that made the checkpoint takes
/// milliseconds, and the store checks each block when it reads it. Whatever is copied is compared with its checksum.
/// `into` is made, and must not hold files yet. Errors: io; malformed_data naming the file that is not what was
/// written.
Status restore_files(const std::filesystem::path& from, std::span<const StoreFile> files,
                     const std::filesystem::path& into);

}  // namespace dataflow
