#pragma once
// Files of entries in the order of their keys, written once and read as one: what an operator puts aside that merges
// later (the runs of an external sort; Knuth, "Sorting and Searching", 5.4). Cheaper than a store, which sorts and
// rewrites everything again, for what is never looked up. For this process only: a file goes with its last owner.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "libdataflow/state/state_store.hpp"
#include "serialization/result.hpp"

namespace dataflow {

/// A run that is written; it may be read on several threads at a time.
class SortedRun {
 public:
  SortedRun(std::filesystem::path file, std::uint64_t bytes, std::uint64_t checksum)
      : file_{std::move(file)}, bytes_{bytes}, checksum_{checksum} {}
  ~SortedRun();
  SortedRun(const SortedRun&) = delete;
  SortedRun& operator=(const SortedRun&) = delete;

  [[nodiscard]] const std::filesystem::path& file() const { return file_; }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  [[nodiscard]] std::uint64_t checksum() const { return checksum_; }

 private:
  std::filesystem::path file_;
  std::uint64_t bytes_;
  std::uint64_t checksum_;  ///< XXH3_64bits of the file
};
using SortedRunPtr = std::shared_ptr<const SortedRun>;

class SortedRunWriter {
 public:
  /// The file must not exist. Errors: io, here and below.
  static Result<std::unique_ptr<SortedRunWriter>> create(std::filesystem::path file);
  ~SortedRunWriter();
  SortedRunWriter(const SortedRunWriter&) = delete;
  SortedRunWriter& operator=(const SortedRunWriter&) = delete;

  /// Keys ascend (asserted), by their bytes.
  Status add(std::string_view key, std::string_view value);
  Result<SortedRunPtr> finish();

 private:
  struct Hash;
  SortedRunWriter(std::filesystem::path file, int descriptor);
  Status flush();

  std::filesystem::path file_;
  int descriptor_;
  std::unique_ptr<Hash> hash_;
  std::string buffer_;
  std::string last_key_;
  std::uint64_t bytes_ = 0;
};

/// All entries by their keys; equal ones in the order of the runs. Takes a buffer of 64 KiB for each. The runs are held
/// until it is gone. Its status is io or malformed_data, naming the file.
std::unique_ptr<StoreScan> merge_runs(const std::vector<SortedRunPtr>& runs);

}  // namespace dataflow
