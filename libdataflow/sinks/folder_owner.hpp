#pragma once
// Whose the hidden files of an output folder are, and whether their owner lives.
//
// Every hidden file is named `.KIND.JOB.SINK...`: its owner is one sink of one job. The master of a running job holds a
// flock(2) on `.lock.JOB.SINK` in the sink's folder. The kernel lets go of it when the process dies in whatever way, so
// a lock that can be taken has no living owner, without a clock or a process id that could be somebody else's.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "serialization/result.hpp"

namespace dataflow {

/// Names whose files belong to one sink of one job.
struct SinkIdentity {
  std::string job_id;
  std::string sink;  ///< the node's uid
};

/// Text as part of a file's name: what is special in names, partitions or shells becomes %XX.
std::string escape_name(std::string_view text);

/// `JOB.SINK`, escaped: the owner's part of a hidden name.
std::string owner_name(const SinkIdentity& sink);
/// The owner's part of the name of a hidden file; nothing for a file that no sink has made.
std::optional<std::string_view> owner_in(std::string_view file_name);

/// An flock, held as long as the object and the process live.
class Flock {
 public:
  enum class Outcome : std::uint8_t {
    taken,
    held,         ///< by somebody else
    unsupported,  ///< by this filesystem
  };

  Flock() = default;
  explicit Flock(int descriptor) : descriptor_{descriptor} {}
  Flock(Flock&& other) noexcept : descriptor_{std::exchange(other.descriptor_, -1)} {}
  Flock& operator=(Flock&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  Flock(const Flock&) = delete;
  Flock& operator=(const Flock&) = delete;
  ~Flock();

  /// Tries until it has it or `deadline_ms` milliseconds are over.
  [[nodiscard]] Outcome take(int deadline_ms) const;
  [[nodiscard]] int descriptor() const { return descriptor_; }

 private:
  int descriptor_ = -1;
};

/// Jobs that look at a folder, or change what is hidden in it, do so one after the other.
/// Errors: io when the folder cannot be opened, or another job has been at it for ten seconds.
Result<Flock> enter_folder(const std::string& folder);

/// The mark of a living owner: `.lock.JOB.SINK`, locked.
class OwnerMark {
 public:
  /// Makes the file and locks it. `resumable`: see claim_folder. On a filesystem without locks the mark is empty.
  /// Errors: io; invalid_argument when the owner lives already.
  static Result<OwnerMark> take(const std::string& folder, const SinkIdentity& sink, bool resumable);

  /// Whether there is a mark, that is, whether others can see that the owner lives.
  [[nodiscard]] bool held() const { return lock_.descriptor() >= 0; }
  /// Removes the file and lets go.
  void remove();

 private:
  std::string path_;
  Flock lock_;
};

enum class OwnerState : std::uint8_t {
  living,
  resumable,  ///< dead, and may come back under its name
  dead,
};

/// What the mark `path` says of its owner. One that cannot be opened counts as living.
OwnerState owner_state(const std::filesystem::path& mark);
/// The same for an owner whose mark lies in `folder` or in one above it; dead when there is none.
OwnerState owner_state(const std::filesystem::path& folder, std::string_view owner);

}  // namespace dataflow
