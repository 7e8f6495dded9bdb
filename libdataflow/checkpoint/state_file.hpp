#pragma once
// The asynchronous part of a checkpoint: what the operators of a task have captured becomes one file, or, when it is
// little, bytes that travel with the acknowledgement (a file costs two fsyncs).

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "libdataflow/checkpoint/storage.hpp"
#include "libdataflow/state/snapshot.hpp"
#include "serialization/checkpoint_metadata.hpp"

namespace dataflow {

/// State up to this size lies in the metadata.
inline constexpr std::size_t largest_inline_state = 16 * 1024;

/// The captured state of a chain's operators, by uid.
using CapturedStates = std::vector<std::pair<std::string, CapturedStatePtr>>;

/// A segment that has been written, and under which keys the storage has had its file, the oldest first. An old
/// checkpoint that is still there is one that was completed, while the newest may have been given up since.
struct UploadedSegment {
  StateSegment segment;
  std::vector<std::string> keys;
};

/// Where the immutable files of a task have been put, by this attempt or the one it goes on from: those of its stores,
/// by content, and its segments. The storage may have them already when the next checkpoint names them. Safe to use
/// from any thread. Grows with the files that a store has ever had; a segment is forgotten when what it was made of is
/// gone.
class UploadedFiles {
 public:
  /// Of at least so many bytes are segments.
  explicit UploadedFiles(std::uint64_t smallest_segment = 64 * 1024) : smallest_segment_{smallest_segment} {}
  [[nodiscard]] std::uint64_t smallest_segment() const { return smallest_segment_; }
  /// Empty when it has not been put.
  [[nodiscard]] std::string find(const StoreFile& file) const;
  void add(const StoreFile& file, std::string key);
  [[nodiscard]] std::optional<UploadedSegment> find(const SegmentId& id) const;
  void add(const SegmentId& id, UploadedSegment segment);

 private:
  /// By owner: no other content will ever have it, also when the memory of this one is used again.
  using SegmentOwner = std::pair<std::weak_ptr<const void>, std::uint32_t>;
  struct OwnerBefore {
    bool operator()(const SegmentOwner& a, const SegmentOwner& b) const {
      if (a.first.owner_before(b.first) || b.first.owner_before(a.first)) return a.first.owner_before(b.first);
      return a.second < b.second;
    }
  };

  std::uint64_t smallest_segment_;
  mutable std::mutex mutex_;
  std::map<std::string, std::string> keys_;
  std::map<SegmentOwner, UploadedSegment, OwnerBefore> segments_;
};

/// Writes it to `folder`/`name` of the storage and says where everything lies. On any thread. Stores and segments stay
/// what they are, as files beside it, where `uploaded` is given; else they become rows like everything else. Errors: of
/// the storage; internal when the name exists: it has to be this attempt's own.
Result<TaskState> write_task_state(CapturedStates states, CheckpointStorage& storage, const std::string& folder,
                                   const std::string& name, UploadedFiles* uploaded = nullptr);

/// What a subtask's file is called in the folder of a checkpoint. No attempt writes another's.
std::string task_state_name(std::uint32_t vertex, std::uint32_t subtask, std::uint32_t attempt);

/// write_task_state without a storage: everything inline.
Result<TaskState> collect_task_state(CapturedStates states);

}  // namespace dataflow
