#pragma once
// Artifacts by the hash of their content, as files in a folder: the JobManager's, and each TaskManager's cache. A file
// under its name is whole: it is written beside it and renamed when its hash is right.

#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "actors/wire/cluster_messages.hpp"
#include "serialization/result.hpp"

namespace dataflow {

/// All that a job is built from: its file, and the libraries that the file names.
std::vector<std::string> artifacts_of(const msg::JobSpec& job);

/// What these are called by people, by their hashes.
std::map<std::string, std::string> file_names_of(const msg::JobSpec& job);

/// Artifacts travel in pieces of this.
inline constexpr std::uint64_t artifact_piece_bytes = 512 * 1024;

class ArtifactStore {
 public:
  explicit ArtifactStore(std::filesystem::path folder) : folder_{std::move(folder)} {}

  /// Where it is, or would be. Errors: invalid_argument when `hash` is no SHA-256 in hex.
  [[nodiscard]] Result<std::filesystem::path> path_of(const std::string& hash) const;
  [[nodiscard]] bool has(const std::string& hash) const;
  [[nodiscard]] bool has_all(const std::vector<std::string>& hashes) const;
  /// The job's libraries, as build_artifact wants them.
  [[nodiscard]] std::map<std::string, std::string> libraries_of(const msg::JobSpec& job) const;
  /// Errors: not_found, io.
  [[nodiscard]] Result<std::string> read(const std::string& hash, std::uint64_t offset) const;
  [[nodiscard]] Result<std::uint64_t> size(const std::string& hash) const;

  /// It was of use now, and is among the last that `trim` removes.
  void touch(const std::string& hash) const;
  /// Removes those that were of use the longest time ago until the rest is at most `bytes`; what is not whole counts
  /// and goes like them. None of `in_use`, though they may be more. What cannot be removed stays. Returns how many
  /// went.
  std::size_t trim(std::uint64_t bytes, const std::set<std::string>& in_use) const;
  /// Removes what is not whole.
  void clear_partial() const;

  /// All of it, and removes it. Errors: not_found, io.
  Result<std::string> take(const std::string& hash);

  /// Takes the next piece of an artifact of `total` bytes; the last one completes it. Returns how many bytes are there.
  /// A piece that does not follow on the ones before is not taken. Errors: io; malformed_data when the hash is wrong.
  Result<std::uint64_t> append(const std::string& hash, std::uint64_t offset, std::uint64_t total,
                               std::string_view bytes);

 private:
  [[nodiscard]] std::filesystem::path partial(const std::string& hash) const;

  std::filesystem::path folder_;
};

}  // namespace dataflow
