#pragma once
// Files of entries in the order of their keys, written once and read as one: what an operator puts aside that merges
// later (the runs of an external sort; Knuth, "Sorting and Searching", 5.4). Cheaper than a store, which sorts and
// rewrites everything again, for what is never looked up. For this process only: a file goes with its last owner.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "libdataflow/state/state_store.hpp"
#include "serialization/result.hpp"

namespace dataflow {

/// Some kilobytes of a run, with whole entries: where it may be entered.
struct RunPiece {
  std::string first_key;
  std::uint64_t at;
  std::uint32_t bytes;
  std::uint64_t checksum;  ///< XXH3_64bits
};

/// A run that is written; it may be read on several threads at a time.
class SortedRun {
 public:
  SortedRun(std::filesystem::path file, std::uint64_t bytes, std::uint64_t checksum, std::vector<RunPiece> pieces)
      : file_{std::move(file)}, bytes_{bytes}, checksum_{checksum}, pieces_{std::move(pieces)} {}
  ~SortedRun();
  SortedRun(const SortedRun&) = delete;
  SortedRun& operator=(const SortedRun&) = delete;

  [[nodiscard]] const std::filesystem::path& file() const { return file_; }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  [[nodiscard]] std::uint64_t checksum() const { return checksum_; }
  /// Of a run with an index.
  [[nodiscard]] const std::vector<RunPiece>& pieces() const { return pieces_; }

 private:
  std::filesystem::path file_;
  std::uint64_t bytes_;
  std::uint64_t checksum_;  ///< XXH3_64bits of the file
  std::vector<RunPiece> pieces_;
};
using SortedRunPtr = std::shared_ptr<const SortedRun>;

/// An index is for look_up, and takes memory: a key for each 16 KiB.
enum class RunIndex : std::uint8_t { none, pieces };

class SortedRunWriter {
 public:
  /// The file must not exist. Errors: io, here and below.
  static Result<std::unique_ptr<SortedRunWriter>> create(std::filesystem::path file, RunIndex index = RunIndex::none);
  ~SortedRunWriter();
  SortedRunWriter(const SortedRunWriter&) = delete;
  SortedRunWriter& operator=(const SortedRunWriter&) = delete;

  /// Keys ascend (asserted), by their bytes.
  Status add(std::string_view key, std::string_view value);
  Result<SortedRunPtr> finish();

 private:
  struct Hash;
  SortedRunWriter(std::filesystem::path file, int descriptor, RunIndex index);
  void end_piece();
  Status flush();

  std::filesystem::path file_;
  int descriptor_;
  std::unique_ptr<Hash> hash_;
  std::string buffer_;
  std::string last_key_;
  std::uint64_t bytes_ = 0;
  RunIndex index_;
  std::vector<RunPiece> pieces_;
  std::size_t piece_at_ = 0;  ///< in the buffer, of the newest piece,
  bool in_piece_ = false;     ///< if one has begun
};

/// All entries by their keys; equal ones in the order of the runs. Takes a buffer of 64 KiB for each. The runs are held
/// until it is gone. Its status is io or malformed_data, naming the file.
std::unique_ptr<StoreScan> merge_runs(const std::vector<SortedRunPtr>& runs);

/// The values of `keys`, which ascend, in a run with an index that has each key once. Reads a piece for each key, and
/// each piece once. Errors: io; malformed_data.
Status look_up(const SortedRun& run, std::span<const std::string_view> keys, StoreValues& values);

}  // namespace dataflow
